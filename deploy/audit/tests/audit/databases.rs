//! Pairs of databases, each pair for one test.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use audit::{Limits, Report, ShardTarget, audit};
use local_cluster::Cluster;
use placement::ShardId;
use tokio_postgres::{Client, Config, NoTls};

use crate::seed::Seed;

const TEMPLATE: &str = "migrated";

/// The server in which every test makes its databases.
pub struct Databases {
    superuser: Config,
    made: AtomicU32,
}

/// Two shards with consistent books.
pub struct Pair {
    pub seed: Seed,
    pub targets: Vec<ShardTarget>,
    /// Connections that may write, by shard.
    pub clients: [Client; 2],
}

pub async fn connect(config: &Config) -> Result<Client> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

impl Databases {
    /// Makes the migrated database that all others are copies of.
    pub async fn prepare(cluster: &Cluster) -> Result<Self> {
        let superuser: Config = cluster.shard_superuser_url(1)?.parse()?;
        let databases = Databases { superuser, made: AtomicU32::new(0) };
        connect(&databases.superuser).await?.batch_execute(&format!("CREATE DATABASE {TEMPLATE}")).await?;
        let mut template = connect(&databases.named(TEMPLATE)).await?;
        migrations::run(&mut template).await?;
        let partitions = "CREATE TABLE transfers_all PARTITION OF transfers DEFAULT; \
             CREATE TABLE inbox_all PARTITION OF inbox DEFAULT";
        template.batch_execute(partitions).await?;
        // A template is copied only when nobody is connected to it any more.
        let gone = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1";
        drop(template);
        let client = connect(&databases.superuser).await?;
        while client.query_one(gone, &[&TEMPLATE]).await?.get::<_, i64>(0) > 0 {
            tokio::task::yield_now().await;
        }
        Ok(databases)
    }

    fn named(&self, name: &str) -> Config {
        let mut config = self.superuser.clone();
        config.dbname(name);
        config
    }

    /// Two new databases with the seed's books.
    pub async fn pair(&self) -> Result<Pair> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let server = connect(&self.superuser).await?;
        let seed = Seed::new()?;
        let mut targets = Vec::new();
        let mut clients = Vec::new();
        for shard in [1u16, 2] {
            let name = format!("pair_{number}_{shard}");
            server.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}")).await?;
            let postgres = self.named(&name);
            let client = connect(&postgres).await?;
            client.batch_execute("SET wallet.fence = 'held'; SET timezone = 'UTC'").await?;
            seed.sow(&client, shard).await?;
            targets.push(ShardTarget { shard: ShardId::try_from(shard)?, postgres });
            clients.push(client);
        }
        let clients = <[Client; 2]>::try_from(clients).map_err(|_| anyhow::anyhow!("two shards"))?;
        Ok(Pair { seed, targets, clients })
    }
}

impl Pair {
    /// The connection of a shard, 1 or 2.
    pub fn shard(&self, number: usize) -> &Client {
        &self.clients[number - 1]
    }

    pub async fn audit(&self) -> Result<Report> {
        Ok(audit(&self.targets, &Limits::default(), &|_| ()).await?)
    }
}

/// A test's own thread runs its own runtime.
pub fn run(test: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(test)
}

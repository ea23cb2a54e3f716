//! Connections whose server takes too long, or says nothing any more.

use anyhow::{Context, Result, ensure};
use ledger::{Command, SetStatus, Stamped, StatusChange};
use local_cluster::{Cluster, ClusterSpec, Parts, ProcessName, Signal};
use placement::topology::{Region, Shard, ShardState};
use placement::{AccountId, RegionCode, ShardId, Topology, TransferId};
use shard_node::config::{PostgresConfig, SagaConfig};
use shard_node::store::{self, BatchSession, Pool, ReadError};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, Config};

const SERVER: ProcessName = ProcessName::Postgres { shard: 1, replica: 0 };
/// What the work of these tests may take, and how long a connection is listened to beyond that.
const LIMIT: Duration = Duration::from_millis(300);
const GRACE: Duration = Duration::from_secs(2);
const PID: &str = "SELECT pg_backend_pid()";

struct Database {
    cluster: Cluster,
    config: Config,
    /// Of one connection.
    pool: Pool,
    client: Client,
}

async fn database() -> Result<Database> {
    let mut spec = ClusterSpec::scratch();
    spec.regions = vec!["sg".to_owned()];
    spec.shards_per_region = 1;
    spec.parts = Parts::ServersOnly;
    let cluster = Cluster::start(spec, &mut |_| ()).await?;
    let config: Config = cluster.shard_postgres_url(1)?.parse()?;
    let mut client = store::connect(&config).await?;
    migrations::run(&mut client).await?;
    let pool = store::pool(&PostgresConfig { connect: config.clone(), pool_size: 1 })?;
    Ok(Database { cluster, config, pool, client })
}

impl Database {
    async fn lent_pid(&self) -> Result<i32, ReadError> {
        self.pool.lend(LIMIT, async |client| Ok(client.query_one(PID, &[]).await?.get(0))).await
    }

    /// As soon as there is a connection.
    async fn next_pid(&self) -> Result<i32> {
        let started = Instant::now();
        loop {
            match self.lent_pid().await {
                Ok(pid) => return Ok(pid),
                Err(error) => ensure!(started.elapsed() < Duration::from_secs(10), "no connection: {error}"),
            }
        }
    }

    async fn sleep(&self, seconds: f64) -> Result<(), ReadError> {
        self.pool
            .lend(LIMIT, async |client| Ok(client.execute("SELECT pg_sleep($1)", &[&seconds]).await.map(drop)?))
            .await
    }

    async fn sleepers(&self) -> Result<i64> {
        let asked = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep%' \
             AND pid <> pg_backend_pid()";
        Ok(self.client.query_one(asked, &[]).await?.get(0))
    }
}

fn is_silent<T>(worked: &Result<T, ReadError>) -> bool {
    matches!(worked, Err(ReadError::Silent))
}

#[tokio::test]
async fn server_that_is_only_slow_keeps_its_connection() -> Result<()> {
    let database = database().await?;
    let before = database.next_pid().await?;
    ensure!(is_silent(&database.sleep(1.0).await), "longer than the limit");
    ensure!(database.next_pid().await? == before, "another connection was made");
    Ok(())
}

#[tokio::test]
async fn connection_of_a_silent_server_is_closed_and_nobody_gets_it_again() -> Result<()> {
    let database = database().await?;
    let before = database.next_pid().await?;
    database.cluster.signal_all(&SERVER, Signal::SIGSTOP).await?;
    ensure!(is_silent(&database.lent_pid().await));
    tokio::time::sleep(GRACE + LIMIT).await;
    database.cluster.signal_all(&SERVER, Signal::SIGCONT).await?;
    ensure!(database.next_pid().await? != before, "it was lent again");
    Ok(())
}

#[tokio::test]
async fn connection_whose_borrower_has_gone_must_show_that_it_answers() -> Result<()> {
    let database = database().await?;
    let before = database.next_pid().await?;
    let abandoned = tokio::time::timeout(LIMIT / 3, database.sleep(0.5)).await;
    ensure!(abandoned.is_err());
    ensure!(database.next_pid().await? == before, "it answered in time");
    let abandoned = tokio::time::timeout(LIMIT / 3, database.sleep(60.0)).await;
    ensure!(abandoned.is_err());
    ensure!(database.next_pid().await? != before, "it has not answered");
    Ok(())
}

#[tokio::test]
async fn work_that_is_given_up_in_a_transaction_gives_back_what_it_has_locked() -> Result<()> {
    const LOCK: &str = "UPDATE fence SET barrier_at = clock_timestamp()";
    let database = database().await?;
    let worked: Result<(), ReadError> = database
        .pool
        .lend(LIMIT, async |client| {
            let transaction = client.transaction().await?;
            transaction.batch_execute(LOCK).await?;
            transaction.batch_execute("SELECT pg_sleep(60)").await?;
            Ok(transaction.commit().await?)
        })
        .await;
    ensure!(is_silent(&worked));
    ensure!(database.sleepers().await? == 1, "the server works on");
    let began = Instant::now();
    database.client.batch_execute(LOCK).await.context("the row is still locked")?;
    println!("the row was free after {:?}", began.elapsed());
    ensure!(database.sleepers().await? == 0, "the server works on");
    Ok(())
}

#[tokio::test]
async fn renewed_pool_lends_no_connection_from_before() -> Result<()> {
    let database = database().await?;
    let idle = database.next_pid().await?;
    database.pool.renew();
    let at_work = database.next_pid().await?;
    ensure!(at_work != idle);
    let during: Result<(), ReadError> = database
        .pool
        .lend(LIMIT, async |client| {
            database.pool.renew();
            Ok(client.batch_execute("SELECT").await?)
        })
        .await;
    during?;
    ensure!(database.next_pid().await? != at_work);
    Ok(())
}

fn topology(id: ShardId) -> Result<Topology> {
    let region = "sg".to_owned();
    let addresses = vec!["127.0.0.1:1".to_owned()];
    Ok(Topology {
        version: 1,
        currencies: Vec::new(),
        regions: vec![Region { name: region.clone(), code: RegionCode::try_from(1)? }],
        shards: vec![Shard { id, region, weight: 100, state: ShardState::Active, addresses }],
    })
}

#[tokio::test]
async fn replica_that_stands_still_in_a_transaction_keeps_no_rows_from_others() -> Result<()> {
    let mut database = database().await?;
    let shard = ShardId::try_from(1)?;
    store::found(&mut database.client, shard, Some(&topology(shard)?)).await?;
    let standing = store::read_standing(&mut database.client, shard).await?;
    let account_id = AccountId::MIN;
    let account = account_id.as_i64();
    let insert = format!(
        "BEGIN; SELECT set_config('wallet.fence', 'held', true);
         INSERT INTO accounts VALUES ({account}, 0, 'x', 'x', 'SGD', 0, 0, 0, 0, now()); COMMIT"
    );
    database.client.batch_execute(&insert).await?;

    let seconds = Duration::from_secs(1);
    let saga = SagaConfig { void_after: seconds, retry_min: seconds, retry_max: seconds, lease: seconds };
    let session = BatchSession::open(&database.config, 0, saga).await?;
    let command = Command::SetStatus(SetStatus { account_id, change: StatusChange::Freeze });
    let fresh_id = TransferId::new(0, account_id.region(), account_id.locality(), 1);
    session.load(&[Stamped { command, fresh_id, fresh_discriminator: 0 }], &standing).await?;

    let lock = format!("BEGIN; SELECT FROM accounts WHERE id = {account} FOR UPDATE NOWAIT; COMMIT");
    ensure!(database.client.batch_execute(&lock).await.is_err(), "the batch has not locked its account");
    database.client.batch_execute("ROLLBACK").await?;
    let began = Instant::now();
    database.client.batch_execute(&lock.replace(" NOWAIT", "")).await.context("the account stays locked")?;
    println!("the account was free after {:?}", began.elapsed());
    ensure!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    Ok(())
}

//! The other side of the comparison: PostgreSQL alone, and one function call for each transfer.

use anyhow::{Context, Result, ensure};
use local_cluster::{Cluster, ClusterSpec, Event, Parts, ProcessName};
use tokio_postgres::{Client, NoTls};

use super::cpu::{Probe, Whose};
use super::pgbench::Pgbench;
use super::report::{Check, Window};
use super::{BALANCE, BenchOptions};

const SHARD: u16 = 1;

/// A scratch PostgreSQL with the schema, the procedure and the accounts.
pub struct Plain {
    cluster: Cluster,
    database: Client,
    pgbench: Pgbench,
    probe: Probe,
}

impl Plain {
    /// Starts PostgreSQL with the settings of a shard's, and fills it.
    ///
    /// # Errors
    /// PostgreSQL or pgbench cannot be had.
    pub async fn start(options: &BenchOptions, progress: &mut dyn FnMut(Event)) -> Result<Self> {
        let spec = ClusterSpec {
            regions: vec!["plain".to_owned()],
            shards_per_region: 1,
            parts: Parts::ServersOnly,
            seed: false,
            ..ClusterSpec::scratch()
        };
        let cluster = Cluster::start(spec, progress).await?;
        let url = cluster.shard_postgres_url(SHARD)?;
        let database = connect(&url).await?;
        fill(&database, options.accounts).await?;
        let program = cluster.state().tools.postgres_program("pgbench");
        ensure!(program.exists(), "{} is missing; Debian has it in the package postgresql", program.display());
        let pgbench =
            Pgbench { program, database: url.parse()?, accounts: options.accounts, workload: options.workload };
        let postmaster = cluster.process(&ProcessName::Postgres { shard: SHARD })?.pid();
        let postmaster = postmaster.context("PostgreSQL has ended")?;
        let probe = Probe::default()
            .with("load generator", Whose::OwnEndedChildren)
            .with("PostgreSQL", Whose::Family(postmaster));
        Ok(Self { cluster, database, pgbench, probe })
    }

    /// Runs for a while, and then for the time that counts.
    ///
    /// # Errors
    /// A transaction failed.
    pub async fn run(&self, clients: usize, warmup: u64, seconds: u64) -> Result<Window> {
        if warmup > 0 {
            self.pgbench.run(clients, warmup).await?;
        }
        let before = self.probe.read()?;
        let ran = self.pgbench.run(clients, seconds).await?;
        Ok(Window {
            operations: ran.transactions,
            elapsed: ran.elapsed,
            cpu: self.probe.since(&before)?,
            latency: ran.latency,
        })
    }

    /// Whether the money is all there.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn check(&self) -> Result<Check> {
        let row = self.database.query_one(include_str!("sql/check.sql"), &[&BALANCE]).await?;
        let deposited = i128::from(BALANCE) * i128::try_from(self.pgbench.accounts)?;
        let found: i64 = row.try_get("found")?;
        let (refused, breaches): (i64, i64) = (row.try_get("refused")?, row.try_get("breaches")?);
        ensure!(refused == 0, "{refused} transfers were refused, so the rate is not one of transfers");
        let holds = i128::from(found) == deposited && breaches == 0;
        Ok(Check {
            holds,
            deposited,
            found: i128::from(found),
            transfers: u64::try_from(row.try_get::<_, i64>("posted")?)?,
        })
    }

    /// Stops and deletes everything.
    ///
    /// # Errors
    /// A process does not end.
    pub async fn stop(self) -> Result<()> {
        self.cluster.stop(&mut |_| ()).await
    }
}

async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // It ends with the client, and its errors reach the client's calls too.
    tokio::task::spawn_local(async move { drop(connection.await) });
    Ok(client)
}

async fn fill(database: &Client, accounts: usize) -> Result<()> {
    database.batch_execute(include_str!("sql/schema.sql")).await.context("the plain schema")?;
    database.batch_execute(include_str!("sql/transfer.sql")).await.context("the plain procedure")?;
    let accounts = i64::try_from(accounts)?;
    database.execute(include_str!("sql/accounts.sql"), &[&accounts, &BALANCE]).await.context("the plain accounts")?;
    database.batch_execute("VACUUM ANALYZE accounts").await?;
    Ok(())
}

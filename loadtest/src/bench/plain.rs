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
        let postmaster = cluster.process(&ProcessName::Postgres { shard: SHARD, replica: 0 })?.pid();
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

#[cfg(test)]
mod tests {
    use tokio::runtime::{Builder, LocalOptions};

    use super::super::Workload;
    use super::*;

    fn options(workload: Workload) -> BenchOptions {
        BenchOptions {
            seconds: 1,
            warmup: 0,
            rounds: 1,
            clients: 8,
            plain_clients: Some(8),
            accounts: 100,
            workload,
            json: true,
        }
    }

    fn on_runtime(test: impl AsyncFnOnce() -> Result<()>) {
        let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap();
        runtime.block_on(test()).unwrap();
    }

    #[test]
    fn procedure_answers_once_for_each_key() {
        on_runtime(async || {
            let plain = Plain::start(&options(Workload::Transfers), &mut |_| ()).await?;
            let transfer = async |key: &str, debit: i64, credit: i64, amount: i64| -> Result<(i64, Option<String>)> {
                let statement = "SELECT transfer_id, refusal FROM transfer($1, $2, $3, $4)";
                let row = plain.database.query_one(statement, &[&key, &debit, &credit, &amount]).await?;
                Ok((row.get(0), row.get(1)))
            };
            let first = transfer("a", 1, 2, 100).await?;
            assert_eq!(first.1, None);
            assert_eq!(transfer("a", 1, 2, 100).await?, first, "a repeat has the first answer");
            assert_eq!(transfer("a", 1, 2, 101).await?.1.as_deref(), Some("idempotency_key_reused"));
            let all = transfer("b", 3, 2, BALANCE).await?;
            assert_eq!(all.1, None);
            assert_eq!(transfer("b", 3, 2, BALANCE).await?, all, "also when the money is gone by then");
            for (key, debit, credit, amount, refusal) in [
                ("c", 3, 2, 1, "insufficient_funds"),
                ("d", 1, 1, 1, "same_account"),
                ("e", 1, 999, 1, "credit_account_not_found"),
                ("f", 1, 2, 0, "amount_out_of_range"),
                ("g", 1, 2, 1_000_000, "amount_out_of_range"),
            ] {
                let refused = transfer(key, debit, credit, amount).await?;
                assert_eq!(refused.1.as_deref(), Some(refusal));
                assert_eq!(transfer(key, debit, credit, amount).await?, refused);
            }
            let balance = "SELECT balance, entry_count FROM accounts WHERE id = $1";
            let row = plain.database.query_one(balance, &[&2_i64]).await?;
            assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (2 * BALANCE + 100, 2));
            plain.stop().await
        });
    }

    #[test]
    fn money_is_all_there_after_pgbench_and_a_change_is_noticed() {
        on_runtime(async || {
            let plain = Plain::start(&options(Workload::HotAccount), &mut |_| ()).await?;
            let window = plain.run(8, 0, 1).await?;
            assert!(window.operations > 0 && window.latency[0].1.p99_ms > 0.0);
            assert!(window.cpu.values().all(|time| !time.is_zero()), "{:?}", window.cpu);
            let check = plain.check().await?;
            assert!(check.holds && check.transfers == window.operations, "{check:?}");
            let delete = "DELETE FROM transfers WHERE id = (SELECT min(id) FROM transfers)";
            plain.database.batch_execute(delete).await?;
            assert!(!plain.check().await?.holds);
            plain.stop().await
        });
    }
}

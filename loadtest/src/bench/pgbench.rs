//! Runs PostgreSQL's own load generator.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use tokio::process::Command;
use tokio_postgres::config::Host;

use super::workload::Workload;
use crate::measure::{Latency, latency_of};

/// This part of the transactions is logged, for the percentiles.
const SAMPLE: f64 = 0.1;

/// pgbench, with a database that it connects to.
pub struct Pgbench {
    pub program: PathBuf,
    pub database: tokio_postgres::Config,
    pub accounts: usize,
    pub workload: Workload,
}

/// What a run came to.
pub struct Ran {
    pub transactions: u64,
    pub elapsed: Duration,
    pub latency: Vec<(&'static str, Latency)>,
}

impl Pgbench {
    /// Runs with prepared statements.
    ///
    /// # Errors
    /// It cannot be run, a transaction failed, or its report has another form than those of PostgreSQL 15 to 18.
    pub async fn run(&self, clients: usize, seconds: u64) -> Result<Ran> {
        let scratch = tempfile::tempdir()?;
        let mut command = Command::new(&self.program);
        self.connect(&mut command)?;
        command.args(["--no-vacuum", "--protocol=prepared", "--jobs=1", "--log"]);
        command.arg(format!("--sampling-rate={SAMPLE}")).arg("--log-prefix=log");
        command.arg(format!("--client={clients}")).arg(format!("--time={seconds}"));
        command.arg(format!("--define=accounts={}", self.accounts));
        for (name, text, weight) in self.workload.scripts() {
            let path = scratch.path().join(name);
            fs::write(&path, text)?;
            command.arg(format!("--file={name}@{weight}"));
        }
        command.current_dir(scratch.path()).stdin(Stdio::null()).kill_on_drop(true);
        let output = command.output().await.with_context(|| format!("cannot run {}", self.program.display()))?;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let last = err.lines().last().unwrap_or_default();
        ensure!(output.status.success(), "pgbench ended with {}: {last}", output.status);
        let transactions = number_after(&out, "number of transactions actually processed: ");
        let rate = number_after(&out, "tps = ");
        let (transactions, rate) = transactions.zip(rate).with_context(|| format!("pgbench reported {out}"))?;
        ensure!(rate > 0.0, "pgbench did nothing: {last}");
        Ok(Ran {
            transactions: transactions as u64,
            elapsed: Duration::from_secs_f64(transactions / rate),
            latency: self.latency(scratch.path())?,
        })
    }

    /// Through the environment: what is on a command line, everybody can see.
    fn connect(&self, command: &mut Command) -> Result<()> {
        let Some(Host::Tcp(host)) = self.database.get_hosts().first() else {
            anyhow::bail!("PostgreSQL has no address");
        };
        command.env("PGHOST", host);
        command.env("PGPORT", self.database.get_ports().first().context("PostgreSQL has no port")?.to_string());
        command.env("PGUSER", self.database.get_user().context("PostgreSQL has no user")?);
        command.env("PGDATABASE", self.database.get_dbname().context("PostgreSQL has no database")?);
        let password = self.database.get_password().unwrap_or_default();
        command.env("PGPASSWORD", std::str::from_utf8(password)?);
        Ok(())
    }

    /// Reads the log: client, transaction, microseconds, script, time.
    fn latency(&self, directory: &Path) -> Result<Vec<(&'static str, Latency)>> {
        let mut scripts = Vec::new();
        for (name, _, _) in self.workload.scripts() {
            scripts.push((name, Histogram::<u64>::new(3)?));
        }
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if !entry.file_name().to_string_lossy().starts_with("log.") {
                continue;
            }
            for line in fs::read_to_string(entry.path())?.lines() {
                let fields: Vec<&str> = line.split(' ').collect();
                let number = |field: usize| fields.get(field).and_then(|text| text.parse::<u64>().ok());
                let (micros, script) = number(2).zip(number(3)).with_context(|| format!("pgbench logged {line:?}"))?;
                let (_, histogram) =
                    scripts.get_mut(usize::try_from(script)?).context("pgbench logged another script")?;
                histogram.record(micros.max(1))?;
            }
        }
        Ok(scripts.iter().map(|(name, histogram)| (*name, latency_of(histogram))).collect())
    }
}

fn number_after(text: &str, label: &str) -> Option<f64> {
    let (_, rest) = text.split_once(label)?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_of_pgbench_is_read() {
        let report = "number of transactions actually processed: 22148\nnumber of failed transactions: 0 (0.000%)\n\
                      latency average = 1.8 ms\ntps = 4430.123 (without initial connection time)\n";
        assert_eq!(number_after(report, "number of transactions actually processed: "), Some(22148.0));
        assert_eq!(number_after(report, "tps = "), Some(4430.123));
        assert_eq!(number_after(report, "jobs = "), None);
    }
}

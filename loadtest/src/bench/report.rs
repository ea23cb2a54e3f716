//! What a bench came to.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use super::BenchOptions;
use super::cpu::CpuTimes;
use super::workload::Workload;
use crate::measure::Latency;
use crate::summary::latency_table;

/// What was measured in one round.
pub struct Window {
    /// Operations done.
    pub operations: u64,
    /// In this time.
    pub elapsed: Duration,
    /// CPU time by process.
    pub cpu: CpuTimes,
    /// By kind of operation.
    pub latency: Vec<(&'static str, Latency)>,
}

/// Whether the money is all there.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Check {
    /// It is, and every history explains its balance.
    pub holds: bool,
    /// What was let in.
    pub deposited: i128,
    /// What is there.
    pub found: i128,
    /// Transfers posted, trials and warm-ups included.
    pub transfers: u64,
}

/// One side of the comparison.
#[derive(Debug, Serialize)]
pub struct Side {
    /// Connections, each with one operation in flight.
    pub clients: usize,
    /// Over all rounds.
    pub operations: u64,
    /// Over all rounds.
    pub operations_per_second: f64,
    /// Of each round.
    pub rounds: Vec<f64>,
    /// CPU time for one operation, in microseconds, by process.
    pub cpu_us_per_operation: BTreeMap<&'static str, f64>,
    /// Of the last round, by kind of operation.
    pub latency: BTreeMap<&'static str, Latency>,
    #[serde(skip)]
    elapsed: Duration,
    #[serde(skip)]
    cpu: CpuTimes,
}

/// The result of `loadtest bench`.
#[derive(Debug, Serialize)]
pub struct BenchReport {
    /// What was sent.
    pub workload: Workload,
    /// Accounts on each side.
    pub accounts: usize,
    /// Length of each measurement.
    pub seconds: u64,
    /// Plain PostgreSQL, one procedure call for each transfer.
    pub plain: Side,
    /// The whole wallet over HTTP.
    pub wallet: Side,
    /// The wallet's rate in terms of plain PostgreSQL's.
    pub ratio: f64,
    /// Whether no money was made or lost on either side.
    pub conserved: bool,
    /// The check of plain PostgreSQL, and that of the wallet.
    pub checks: BTreeMap<&'static str, Check>,
}

impl Side {
    /// Nothing measured yet.
    pub fn new(clients: usize) -> Self {
        Self {
            clients,
            operations: 0,
            operations_per_second: 0.0,
            rounds: vec![],
            cpu_us_per_operation: BTreeMap::new(),
            latency: BTreeMap::new(),
            elapsed: Duration::ZERO,
            cpu: CpuTimes::new(),
        }
    }

    /// Adds a round.
    pub fn add(&mut self, window: Window) {
        self.operations += window.operations;
        self.elapsed += window.elapsed;
        self.rounds.push(window.operations as f64 / window.elapsed.as_secs_f64());
        self.operations_per_second = self.operations as f64 / self.elapsed.as_secs_f64();
        for (name, time) in window.cpu {
            *self.cpu.entry(name).or_default() += time;
        }
        let operations = self.operations as f64;
        let each = self.cpu.iter().map(|(name, time)| (*name, time.as_secs_f64() * 1e6 / operations));
        self.cpu_us_per_operation = each.collect();
        self.latency = window.latency.into_iter().collect();
    }

    fn add_text(&self, text: &mut String, name: &str) -> std::fmt::Result {
        let Self { clients, operations_per_second, rounds, .. } = self;
        let rounds: Vec<String> = rounds.iter().map(|rate| format!("{rate:.0}")).collect();
        writeln!(text, "{name}: {operations_per_second:.0}/s with {clients} clients (rounds: {})", rounds.join(", "))?;
        let cpu = self.cpu_us_per_operation.iter().map(|(name, us)| format!("{name} {us:.1}"));
        let all: f64 = self.cpu_us_per_operation.values().sum();
        writeln!(text, "  CPU us for one: {}; together {all:.1}", cpu.collect::<Vec<_>>().join(", "))?;
        writeln!(text, "{}\n", latency_table(&self.latency))
    }
}

impl BenchReport {
    /// Compares the two sides.
    pub fn new(options: &BenchOptions, plain: Side, wallet: Side, checks: [Check; 2]) -> Self {
        Self {
            workload: options.workload,
            accounts: options.accounts,
            seconds: options.seconds,
            ratio: wallet.operations_per_second / plain.operations_per_second,
            conserved: checks.iter().all(|check| check.holds),
            checks: ["plain", "wallet"].into_iter().zip(checks).collect(),
            plain,
            wallet,
        }
    }

    /// The report as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        self.add_text(&mut text).map_or_else(|_| String::new(), |()| text)
    }

    fn add_text(&self, text: &mut String) -> std::fmt::Result {
        self.plain.add_text(text, "plain PostgreSQL, one procedure call each (pgbench)")?;
        self.wallet.add_text(text, "the whole wallet over HTTP")?;
        for (name, Check { holds, deposited, found, transfers }) in &self.checks {
            let verdict = if *holds { "holds" } else { "BROKEN" };
            writeln!(
                text,
                "check of {name}: {verdict}; {transfers} transfers, {deposited} deposited and {found} found"
            )?;
        }
        write!(text, "ratio: {:.2}", self.ratio)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_weighed_by_their_length() {
        let mut side = Side::new(8);
        for (operations, seconds) in [(1000, 1), (1000, 3)] {
            let cpu = CpuTimes::from([("router", Duration::from_millis(20))]);
            side.add(Window { operations, elapsed: Duration::from_secs(seconds), cpu, latency: vec![] });
        }
        assert_eq!(side.operations_per_second, 500.0);
        assert_eq!(side.cpu_us_per_operation["router"], 20.0);
        assert_eq!(side.rounds.len(), 2);
    }
}

//! `loadtest bench`: plain PostgreSQL against the whole wallet, on one machine in one run.

pub mod cpu;
mod pgbench;
mod plain;
mod report;
mod wallet;
mod workload;

use anyhow::{Context, Result};
use clap::Args;
use indicatif::ProgressBar;
use local_cluster::Event;

use crate::{Outcome, progress};
use plain::Plain;
use report::{BenchReport, Side};
use wallet::Wallet;
pub use wallet::probe;
pub use workload::Workload;

/// How many clients plain PostgreSQL is tried with; its best number is then measured.
const PLAIN_CLIENTS: [usize; 4] = [8, 16, 32, 48];

/// What every account starts with, on both sides.
const BALANCE: i64 = 100_000;

/// Compares the whole wallet over HTTP with plain PostgreSQL and one stored-procedure call for each transfer.
///
/// Both run on scratch databases with the same PostgreSQL settings and the same number of accounts, in turns, and are
/// checked afterwards: no money may be made or lost. Everything is deleted in the end. Build with --release.
#[derive(Debug, Clone, Args)]
pub struct BenchOptions {
    /// How long each side is measured in each round, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: u64,

    /// How long each side runs before it is measured, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3)]
    pub warmup: u64,

    /// How often the two sides take turns
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    pub rounds: u64,

    /// Connections to the wallet, each with one request in flight
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub clients: usize,

    /// Connections to plain PostgreSQL [default: the best of 8, 16, 32 and 48]
    #[arg(long, value_name = "N")]
    pub plain_clients: Option<usize>,

    /// Accounts on each side
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub accounts: usize,

    /// What is sent
    #[arg(long, value_enum, default_value_t = Workload::Transfers)]
    pub workload: Workload,

    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// Something cannot be started, or ends before it is measured.
pub async fn bench(options: BenchOptions) -> Result<Outcome> {
    if cfg!(debug_assertions) {
        eprintln!("note: this is a debug build; its figures mean little");
    }
    let line = progress::line("starting plain PostgreSQL")?;
    let mut told = |event: Event| line.set_message(event.to_string());
    let plain = Plain::start(&options, &mut told).await?;
    line.set_message("starting the wallet");
    let wallet = Wallet::start(&options, &mut told).await?;
    let report = measure(&options, &plain, &wallet, &line).await?;
    line.set_message("stopping");
    wallet.stop().await?;
    plain.stop().await?;
    line.finish_and_clear();
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{}", report.text());
    }
    Ok(if report.conserved { Outcome::Fine } else { Outcome::Breach })
}

async fn measure(options: &BenchOptions, plain: &Plain, wallet: &Wallet, line: &ProgressBar) -> Result<BenchReport> {
    let plain_clients = match options.plain_clients {
        Some(clients) => clients,
        None => best_clients(plain, line).await?,
    };
    let (mut plain_side, mut wallet_side) = (Side::new(plain_clients), Side::new(options.clients));
    for round in 1..=options.rounds {
        let of = format!("round {round} of {}", options.rounds);
        line.set_message(format!("{of}: plain PostgreSQL, {plain_clients} clients"));
        plain_side.add(plain.run(plain_clients, options.warmup, options.seconds).await?);
        line.set_message(format!("{of}: the wallet, {} clients", options.clients));
        wallet_side.add(wallet.run(options).await?);
    }
    line.set_message("checking that the money is all there");
    let checks = [plain.check().await.context("plain PostgreSQL")?, wallet.check().await.context("the wallet")?];
    Ok(BenchReport::new(options, plain_side, wallet_side, checks))
}

/// The number of clients with which plain PostgreSQL does most.
async fn best_clients(plain: &Plain, line: &ProgressBar) -> Result<usize> {
    const TRIAL_SECONDS: u64 = 2;
    let mut best = (0.0, PLAIN_CLIENTS[0]);
    for clients in PLAIN_CLIENTS {
        line.set_message(format!("plain PostgreSQL, trying {clients} clients"));
        let window = plain.run(clients, 0, TRIAL_SECONDS).await?;
        let rate = window.operations as f64 / window.elapsed.as_secs_f64();
        if rate > best.0 {
            best = (rate, clients);
        }
    }
    Ok(best.1)
}

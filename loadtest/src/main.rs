//! Loads the wallet, measures it, and proves that no money was made or lost.

mod api;
mod bench;
mod client;
mod expiry;
mod faults;
mod fleet;
mod harm;
mod html;
mod journal;
mod load;
mod measure;
mod mix;
mod opening;
mod overload;
mod owners;
mod population;
mod progress;
mod proof;
mod run;
mod schedule;
mod sessions;
mod settle;
mod summary;
mod target;
mod until_known;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use tokio::runtime::{Builder, LocalOptions};

/// Drives the wallet like many users, and proves afterwards that it kept its word.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunOptions),
    Bench(bench::BenchOptions),
    Faults(faults::FaultsOptions),
    Overload(overload::OverloadOptions),
    Expiry(expiry::ExpiryOptions),
}

/// How a command ended that could be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Fine,
    /// Something was not done.
    Failed,
    /// The wallet broke its word.
    Breach,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match carry_out(cli.command) {
        Ok(Outcome::Fine) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::from(1),
        Ok(Outcome::Breach) => ExitCode::from(3),
        Err(error) => {
            eprintln!("loadtest: {error:#}");
            ExitCode::from(1)
        }
    }
}

/// Everything runs on this one thread, so that a load generator leaves the machine to what it measures.
fn carry_out(command: Command) -> Result<Outcome> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    runtime.block_on(async {
        match command {
            Command::Run(options) => run::run(options).await,
            Command::Bench(options) => bench::bench(options).await,
            Command::Faults(options) => faults::faults(options).await,
            Command::Overload(options) => overload::overload(options).await,
            Command::Expiry(options) => expiry::expiry(options).await,
        }
    })
}

//! Checks the rules of money under everything that can happen around them, and says what it found.

mod cli;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Visits every state of a small wallet, or runs a larger one in virtual time, seed by seed.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Model(cli::model::ModelOptions),
    Run(cli::run::RunOptions),
}

/// How a check ended that could be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// As it should be.
    Fine,
    /// Not everything was looked at.
    Failed,
    /// A promise is broken, or a planted bug was not found.
    Breach,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Model(options) => cli::model::run(&options),
        Command::Run(options) => cli::run::run(&options),
    };
    match done {
        Ok(Verdict::Fine) => ExitCode::SUCCESS,
        Ok(Verdict::Failed) => ExitCode::from(1),
        Ok(Verdict::Breach) => ExitCode::from(3),
        Err(error) => {
            eprintln!("simulator: {error:#}");
            ExitCode::from(1)
        }
    }
}

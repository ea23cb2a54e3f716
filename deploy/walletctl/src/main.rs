//! `walletctl`: the operator's command, and the launcher of the local cluster.
//!
//! Exit status: 0 fine, 1 failed, 2 usage, 3 an invariant is broken.

mod banner;
mod commands;
mod data_dir_in_use;
mod display;
mod duration;
mod first_check;
mod interrupt;
mod metrics;
mod outcome;
mod output;
mod shards;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::commands::Command;

/// Runs, looks at and checks a wallet.
#[derive(Debug, Parser)]
#[command(name = "walletctl", version, propagate_version = true, max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    options: GlobalOptions,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct GlobalOptions {
    /// Print JSON instead of text for people
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Directory of the local cluster
    #[arg(long, global = true, value_name = "DIR", default_value = ".wallet", env = "WALLET_DATA_DIR")]
    pub(crate) data_dir: PathBuf,

    /// Only say what would be changed
    #[arg(long, global = true)]
    pub(crate) dry_run: bool,
}

/// One thread: signals that end children with their parent are tied to threads.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Arguments { options, command } = Arguments::parse();
    outcome::exit_code(command.run(&options).await)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}

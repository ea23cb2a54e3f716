//! The command line that every process has.

use std::path::PathBuf;

use clap::Parser;

/// `--config FILE` and `--check-config`; `--help` and `--version` come with them.
#[derive(Debug, Clone, Parser)]
pub struct Arguments {
    /// The TOML file to read; the environment (WALLET_HTTP__BIND for http.bind) wins over it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Validate the configuration, report every mistake, and exit (0 fine, 2 mistakes)
    #[arg(long)]
    pub check_config: bool,
}

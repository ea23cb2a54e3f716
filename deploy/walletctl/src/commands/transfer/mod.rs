//! What can be asked about transfers.

mod events;
mod trace;

use anyhow::Result;
use clap::Subcommand;

use crate::GlobalOptions;
use crate::outcome::Outcome;

/// Look at transfers
#[derive(Debug, Subcommand)]
pub(crate) enum Transfer {
    Trace(trace::Trace),
}

impl Transfer {
    pub(crate) async fn run(self, options: &GlobalOptions) -> Result<Outcome> {
        match self {
            Self::Trace(command) => command.run(options).await,
        }
    }
}

//! What can be asked about the topology.

mod show;

use anyhow::Result;
use clap::Subcommand;

use crate::GlobalOptions;
use crate::outcome::Outcome;

/// Look at the topology
#[derive(Debug, Subcommand)]
pub(crate) enum Topology {
    Show(show::Show),
}

impl Topology {
    pub(crate) async fn run(self, options: &GlobalOptions) -> Result<Outcome> {
        match self {
            Self::Show(command) => command.run(options).await,
        }
    }
}

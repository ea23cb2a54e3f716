//! What can be asked about open transfers between shards.

mod list;

use anyhow::Result;
use clap::Subcommand;

use crate::GlobalOptions;
use crate::outcome::Outcome;

/// Look at open transfers between shards
#[derive(Debug, Subcommand)]
pub(crate) enum Saga {
    List(list::List),
}

impl Saga {
    pub(crate) async fn run(self, options: &GlobalOptions) -> Result<Outcome> {
        match self {
            Self::List(command) => command.run(options).await,
        }
    }
}

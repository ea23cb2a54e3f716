//! What can be asked about shards.

mod activity;
mod list;
mod stored;

use anyhow::Result;
use clap::Subcommand;

use crate::GlobalOptions;
use crate::outcome::Outcome;

/// Look at the shards
#[derive(Debug, Subcommand)]
pub(crate) enum Shard {
    List(list::List),
}

impl Shard {
    pub(crate) async fn run(self, options: &GlobalOptions) -> Result<Outcome> {
        match self {
            Self::List(command) => command.run(options).await,
        }
    }
}

//! What can be asked about accounts.

mod locate;
mod show;

use anyhow::Result;
use clap::Subcommand;

use crate::GlobalOptions;
use crate::outcome::Outcome;

/// Find an account, or look at it
#[derive(Debug, Subcommand)]
pub(crate) enum Account {
    Locate(locate::Locate),
    Show(show::Show),
}

impl Account {
    pub(crate) async fn run(self, options: &GlobalOptions) -> Result<Outcome> {
        match self {
            Self::Locate(command) => command.run(options).await,
            Self::Show(command) => command.run(options).await,
        }
    }
}

//! Sessions, for environments where the Auth Service does not make them.

mod add;
mod revoke;
mod targets;

use anyhow::Result;
use clap::Subcommand;

use crate::GlobalOptions;
use crate::outcome::Outcome;

/// Add or revoke a session
#[derive(Debug, Subcommand)]
pub(crate) enum Session {
    Add(add::Add),
    Revoke(revoke::Revoke),
}

impl Session {
    pub(crate) async fn run(self, options: &GlobalOptions) -> Result<Outcome> {
        match self {
            Self::Add(command) => command.run(options).await,
            Self::Revoke(command) => command.run(options).await,
        }
    }
}

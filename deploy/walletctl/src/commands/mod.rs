//! The commands, one a file.

mod doctor;
mod down;
mod session;
mod status;
mod up;

use anyhow::Result;
use clap::Subcommand;

use crate::GlobalOptions;
use crate::outcome::Outcome;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Up(up::Up),
    Down(down::Down),
    Status(status::Status),
    Doctor(doctor::Doctor),
    #[command(subcommand)]
    Session(session::Session),
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self, options: &GlobalOptions) -> Result<Outcome> {
        match self {
            Self::Up(command) => command.run(options).await,
            Self::Down(command) => command.run(options).await,
            Self::Status(command) => command.run(options).await,
            Self::Doctor(command) => command.run(options).await,
            Self::Session(command) => command.run(options).await,
        }
    }
}

//! The commands, one a file.

mod account;
mod doctor;
mod down;
mod saga;
mod session;
mod shard;
mod status;
mod topology;
mod transfer;
mod up;
mod verify;
mod verify_chain;
mod verify_events;

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
    Verify(verify::Verify),
    #[command(subcommand)]
    Shard(shard::Shard),
    #[command(subcommand)]
    Saga(saga::Saga),
    #[command(subcommand)]
    Transfer(transfer::Transfer),
    #[command(subcommand)]
    Account(account::Account),
    #[command(subcommand)]
    Topology(topology::Topology),
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
            Self::Verify(command) => command.run(options).await,
            Self::Shard(command) => command.run(options).await,
            Self::Saga(command) => command.run(options).await,
            Self::Transfer(command) => command.run(options).await,
            Self::Account(command) => command.run(options).await,
            Self::Topology(command) => command.run(options).await,
            Self::Session(command) => command.run(options).await,
        }
    }
}

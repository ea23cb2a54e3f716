//! The subcommands.

pub mod model;
mod progress;

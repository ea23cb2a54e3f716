//! The subcommands.

pub mod model;
mod progress;
pub mod run;

//! What every process of the wallet needs and that knows nothing of money: configuration, logging,
//! metrics, serving HTTP, and draining.
//!
//! A binary is a configuration and a future; [`run::run`] does the rest:
//!
//! ```no_run
//! use runtime::{config::Fields, run::{self, Program}, shutdown::Shutdown};
//!
//! struct Config { greeting: String }
//!
//! impl Config {
//!     fn read(fields: &mut Fields) -> Option<Self> {
//!         let greeting = fields.required("greeting");
//!         Some(Self { greeting: greeting? })
//!     }
//! }
//!
//! async fn greet(config: Config, shutdown: Shutdown) -> Result<(), std::io::Error> {
//!     tracing::info!(greeting = config.greeting, "started");
//!     shutdown.triggered().await;
//!     Ok(())
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     let program = Program { name: "greeter", about: "Greets", version: env!("CARGO_PKG_VERSION") };
//!     run::run(&program, Config::read, greet)
//! }
//! ```

pub mod admin;
pub mod body;
pub mod cli;
pub mod config;
#[cfg(feature = "faults")]
pub mod faults;
pub mod in_flight;
pub mod logging;
pub mod metrics;
mod points;
mod process;
pub mod run;
pub mod serve;
pub mod shutdown;

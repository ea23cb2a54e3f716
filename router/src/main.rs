//! The `router` binary.

use router::config::Config;
use runtime::run::{self, Program};
use std::process::ExitCode;

fn main() -> ExitCode {
    let program = Program {
        name: "router",
        about: "Serves the wallet's HTTP API: authenticates, validates, and asks the shard that owns the account",
        version: env!("CARGO_PKG_VERSION"),
    };
    run::run(&program, Config::read, router::serve)
}

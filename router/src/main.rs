//! The `router` binary.

use mimalloc::MiMalloc;
use router::config::Config;
use runtime::run::{self, Program};
use std::process::ExitCode;

/// With thousands of requests in flight, of which each holds buffers of its own, the allocator of glibc takes a fifth of
/// the router's time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let program = Program {
        name: "router",
        about: "Serves the wallet's HTTP API: authenticates, validates, and asks the shard that owns the account",
        version: env!("CARGO_PKG_VERSION"),
    };
    run::run(&program, Config::read, router::serve)
}

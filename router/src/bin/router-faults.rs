//! A router with crash points and planted bugs, for tests.

use runtime::run::{self, Program};
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Err(error) = router::faults::begin() {
        eprintln!("{error}");
        return ExitCode::from(2);
    }
    let program = Program {
        name: "router-faults",
        about: "A router that can be made to die or err at chosen points: for tests only",
        version: env!("CARGO_PKG_VERSION"),
    };
    run::run(&program, router::config::Config::read, router::serve)
}

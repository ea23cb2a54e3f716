//! A shard-node with crash points and planted bugs, for tests.

use runtime::run::Program;
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Err(error) = shard_node::faults::begin() {
        eprintln!("{error}");
        return ExitCode::from(2);
    }
    let program = Program {
        name: "shard-node-faults",
        about: "A shard-node that can be made to die or err at chosen points: for tests only",
        version: env!("CARGO_PKG_VERSION"),
    };
    runtime::run::run(&program, shard_node::config::Config::read, shard_node::start)
}

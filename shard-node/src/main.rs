//! The binary that owns a PostgreSQL.

use runtime::run::Program;
use std::process::ExitCode;

fn main() -> ExitCode {
    let program = Program {
        name: "shard-node",
        about: "Owns one shard of the wallet: decides, stores and answers for its PostgreSQL",
        version: env!("CARGO_PKG_VERSION"),
    };
    runtime::run::run(&program, shard_node::config::Config::read, shard_node::start)
}

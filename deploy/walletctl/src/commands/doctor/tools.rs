//! The programs that a local cluster needs.

use local_cluster::{Binaries, FoundTools, POSTGRES_MAJOR_MIN, is_on_path};

use super::Check;

pub(super) fn checks() -> Vec<Check> {
    let found = FoundTools::look();
    vec![postgres(&found), redis(&found), wrappers(), ours()]
}

fn postgres(found: &FoundTools) -> Check {
    const CHECK: &str = "postgres";
    let install = "sudo apt-get install -y postgresql; `walletctl up` does that by itself as root or with sudo";
    match &found.postgres {
        Some((bin, version)) => Check::ok(CHECK, format!("{version} in {}", bin.display())),
        None if found.too_old.is_empty() => Check::failed(CHECK, "not found", install),
        None => {
            let result = format!("only {}, and {POSTGRES_MAJOR_MIN} is needed", found.too_old.join(", "));
            Check::failed(CHECK, result, "see https://apt.postgresql.org")
        }
    }
}

fn redis(found: &FoundTools) -> Check {
    let install = "sudo apt-get install -y redis-server; `walletctl up` does that by itself as root or with sudo";
    match &found.redis {
        Some((path, version)) => Check::ok("redis-server", format!("{version} at {}", path.display())),
        None => Check::failed("redis-server", "not found", install),
    }
}

fn wrappers() -> Check {
    const CHECK: &str = "setsid, setpriv";
    let missing: Vec<&str> = ["setsid", "setpriv"].into_iter().filter(|program| !is_on_path(program)).collect();
    if missing.is_empty() {
        return Check::ok(CHECK, "found");
    }
    Check::failed(CHECK, format!("{} not found", missing.join(", ")), "sudo apt-get install -y util-linux")
}

fn ours() -> Check {
    const CHECK: &str = "router, shard-node";
    match Binaries::look() {
        Some(found) => Check::ok(CHECK, format!("{}, {}", found.router.display(), found.shard_node.display())),
        None => {
            Check::warning(CHECK, "not built", "cargo build --workspace --bins; `cargo run -- up` does it by itself")
        }
    }
}

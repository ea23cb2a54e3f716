//! The data directory, its ports, and the cluster that runs there.

use std::path::Path;

use anyhow::Result;
use local_cluster::{Cluster, ClusterSpec, DataDir, Preview, Process, State};

use super::Check;

pub(super) async fn checks(data_dir: &Path) -> Vec<Check> {
    match Cluster::attach(data_dir) {
        Err(error) => vec![Check::failed("data directory", format!("{error:#}"), "choose another --data-dir")],
        Ok(None) => vec![Check::ok("data directory", "none yet"), ports(data_dir)],
        Ok(Some(cluster)) if cluster.processes().iter().any(Process::is_alive) => health(&cluster).await,
        Ok(Some(_)) => vec![Check::ok("data directory", "of a stopped cluster"), ports(data_dir)],
    }
}

fn ports(data_dir: &Path) -> Check {
    const CHECK: &str = "ports";
    match taken_ports(data_dir) {
        Ok(None) => Check::ok(CHECK, "free"),
        Ok(Some(taken)) => {
            let (lines, mend) = taken.rsplit_once('\n').unwrap_or((&taken, ""));
            Check::failed(CHECK, lines.to_owned(), mend.to_owned())
        }
        Err(error) => Check::failed(CHECK, format!("{error:#}"), ""),
    }
}

fn taken_ports(data_dir: &Path) -> Result<Option<String>> {
    let usual = ClusterSpec::kept_in(data_dir);
    let last = DataDir::open(data_dir)?.map(|data_dir| State::read(&data_dir)).transpose()?.flatten();
    let spec = match last {
        Some(State { regions, shards_per_region, base_port, .. }) => {
            ClusterSpec { regions, shards_per_region, base_port, ..usual }
        }
        None => usual,
    };
    Ok(Preview::of(&spec)?.taken_ports)
}

async fn health(cluster: &Cluster) -> Vec<Check> {
    let mut checks = Vec::new();
    for process in cluster.processes() {
        let log = cluster.data_dir().log(&process.name).display().to_string();
        let result = |state: &str| format!("{} {state}", process.name);
        checks.push(if !process.is_alive() {
            Check::failed("process", result("does not run"), format!("see {log}; `walletctl down`, then `up`"))
        } else if cluster.is_ready(&process).await.unwrap_or(false) {
            Check::ok("process", result("ready"))
        } else {
            Check::failed("process", result("is not ready"), format!("see {log}"))
        });
    }
    checks
}

//! `walletctl status`

use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::join_all;
use local_cluster::{Cluster, Method, Process, Role, call};
use serde::Serialize;

use crate::GlobalOptions;
use crate::data_dir_in_use::{self, is_stopped};
use crate::outcome::Outcome;
use crate::output::{mebibytes, print, print_json, table};

/// Show each process of the local cluster; exit status 1 if one is not ready
#[derive(Debug, clap::Args)]
pub(crate) struct Status {}

/// A process as it is now.
#[derive(Debug, Serialize)]
struct Row {
    process: String,
    role: Role,
    region: String,
    shard: Option<u16>,
    address: String,
    admin_address: Option<String>,
    pid: Option<u32>,
    state: State,
    ready: bool,
    /// The topology it works with; only routers and shard-nodes have one.
    topology_version: Option<u64>,
    memory_bytes: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Stopped,
    NotReady,
    Ready,
}

#[derive(Serialize)]
struct Report {
    data_dir: String,
    ready: bool,
    memory_bytes: u64,
    processes: Vec<Row>,
}

impl Status {
    pub(crate) async fn run(self, options: &GlobalOptions) -> Result<Outcome> {
        let cluster = data_dir_in_use::running_or_not(options)?;
        let processes = cluster.processes();
        let rows: Vec<Row> = join_all(processes.iter().map(|process| row(&cluster, process))).await;
        let report = Report {
            data_dir: cluster.data_dir().path().display().to_string(),
            ready: rows.iter().all(|row| row.ready),
            memory_bytes: rows.iter().filter_map(|row| row.memory_bytes).sum(),
            processes: rows,
        };
        if options.json {
            print_json(&report)?;
        } else {
            print(&text(&report, options))?;
        }
        Ok(if report.ready { Outcome::Fine } else { Outcome::NotWell })
    }
}

async fn row(cluster: &Cluster, process: &Process) -> Row {
    let pid = process.pid();
    // A PostgreSQL that refuses its superuser does not serve either.
    let ready = pid.is_some() && cluster.is_ready(process).await.unwrap_or(false);
    let state = match (pid, ready) {
        (None, _) => State::Stopped,
        (Some(_), false) => State::NotReady,
        (Some(_), true) => State::Ready,
    };
    Row {
        process: process.name.to_string(),
        role: process.name.role(),
        region: process.region.clone(),
        shard: process.name.shard(),
        address: process.address.to_string(),
        admin_address: process.admin_address.map(|address| address.to_string()),
        pid,
        state,
        ready,
        topology_version: if ready { topology_version(process).await } else { None },
        memory_bytes: process.identity.as_ref().filter(|_| pid.is_some()).and_then(|identity| identity.memory_bytes()),
    }
}

/// The version that a ready process works with. It writes it into its metrics from time to time, first as 0.
async fn topology_version(process: &Process) -> Option<u64> {
    const PATIENCE: Duration = Duration::from_millis(1500);
    const POLL: Duration = Duration::from_millis(50);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let version = measured_topology_version(process).await?;
        if version > 0 {
            return Some(version);
        }
        if Instant::now() > deadline {
            return None;
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn measured_topology_version(process: &Process) -> Option<u64> {
    let metrics = call(process.admin_address?, Method::GET, "/metrics", &[], None).await.ok()?;
    let mut lines = metrics.body.lines();
    lines.find_map(|line| line.strip_prefix("wallet_topology_version ")).and_then(|value| value.trim().parse().ok())
}

fn text(report: &Report, options: &GlobalOptions) -> String {
    let header = ["PROCESS", "ROLE", "REGION", "SHARD", "ADDRESS", "PID", "STATE", "TOPOLOGY", "MEMORY"];
    let dash = || "-".to_owned();
    let rows = report.processes.iter().map(|row| {
        vec![
            row.process.clone(),
            row.role.to_string(),
            row.region.clone(),
            row.shard.map_or_else(dash, |shard| shard.to_string()),
            row.address.clone(),
            row.pid.map_or_else(dash, |pid| pid.to_string()),
            row.state.as_str().to_owned(),
            row.topology_version.map_or_else(dash, |version| version.to_string()),
            row.memory_bytes.map_or_else(dash, mebibytes),
        ]
    });
    let is_running = report.processes.iter().any(|row| row.pid.is_some());
    let last = match is_running {
        true => format!("{} together, in {}", mebibytes(report.memory_bytes), report.data_dir),
        false => is_stopped(options),
    };
    format!("{}\n{last}", table(&header, rows))
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::NotReady => "not ready",
            Self::Ready => "ready",
        }
    }
}

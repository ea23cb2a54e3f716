//! The wallet that is loaded: one of its own, or one that runs somewhere.

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use local_cluster::{Cluster, ClusterSpec, Event, Role};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::Serialize;

use super::cores::{self, Cores};
use super::ground::Ground;
use super::{OverloadOptions, PATIENCE, RoutersOn, manner};
use crate::bench::cpu::{CpuTimes, Probe};
use crate::mix::{Mix, Shares};
use crate::opening::{self, Wanted};
use crate::sessions::Visitors;
use crate::target::Target;

/// What every account starts with, far more than it can lose.
const BALANCE: i64 = 100_000;
const ACCOUNTS_OF_USER: usize = 10;

/// A wallet with accounts in it.
pub struct Place {
    cluster: Option<Cluster>,
    visitors: Visitors,
    probe: Probe,
    cores: Option<Cores>,
    routers_on: RoutersOn,
    routers: usize,
    shards: usize,
}

/// What a report says of the wallet.
#[derive(Debug, Clone, Serialize)]
pub struct Description {
    /// Whether it was started for this, and runs on this machine.
    pub own: bool,
    /// Routers that requests are sent to.
    pub routers: usize,
    /// Shards that have accounts.
    pub shards: usize,
    /// Which cores this program and the wallet were kept on.
    pub cores: Option<Cores>,
    /// On which of them the routers were.
    pub routers_on: RoutersOn,
}

impl Place {
    /// Starts or finds the wallet, opens the accounts, and takes the cores apart.
    ///
    /// # Errors
    /// The wallet cannot be started or reached, or refuses something.
    pub async fn prepare(options: &OverloadOptions, line: &ProgressBar) -> Result<(Self, Ground)> {
        allow_connections()?;
        let (cluster, target) = find(options, line).await?;
        line.set_message("opening accounts");
        let mut visitors = Visitors::connect(&target.redis).await?;
        let run = format!("ov-{:06x}", rand::random::<u32>() >> 8);
        let wanted = Wanted {
            run: run.clone(),
            users: options.accounts.div_ceil(ACCOUNTS_OF_USER),
            accounts: options.accounts,
            balance: BALANCE,
            currency: "SGD".to_owned(),
            session_life: 20 * PATIENCE,
        };
        let population = opening::open(&target.routers, &mut visitors, &wanted, &manner(), || ()).await?.population;
        let cross_shard = if population.shards.len() > 1 { options.cross_shard } else { 0.0 };
        let mix = Mix::new(Shares { reads: 0.0, cross_shard, cross_region: None, doomed: 0.01 }, &population)?;
        let (probe, cores) = match &cluster {
            Some(cluster) => {
                let (beside, others) = pids(cluster, options.routers_on)?;
                (crate::bench::probe(cluster)?, cores::part(&beside, &others)?)
            }
            None => (Probe::default(), None),
        };
        let (routers, shards) = (target.routers.len(), population.shards.len());
        let routers_on = options.routers_on;
        Ok((Self { cluster, visitors, probe, cores, routers_on, routers, shards }, Ground::new(population, mix, run)))
    }

    /// The CPU time that each part of an own wallet has used so far.
    ///
    /// # Errors
    /// A process is gone.
    pub fn cpu(&self) -> Result<CpuTimes> {
        self.probe.read()
    }

    /// The CPU time since then.
    ///
    /// # Errors
    /// A process is gone.
    pub fn cpu_since(&self, before: &CpuTimes) -> Result<CpuTimes> {
        self.probe.since(before)
    }

    /// For the report.
    pub fn describe(&self) -> Description {
        let Self { routers_on, routers, shards, .. } = *self;
        Description { own: self.cluster.is_some(), routers, shards, cores: self.cores.clone(), routers_on }
    }

    /// Ends the sessions, and an own wallet with all that is in it.
    ///
    /// # Errors
    /// A process does not end, or a Redis does not answer.
    pub async fn leave(self) -> Result<()> {
        match self.cluster {
            Some(cluster) => cluster.stop(&mut |_| ()).await,
            None => self.visitors.dismiss().await,
        }
    }
}

async fn find(options: &OverloadOptions, line: &ProgressBar) -> Result<(Option<Cluster>, Target)> {
    if !options.routers.is_empty() {
        return Ok((None, Target::new(&options.routers, options.redis.clone()).await?));
    }
    let spec = ClusterSpec { seed: false, ..ClusterSpec::scratch() };
    let cluster = Cluster::start(spec, &mut |event: Event| line.set_message(event.to_string())).await?;
    let target = Target::of_cluster(&cluster).await?;
    Ok((Some(cluster), target))
}

/// The processes beside this program, and the others.
fn pids(cluster: &Cluster, routers_on: RoutersOn) -> Result<(Vec<u32>, Vec<u32>)> {
    let (mut beside, mut others) = (vec![], vec![]);
    for process in cluster.processes() {
        let pid = process.pid().with_context(|| format!("{} has ended", process.name))?;
        match process.name.role() == Role::Router && routers_on == RoutersOn::CoreOfLoad {
            true => beside.push(pid),
            false => others.push(pid),
        }
    }
    Ok((beside, others))
}

/// Every connection is a file; routers that we start inherit the limit.
fn allow_connections() -> Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).context("cannot tell how many files may be open")?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most).context("cannot open more files")
}

//! What cluster is wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use placement::topology::CurrencySpec;

use crate::binaries::Binaries;
use crate::name::{ProcessName, Role};
use crate::state::State;
use crate::tools::Tools;
use crate::{config_files, ports};

/// How long the processes live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Until the [`crate::Cluster`] is stopped or dropped, or this program dies in whatever way.
    WithThisProgram,
    /// Until somebody stops them: they go on when this program ends.
    Detached,
}

/// What of the cluster is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    /// Everything.
    All,
    /// Only PostgreSQL (empty databases) and Redis, for whoever wants to work on those.
    ServersOnly,
}

/// A cluster to start. Make one with [`ClusterSpec::scratch`] or [`ClusterSpec::kept_in`] and change what differs.
#[derive(Debug, Clone)]
pub struct ClusterSpec {
    /// Where everything is kept; `None`: a new directory for temporary files, deleted in the end.
    pub data_dir: Option<PathBuf>,
    /// Names of the regions, the first one is the home of the seeded `house`.
    pub regions: Vec<String>,
    /// Shards in each region, 1 or more.
    pub shards_per_region: u16,
    /// All ports follow from it; `None`: free ones are chosen.
    pub base_port: Option<u16>,
    /// Routers in each region, 1 or more.
    pub routers_per_region: u16,
    /// Shard-nodes over each shard's PostgreSQL, 1 or more.
    pub replicas_per_shard: u16,
    /// The currencies accounts may be held in.
    pub currencies: Vec<CurrencySpec>,
    /// How long the processes live.
    pub lifetime: Lifetime,
    /// What is started.
    pub parts: Parts,
    /// Whether the users `house`, `yunus`, `nick`, `andrew` and the `admin` token are made.
    pub seed: bool,
    /// Whether data of an earlier cluster in `data_dir` is deleted first.
    pub fresh: bool,
    /// Whether the compiler's progress is hidden.
    pub quiet_build: bool,
    /// Environment of every router, such as `WALLET_SESSIONS__CACHE_TTL_MS`.
    pub router_env: BTreeMap<String, String>,
    /// Environment of every shard-node, such as `WALLET_LANES__COUNT`.
    pub shard_node_env: BTreeMap<String, String>,
    /// Further lines of `postgresql.conf`; they win over the usual ones.
    pub postgres_settings: BTreeMap<String, String>,
    /// Where the others find a process, if not where it listens: the address of a proxy. Shard-nodes are advertised in
    /// the topology, PostgreSQL servers to their shard-nodes, Redis servers to their routers and shard-nodes.
    pub advertised: BTreeMap<ProcessName, SocketAddr>,
    /// PostgreSQL servers whose files stand on a disk of their own of so many bytes, so that it can be filled. Only for
    /// scratch clusters, and where [`crate::can_mount`].
    pub disks: BTreeMap<ProcessName, u64>,
    /// Shards whose PostgreSQL has a synchronous standby, `postgres-1.1` for shard 1. Only for scratch clusters.
    pub standbys: BTreeSet<u16>,
    /// Whether the programs built with the feature `faults` run; the ordinary ones, where the checkout has none.
    pub fault_programs: bool,
}

impl ClusterSpec {
    /// Two regions of two shards on free ports in a temporary directory: for tests and measurements. Nothing of it
    /// remains when the cluster is dropped, or when this program is killed.
    pub fn scratch() -> Self {
        Self {
            data_dir: None,
            regions: vec!["sg".to_owned(), "eu".to_owned()],
            shards_per_region: 2,
            base_port: None,
            routers_per_region: 1,
            replicas_per_shard: 1,
            currencies: usual_currencies(),
            lifetime: Lifetime::WithThisProgram,
            parts: Parts::All,
            seed: true,
            fresh: false,
            quiet_build: true,
            router_env: BTreeMap::new(),
            shard_node_env: BTreeMap::new(),
            postgres_settings: BTreeMap::new(),
            advertised: BTreeMap::new(),
            disks: BTreeMap::new(),
            standbys: BTreeSet::new(),
            fault_programs: false,
        }
    }

    /// The same cluster with programs that have crash points and planted bugs: built with the feature `faults`.
    #[must_use]
    pub fn with_faults(self) -> Self {
        Self { fault_programs: true, ..self }
    }

    /// The same cluster in a directory that stays, on the usual ports from 8080.
    pub fn kept_in(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: Some(data_dir.into()),
            base_port: Some(ports::DEFAULT_BASE),
            quiet_build: false,
            ..Self::scratch()
        }
    }

    /// Checks what can be checked by looking at this alone.
    ///
    /// # Errors
    /// There can be no such cluster; the message says why.
    pub fn check(&self) -> Result<()> {
        let per_region = [self.shards_per_region, self.routers_per_region, self.replicas_per_shard];
        ensure!(!per_region.contains(&0), "a region needs a shard, a shard a shard-node, a region a router");
        let regions = u32::try_from(self.regions.len())?;
        let shard_nodes = regions * u32::from(self.shards_per_region) * u32::from(self.replicas_per_shard);
        let routers = regions * u32::from(self.routers_per_region);
        let max = u32::from(ports::BLOCK);
        ensure!(shard_nodes <= max && routers <= max, "at most {max} shard-nodes and {max} routers fit on one machine");
        ports::check_base(self.base_port)?;
        let servers = self.disks.keys().all(|name| name.role() == Role::Postgres);
        ensure!(servers, "only a PostgreSQL has a disk of its own");
        let is_scratch = self.data_dir.is_none();
        ensure!(
            is_scratch || (self.disks.is_empty() && self.standbys.is_empty()),
            "disks and standbys are for scratch clusters"
        );
        // Names and currencies are right if the topology would be.
        let planned = State::plan(self, Tools::unknown(), Some(Binaries::unknown()))?;
        config_files::topology(&planned).map(|_| ())
    }
}

/// Whole and divided ones, so that both are met before production.
fn usual_currencies() -> Vec<CurrencySpec> {
    let usual = [("SGD", 0, 999_999), ("EUR", 2, 99_999_999), ("USD", 2, 99_999_999), ("JPY", 0, 99_999_999)];
    let specs = usual.map(|(code, exponent, transfer_amount_max)| CurrencySpec {
        code: code.to_owned(),
        exponent,
        transfer_amount_max,
    });
    specs.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut ClusterSpec)) -> Result<()> {
        let mut spec = ClusterSpec::scratch();
        change(&mut spec);
        spec.check()
    }

    #[test]
    fn usual_cluster_is_accepted() {
        with(|_| ()).unwrap();
        ClusterSpec::kept_in("/tmp/x").check().unwrap();
    }

    #[test]
    fn impossible_clusters_are_refused() {
        assert!(with(|spec| spec.regions = vec![]).is_err());
        for name in ["", "SG", "1sg", "s g", "sg.1", "../sg", &"a".repeat(33)] {
            assert!(with(|spec| spec.regions = vec![name.to_owned()]).is_err(), "{name}");
        }
        assert!(with(|spec| spec.regions = vec!["sg".to_owned(), "sg".to_owned()]).is_err());
        assert!(with(|spec| spec.currencies.clear()).is_err());
        assert!(with(|spec| spec.shards_per_region = 0).is_err());
        assert!(with(|spec| spec.shards_per_region = 51).is_err());
        assert!(with(|spec| spec.base_port = Some(65_000)).is_err());
        assert!(with(|spec| spec.base_port = Some(80)).is_err());
    }
}

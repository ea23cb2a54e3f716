//! The cluster that is hurt.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use local_cluster::{Cluster, ClusterSpec, Event, ProcessName, Role, WrongClock, can_mount};
use tokio::sync::{Mutex as Turn, MutexGuard as TurnGuard};
use tokio::task::JoinSet;

use super::draw::Layout;
use super::kinds::Harm;
use super::proxy::Proxies;

/// The shard whose PostgreSQL has a disk that can be filled: one without a standby.
const LIMITED_DISK: u16 = 2;
/// It stands in memory. The cluster's logs of changes are kept small enough for it.
const DISK_BYTES: u64 = 1 << 30;

/// What cluster is to be hurt.
#[derive(Debug, Clone)]
pub struct HarmOptions {
    /// Whether the programs built with the feature `faults` run, those with crash points and planted bugs.
    pub faults: bool,
    /// The shards that get a synchronous standby; the other ones have a single PostgreSQL.
    pub standbys: Vec<u16>,
    /// Environment of every router.
    pub router_env: BTreeMap<String, String>,
    /// Environment of every shard-node.
    pub shard_node_env: BTreeMap<String, String>,
    /// Whether there are users, as in every local cluster; see [`local_cluster::USERS`].
    pub seed: bool,
}

impl Default for HarmOptions {
    fn default() -> Self {
        let (router_env, shard_node_env) = (BTreeMap::new(), BTreeMap::new());
        Self { faults: false, standbys: vec![3], router_env, shard_node_env, seed: false }
    }
}

/// What happens to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// It is about to be stopped or killed.
    Down(&'a ProcessName),
    /// It goes on after it was stopped.
    GoesOn(&'a ProcessName),
    /// It was started, or promoted. It need not be ready.
    Started(&'a ProcessName),
}

/// Is told what happens to which process, as it happens.
pub type Told<'a> = &'a dyn Fn(Change<'_>);

/// Where a router is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouterPlace {
    /// The process.
    pub name: ProcessName,
    /// Its region.
    pub region: String,
    /// Where it serves, such as `http://127.0.0.1:8080`.
    pub url: String,
    /// Where `/readyz` and `/metrics` are.
    pub admin: SocketAddr,
}

/// Where a shard's data is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardPlace {
    /// The shard.
    pub id: u16,
    /// Its region.
    pub region: String,
    /// Connection parameters in libpq's form for the database itself, past the proxies.
    pub postgres: String,
}

/// A local cluster in which every way between two processes leads through a proxy of this program.
pub struct HarmedCluster {
    pub(super) cluster: Cluster,
    pub(super) clock: Option<WrongClock>,
    pub(super) marks: Marks,
    pub(super) proxies: Proxies,
    layout: Layout,
    /// One harm at a time for each process.
    turns: HashMap<ProcessName, Turn<()>>,
}

/// What harms leave for the heal to undo, and for the report to tell.
#[derive(Default)]
pub(super) struct Marks {
    /// Those whose clock is wrong.
    pub(super) wrong_clocks: Mutex<BTreeSet<ProcessName>>,
    /// The shards whose disk is full.
    pub(super) full_disks: Mutex<BTreeSet<u16>>,
    /// What goes on until the heal.
    pub(super) ongoing: Mutex<JoinSet<()>>,
    pub(super) notes: Mutex<Vec<String>>,
    /// Programs of the wallet that ended by themselves.
    pub(super) deaths: Mutex<Vec<String>>,
}

impl HarmedCluster {
    /// Starts it: two regions of two shards, a router in each region.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub async fn start(options: HarmOptions) -> Result<Self> {
        let HarmOptions { faults, standbys, router_env, shard_node_env, seed } = options;
        let marks = Marks::default();
        let clock = match WrongClock::find_or_install(&mut |_| ()).await {
            Ok(clock) => Some(clock),
            Err(error) => {
                marks.note(format!("no clock is set wrong: {error:#}"));
                None
            }
        };
        let mut disks = BTreeMap::from([(server(LIMITED_DISK), DISK_BYTES)]);
        if standbys.contains(&LIMITED_DISK) || !can_mount() {
            marks.note("no disk is filled: this program may not mount a small one".to_owned());
            disks.clear();
        }
        let proxies = Proxies::start(&proxied(&standbys))?;
        let spec = ClusterSpec {
            advertised: proxies.addresses().iter().map(|(name, address)| (name.clone(), *address)).collect(),
            seed,
            router_env,
            shard_node_env,
            disks,
            standbys: standbys.iter().copied().collect(),
            fault_programs: faults,
            postgres_settings: BTreeMap::from([("max_wal_size".to_owned(), "256MB".to_owned())]),
            ..ClusterSpec::scratch()
        };
        let limited_disks = spec.disks.keys().filter_map(ProcessName::shard).collect();
        let mut aim = |event| {
            if let Event::Planned { processes } = event {
                proxies.aim(&processes);
            }
        };
        let cluster = Cluster::start(spec, &mut aim).await?;
        let layout = Layout { limited_disks, standbys, clocks: clock.is_some(), ..layout(&cluster) };
        let turns = cluster.processes().into_iter().map(|process| (process.name, Turn::default())).collect();
        Ok(Self { cluster, clock, marks, proxies, layout, turns })
    }

    /// All routers.
    pub fn routers(&self) -> Vec<RouterPlace> {
        let routers = self.cluster.processes().into_iter().filter(|process| process.name.role() == Role::Router);
        let place = |router: local_cluster::Process| {
            let url = format!("http://{}", router.address);
            Some(RouterPlace { admin: router.admin_address?, name: router.name, region: router.region, url })
        };
        routers.filter_map(place).collect()
    }

    /// All shards.
    ///
    /// # Errors
    /// The cluster lacks what it was started with: a defect.
    pub fn shards(&self) -> Result<Vec<ShardPlace>> {
        let nodes = self.cluster.processes().into_iter().filter(|process| process.name.role() == Role::ShardNode);
        let shards = nodes.filter_map(|node| Some((node.name.shard()?, node.region)));
        let place = |(id, region)| Ok(ShardPlace { id, region, postgres: self.cluster.shard_postgres_url(id)? });
        shards.map(place).collect()
    }

    /// The cluster itself, for what is done past the proxies.
    pub fn local(&self) -> &Cluster {
        &self.cluster
    }

    /// What there is to be hurt.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What cannot be done on this machine, or happened unasked, in sentences for the report.
    pub fn notes(&self) -> Vec<String> {
        locked(&self.marks.notes).clone()
    }

    /// Which of the wallet's own programs were found to have ended by themselves since the last time, in sentences.
    pub fn take_deaths(&self) -> Vec<String> {
        std::mem::take(&mut *locked(&self.marks.deaths))
    }

    /// How many messages, since the start, the proxies cut, doubled, replayed, dropped or delayed; those that a partition
    /// held back are not counted.
    #[cfg(test)]
    pub fn messages_hurt(&self) -> u64 {
        self.proxies.ways.hits()
    }

    /// Does the harm. What ends by itself has ended when this returns: kills and restarts (the process has been started
    /// again and may not be ready yet), freezes, a failover's promotion. The rest lasts until [`Self::heal`]. Several may
    /// be inflicted at the same time; those that need the same process wait for each other.
    ///
    /// # Errors
    /// The harm could not be done.
    pub async fn inflict(&self, harm: &Harm, told: Told<'_>) -> Result<()> {
        match harm {
            Harm::Kill { process, pause_ms } => self.kill(process, *pause_ms, told).await,
            Harm::Freeze { process, pause_ms } => self.freeze(process, *pause_ms, told).await,
            Harm::RollingRestart => self.restart_all(told).await,
            Harm::WrongClock { process, ahead_seconds } => self.set_clock(process, *ahead_seconds, told).await,
            Harm::DiskFull { shard } => self.fill_disk(*shard),
            Harm::ConnectionsExhausted { shard } => self.exhaust_connections(*shard).await,
            Harm::Failover { shard } => self.fail_over(*shard, told).await,
            Harm::Partition { .. }
            | Harm::OneWayPartition { .. }
            | Harm::FlappingPartition { .. }
            | Harm::Delay { .. }
            | Harm::CutMidMessage { .. }
            | Harm::DuplicateRequests { .. }
            | Harm::ReplayRequests { .. }
            | Harm::DropAnswers { .. }
            | Harm::SlowPostgres { .. }
            | Harm::LoseCommits { .. } => {
                self.disturb(harm);
                Ok(())
            }
        }
    }

    /// The right to do something to a process, when it is its turn.
    pub(super) async fn turn_of(&self, name: &ProcessName) -> Result<TurnGuard<'_, ()>> {
        let turn = self.turns.get(name).with_context(|| format!("this cluster has no {name}"))?;
        Ok(turn.lock().await)
    }

    /// Whether a process is the PostgreSQL that a shard-node writes to; a standby is not.
    pub fn is_primary(&self, name: &ProcessName) -> bool {
        let primary = name.shard().filter(|_| name.role() == Role::Postgres).map(|shard| self.cluster.primary(shard));
        matches!(primary, Some(Ok(primary)) if primary == *name)
    }

    /// Stops the cluster and deletes it.
    ///
    /// # Errors
    /// Some processes do not end.
    pub async fn stop(self) -> Result<()> {
        self.cluster.stop(&mut |_| ()).await
    }
}

/// The processes that others connect to, in the usual cluster of two regions with two shards each.
fn proxied(standbys: &[u16]) -> Vec<ProcessName> {
    let ClusterSpec { regions, shards_per_region, .. } = ClusterSpec::scratch();
    let shards = (1..).take(regions.len() * usize::from(shards_per_region));
    let of_shard = shards.flat_map(|shard| [ProcessName::ShardNode { shard, replica: 0 }, server(shard)]);
    let second = standbys.iter().map(|shard| ProcessName::Postgres { shard: *shard, replica: 1 });
    let redis = regions.iter().map(|region| ProcessName::Redis { region: region.clone() });
    of_shard.chain(second).chain(redis).collect()
}

impl Marks {
    pub(super) fn note(&self, note: String) {
        locked(&self.notes).push(note);
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first PostgreSQL of a shard.
pub(super) fn server(shard: u16) -> ProcessName {
    ProcessName::Postgres { shard, replica: 0 }
}

/// The shard-node of a shard.
pub(super) fn node(shard: u16) -> ProcessName {
    ProcessName::ShardNode { shard, replica: 0 }
}

fn layout(cluster: &Cluster) -> Layout {
    let names = |role| {
        let processes = cluster.processes().into_iter().map(|process| process.name);
        processes.filter(|name| name.role() == role).collect()
    };
    Layout {
        routers: names(Role::Router),
        shard_nodes: names(Role::ShardNode),
        postgres: names(Role::Postgres),
        redis: names(Role::Redis),
        limited_disks: vec![],
        standbys: vec![],
        clocks: false,
    }
}

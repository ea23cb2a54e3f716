//! The wallet as a whole, over HTTP: a scratch cluster of one region, with one router.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use local_cluster::{Cluster, ClusterSpec, Event, Role};

use super::cpu::{Probe, Whose};
use super::report::{Check, Window};
use super::workload::Workload;
use super::{BALANCE, BenchOptions};
use crate::fleet::Manner;
use crate::load::{Load, Pressure, Ran};
use crate::measure::Kind;
use crate::mix::Mix;
use crate::opening::{self, Wanted};
use crate::population::Population;
use crate::proof;
use crate::sessions::Visitors;
use crate::settle;
use crate::target::Target;

const TIMEOUT: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(60);
const SESSION_LIFE: Duration = Duration::from_secs(24 * 3600);
const ACCOUNTS_OF_USER: usize = 10;

/// A scratch cluster with accounts in it.
pub struct Wallet {
    cluster: Cluster,
    population: Rc<Population>,
    load: Rc<Load>,
    probe: Probe,
}

impl Wallet {
    /// Starts the cluster and opens the accounts.
    ///
    /// # Errors
    /// Something does not start, or the wallet refuses something.
    pub async fn start(options: &BenchOptions, progress: &mut dyn FnMut(Event)) -> Result<Self> {
        let spec = ClusterSpec {
            regions: vec!["sg".to_owned()],
            shards_per_region: options.workload.shards(),
            seed: false,
            ..ClusterSpec::scratch()
        };
        let cluster = Cluster::start(spec, progress).await?;
        let target = Target::of_cluster(&cluster).await?;
        let mut visitors = Visitors::connect(&target.redis).await?;
        let wanted = Wanted {
            run: "bench".to_owned(),
            users: options.accounts.div_ceil(ACCOUNTS_OF_USER),
            accounts: options.accounts,
            balance: BALANCE,
            currency: "SGD".to_owned(),
            session_life: SESSION_LIFE,
        };
        let opened = opening::open(&target.routers, &mut visitors, &wanted, &manner(), || ()).await?;
        let population = Rc::new(opened.population);
        let mut mix = Mix::new(options.workload.shares(), &population)?;
        if options.workload == Workload::HotAccount {
            mix = mix.with_hot_credit(0);
        }
        let load = Rc::new(Load::new(population.clone(), mix, wanted.run)?);
        Ok(Self { probe: probe(&cluster)?, cluster, population, load })
    }

    /// Runs for a while, and then for the time that counts.
    ///
    /// # Errors
    /// An answer has an unknown form, or transfers were refused, so that the rate would not be one of transfers.
    pub async fn run(&self, options: &BenchOptions) -> Result<Window> {
        self.load_for(options, options.warmup).await?;
        let before = self.probe.read()?;
        let ran = self.load_for(options, options.seconds).await?;
        let counts = ran.measures.counts();
        let (refused, failures) = (counts.refused, counts.failures);
        ensure!(refused + failures == 0, "{refused} refusals and {failures} failures: {:?}", ran.measures.codes());
        let latency = Kind::ALL.map(|kind| (kind.name(), ran.measures.latency(kind)));
        Ok(Window {
            operations: counts.reads + ran.measures.transfers(),
            elapsed: ran.elapsed,
            cpu: self.probe.since(&before)?,
            latency: latency.into_iter().filter(|(_, latency)| latency.count > 0).collect(),
        })
    }

    async fn load_for(&self, options: &BenchOptions, seconds: u64) -> Result<Ran> {
        let pressure = Pressure {
            clients: options.clients,
            rate: None,
            duration: Duration::from_secs(seconds),
            timeout: TIMEOUT,
            patience: PATIENCE,
            seed: seconds,
        };
        self.load.run(&pressure).await
    }

    /// Whether the wallet kept its word in all runs.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn check(&self) -> Result<Check> {
        let journal = RefCell::new(self.load.take_journal());
        settle::settle(&self.population, &journal, &manner()).await?;
        let journal = journal.into_inner();
        let verdict = proof::prove(&self.population, &journal, &manner(), || ()).await?;
        if let Some(first) = verdict.first.first() {
            eprintln!("the wallet broke its word: {first}");
        }
        let settled = verdict.unknown == 0 && verdict.pending == 0;
        let (deposited, found) = (verdict.deposited, verdict.found);
        Ok(Check { holds: verdict.holds && settled, deposited, found, transfers: verdict.posted })
    }

    /// Stops and deletes everything.
    ///
    /// # Errors
    /// A process does not end.
    pub async fn stop(self) -> Result<()> {
        self.cluster.stop(&mut |_| ()).await
    }
}

fn manner() -> Manner {
    Manner { clients: 64, timeout: TIMEOUT, patience: PATIENCE }
}

/// All processes of the cluster, and this program, which is the load generator.
///
/// # Errors
/// One has ended.
pub fn probe(cluster: &Cluster) -> Result<Probe> {
    let mut probe = Probe::default().with("load generator", Whose::Process(std::process::id()));
    for process in cluster.processes() {
        let pid = process.pid().with_context(|| format!("{} has ended", process.name))?;
        probe = match process.name.role() {
            Role::Postgres => probe.with("PostgreSQL", Whose::Family(pid)),
            Role::Redis => probe.with("Redis", Whose::Process(pid)),
            Role::ShardNode => probe.with("shard-node", Whose::Process(pid)),
            Role::Router => probe.with("router", Whose::Process(pid)),
        };
    }
    Ok(probe)
}

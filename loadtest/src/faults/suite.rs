//! A whole run: rounds of faults on one cluster, each with its check.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Result, ensure};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::checks::{self, Breach, Scene};
use super::clock::Clock;
use super::history::{Folded, History};
use super::options::FaultsOptions;
use super::plan::Plans;
use super::report::Report;
use super::resolve::resolve;
use super::round::{self, Rounded};
use super::show::Show;
use super::story;
use super::survey::{self, Databases, ShardUrl, Survey};
use super::timeline::Timeline;
use super::workload::{Mix, Worker};
use super::world::{World, routers};
use crate::fleet::Manner;
use crate::harm::{HarmOptions, HarmedCluster};
use crate::opening::{self, Wanted};
use crate::sessions::Visitors;

/// Accounts, one for each user: few, so that they are contended for.
const ACCOUNTS: usize = 48;

/// What each account starts with.
const DEPOSIT: i64 = 10_000;

/// Sessions outlast every run.
const SESSION_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// Runs the suite on a cluster of its own.
///
/// # Errors
/// The cluster cannot be started, hurt, healed or read. Breaches are in the report.
pub async fn run(options: &FaultsOptions, seed: u64, is_interrupted: &Cell<bool>) -> Result<Report> {
    let show = Show::new()?;
    show.say("starting a cluster");
    let cluster = HarmedCluster::start(HarmOptions::default()).await?;
    let ran = Suite::open(options, seed, &cluster, &show).await?.run(is_interrupted).await;
    show.finish();
    cluster.stop().await?;
    ran
}

struct Suite<'a> {
    options: &'a FaultsOptions,
    cluster: &'a HarmedCluster,
    show: &'a Show,
    world: Rc<World>,
    workers: Vec<Worker>,
    plans: Plans,
    random: SmallRng,
    report: Report,
}

impl<'a> Suite<'a> {
    async fn open(options: &'a FaultsOptions, seed: u64, cluster: &'a HarmedCluster, show: &'a Show) -> Result<Self> {
        let world = Rc::new(open_world(options, cluster, show).await?);
        let mix = Mix { two_step: !options.one_step };
        let clients = usize::from(options.clients);
        let worker = |client| Worker::new(world.clone(), mix, client, seed);
        Ok(Self {
            options,
            cluster,
            show,
            workers: (0..clients).map(worker).collect(),
            plans: Plans::new(seed, options.classes(cluster.layout().classes())?),
            random: SmallRng::seed_from_u64(seed ^ 0x5EED),
            report: Report { seed, repeat: options.repeat(seed), notes: cluster.notes(), ..Report::default() },
            world,
        })
    }

    async fn run(mut self, is_interrupted: &Cell<bool>) -> Result<Report> {
        let length = Duration::from_secs_f64(self.options.minutes * 60.0);
        let rounds_max = self.options.rounds.unwrap_or(u64::MAX);
        let begin = self.world.clock.now();
        let mut is_clean = true;
        while is_clean && !is_interrupted.get() && self.report.rounds < rounds_max {
            if self.world.clock.now().since(begin) >= length {
                break;
            }
            is_clean = self.round(is_interrupted).await?;
        }
        if is_clean {
            self.whole_histories().await?;
        }
        self.report.seconds = self.world.clock.now().since(begin).as_secs();
        self.report.count(&self.world.history.borrow());
        self.report.notes = self.cluster.notes();
        Ok(self.report)
    }

    /// One round and its check; whether nothing is wrong.
    async fn round(&mut self, is_interrupted: &Cell<bool>) -> Result<bool> {
        let planned = self.plans.round(self.cluster.layout());
        let (show, world) = (self.show, self.world.clone());
        let faults = Cell::new(self.report.faults());
        let told = |what: &str| {
            faults.set(faults.get() + 1);
            show.now(&world, what);
        };
        show.round(self.report.rounds + 1, self.report.faults(), &self.report);
        let Rounded { timeline, healed } =
            round::run(&world, self.cluster, &mut self.workers, &planned, is_interrupted, &told).await?;
        show.now(&world, "repeating what is open");
        let databases = self.databases().await?;
        let closed = resolve(&world, &databases, healed, &mut self.random).await?;
        show.now(&world, "checking");
        let survey = survey::take(&world, &self.shards()?, closed).await?;
        let breaches = self.check(&survey, &timeline);
        if !breaches.is_empty() {
            self.breached(&databases, &breaches, &timeline).await?;
            return Ok(false);
        }
        world.history.borrow_mut().absorb(&survey.lines);
        self.report.count(&world.history.borrow());
        show.checked(&self.report, survey.open.len());
        Ok(true)
    }

    /// Runs the checks, and takes what they looked at into the report.
    fn check(&mut self, survey: &Survey, timeline: &Timeline) -> Vec<Breach> {
        let history = self.world.history.borrow();
        let scene = Scene::new(&self.world.population, &history, survey, timeline);
        let findings = checks::run(&scene);
        self.report.add_checks(&findings);
        let (recoveries, worst) = (checks::recoveries(&scene), checks::worst_answer(&scene));
        self.report.add_round(timeline, &recoveries, worst, survey.sagas_closed_after);
        findings.into_iter().flat_map(|finding| finding.breaches).collect()
    }

    async fn breached(&mut self, databases: &Databases, breaches: &[Breach], timeline: &Timeline) -> Result<()> {
        // The one about a single transfer tells most.
        let first = breaches.iter().find(|breach| breach.request.is_some()).or(breaches.first());
        let Some(first) = first else { return Ok(()) };
        let mut told = story::tell(&self.world, databases, first).await?;
        for struck in &timeline.struck {
            told += &format!("fault {} to {}: {}\n", struck.began, struck.ended, struck.harm);
        }
        self.report.breached(breaches, told);
        Ok(())
    }

    /// At the end: all entries from the first one on are what they were when they were checked.
    async fn whole_histories(&mut self) -> Result<()> {
        self.show.now(&self.world, "reading all histories again");
        let [shown, booked] = survey::all_lines(&self.world, &self.shards()?).await?;
        let mut breaches = vec![];
        for (lines, word) in [(shown, "shown"), (booked, "booked")] {
            let mut accounts = vec![Folded::NEW; self.world.population.accounts.len()];
            for line in &lines {
                let place = line.account as usize;
                accounts[place] = accounts[place].with(line);
            }
            let history = self.world.history.borrow();
            for (place, (now, then)) in (0..).zip(accounts.iter().zip(&history.accounts)) {
                if now != then {
                    let what = format!("its history, as {word}, is not what it was when it was checked");
                    breaches.push(Breach { check: "histories_unchanged", request: None, account: Some(place), what });
                }
            }
        }
        *self.report.checks.entry("histories_unchanged").or_default() +=
            2 * u64::try_from(self.world.population.accounts.len())?;
        if !breaches.is_empty() {
            let databases = self.databases().await?;
            self.breached(&databases, &breaches, &Timeline::default()).await?;
        }
        Ok(())
    }

    async fn databases(&self) -> Result<Databases> {
        let urls: Vec<String> = self.shards()?.into_iter().map(|shard| shard.postgres).collect();
        Databases::connect(&urls).await
    }

    /// Where the shards' data is now: after a failover it is elsewhere.
    fn shards(&self) -> Result<Vec<ShardUrl>> {
        let shards = self.cluster.shards()?.into_iter();
        let shards: Vec<ShardUrl> = shards.map(|shard| ShardUrl { id: shard.id, postgres: shard.postgres }).collect();
        ensure!((1..).zip(&shards).all(|(number, shard)| number == shard.id), "shards are numbered 1, 2, 3");
        Ok(shards)
    }
}

/// Opens the accounts and puts money into them.
async fn open_world(options: &FaultsOptions, cluster: &HarmedCluster, show: &Show) -> Result<World> {
    let urls: Vec<String> = cluster.routers().into_iter().map(|router| router.url).collect();
    let routers = routers(&urls).await?;
    let local = cluster.local();
    let redis: Vec<String> = local.regions().iter().map(|region| local.redis_url(region)).collect::<Result<_>>()?;
    let mut visitors = Visitors::connect(&redis).await?;
    let run = "f".to_owned();
    let wanted = Wanted {
        run: run.clone(),
        users: ACCOUNTS,
        accounts: ACCOUNTS,
        balance: DEPOSIT,
        currency: "SGD".to_owned(),
        session_life: SESSION_LIFE,
    };
    let manner = Manner { clients: 8, timeout: Duration::from_secs(10), patience: Duration::from_secs(60) };
    show.say("opening accounts");
    let opened = opening::open(&routers, &mut visitors, &wanted, &manner, || ()).await?;
    let population = opened.population;
    ensure!(population.shards.len() == cluster.shards()?.len(), "some shard has none of the accounts");
    let lives = routers.iter().map(|_| Cell::new(0)).collect();
    let history = RefCell::new(History::new(usize::from(options.clients), population.accounts.len()));
    Ok(World { population, run, routers, history, clock: Clock::start(), lives, is_over: Cell::new(false) })
}

/// Ends the run early: the round is healed and checked, and the report is made.
pub async fn interrupted(is_interrupted: &Cell<bool>) {
    // Where signals cannot be listened to, Ctrl-C ends the program as usual.
    while tokio::signal::ctrl_c().await.is_ok() {
        if is_interrupted.replace(true) {
            std::process::exit(130);
        }
        eprintln!("ending early: all is healed and checked first (again to leave at once)");
    }
    std::future::pending().await
}

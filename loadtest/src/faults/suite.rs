//! A whole run: rounds of faults on one cluster, each with its check.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Result, ensure};
use audit::KeptChains;
use local_cluster::ProcessName;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::checks::{self, Breach, Scene};
use super::clock::{Clock, Moment};
use super::history::{Folded, History};
use super::logs::Log;
use super::options::FaultsOptions;
use super::plan::Plans;
use super::points::{Points, keep_planted};
use super::report::Report;
use super::resolve::resolve;
use super::round::{self, Healed, Rounded};
use super::show::Show;
use super::story;
use super::strike;
use super::survey::{self, Databases, ShardUrl, Survey};
use super::timeline::Timeline;
use super::told;
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

/// The long time after which a debit shard asks to void, as operators have it, and a short one, so that voids come too.
const VOID_AFTER_SECONDS: [u64; 2] = [3_600, 2];

/// When the crash points are left as they are, although some were not hit often enough.
const POINTS_MIN: Duration = Duration::from_secs(180);
const POINTS_PER_HIT: Duration = Duration::from_secs(15);

/// Which cluster is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cluster {
    /// The programs as they are released.
    Ordinary {
        /// For the draw of how it is configured.
        seed: u64,
    },
    /// Test programs that die at crash points.
    CrashPoints,
    /// Test programs with planted bugs.
    Planted,
}

/// Starts a cluster.
///
/// # Errors
/// It does not start.
pub async fn start(kind: Cluster) -> Result<HarmedCluster> {
    let void_after = match kind {
        Cluster::Ordinary { seed } if seed.count_ones() % 2 == 0 => VOID_AFTER_SECONDS[0],
        Cluster::Ordinary { .. } | Cluster::CrashPoints | Cluster::Planted => VOID_AFTER_SECONDS[1],
    };
    // A bug is to be found by its checks, not by shards that compare and then take no commands.
    let compares = kind != Cluster::Planted;
    let shard_node_env = [
        ("WALLET_SAGA__VOID_AFTER_SECONDS".to_owned(), void_after.to_string()),
        ("WALLET_RECONCILE__COMPARE_AT_START".to_owned(), compares.to_string()),
    ];
    let shard_node_env = shard_node_env.into();
    let faults = matches!(kind, Cluster::CrashPoints | Cluster::Planted);
    HarmedCluster::start(HarmOptions { faults, shard_node_env, ..HarmOptions::default() }).await
}

/// Runs the suite: rounds of faults on one cluster, then of crash points on another one.
///
/// # Errors
/// A cluster cannot be started or hurt. Breaches are in the report.
pub async fn run(options: &FaultsOptions, seed: u64, is_interrupted: &Cell<bool>) -> Result<Report> {
    let show = Show::new()?;
    let mut report = Report::new(seed, options.repeat(seed));
    if options.rounds != Some(0) {
        show.say("starting a cluster");
        let cluster = start(Cluster::Ordinary { seed }).await?;
        let ran =
            async { Suite::open(options, seed, &cluster, &show, &mut report).await?.faults(is_interrupted).await };
        let ran = ran.await;
        cluster.stop().await?;
        ran?;
    }
    if options.crash_hits() > 0 && report.breaches.is_empty() && !is_interrupted.get() {
        report.next_cluster();
        show.say("starting a cluster of test programs");
        let cluster = start(Cluster::CrashPoints).await?;
        let ran =
            async { Suite::open(options, seed, &cluster, &show, &mut report).await?.points(is_interrupted).await };
        let ran = ran.await;
        cluster.stop().await?;
        ran?;
    }
    show.finish();
    report.judge(options.is_long(), is_interrupted.get());
    Ok(report)
}

/// Runs rounds of faults on test programs with a bug, until a check finds something.
///
/// # Errors
/// As [`run`].
pub async fn run_planted(options: &FaultsOptions, seed: u64, bug: &str, is_interrupted: &Cell<bool>) -> Result<Report> {
    let show = Show::new()?;
    let mut report = Report::new(seed, options.repeat(seed));
    show.say("starting a cluster of test programs");
    let cluster = start(Cluster::Planted).await?;
    let ran = async {
        let suite = Suite::open(options, seed, &cluster, &show, &mut report).await?;
        tokio::select! {
            ran = suite.faults(is_interrupted) => ran,
            kept = keep_planted(&cluster, bug) => kept,
        }
    };
    let ran = ran.await;
    cluster.stop().await?;
    show.finish();
    ran?;
    Ok(report)
}

struct Suite<'a> {
    options: &'a FaultsOptions,
    cluster: &'a HarmedCluster,
    show: &'a Show,
    world: Rc<World>,
    workers: Vec<Worker>,
    plans: Plans,
    seed: u64,
    random: SmallRng,
    /// The ends of the shards' chains at the last check.
    kept: Vec<KeptChains>,
    /// The shard-nodes' logs, up to the last check.
    logs: Vec<(ProcessName, Log)>,
    report: &'a mut Report,
}

impl<'a> Suite<'a> {
    async fn open(
        options: &'a FaultsOptions,
        seed: u64,
        cluster: &'a HarmedCluster,
        show: &'a Show,
        report: &'a mut Report,
    ) -> Result<Self> {
        let world = Rc::new(open_world(options, cluster, show).await?);
        let mix = Mix { two_step: !options.one_step };
        let clients = usize::from(options.clients);
        let classes = options.classes(cluster.layout().classes())?;
        report.classes = classes.iter().map(ToString::to_string).collect();
        let worker = |client| Worker::new(world.clone(), mix, client, seed);
        Ok(Self {
            options,
            cluster,
            show,
            workers: (0..clients).map(worker).collect(),
            plans: Plans::new(seed, classes),
            seed,
            random: SmallRng::seed_from_u64(seed ^ 0x5EED),
            kept: vec![],
            logs: told::logs_of(cluster),
            report,
            world,
        })
    }

    /// Rounds of faults until the time is over or something is wrong.
    async fn faults(mut self, is_interrupted: &Cell<bool>) -> Result<()> {
        let length = Duration::from_secs_f64(self.options.minutes * 60.0);
        let rounds_max = self.options.rounds.unwrap_or(u64::MAX);
        let begin = self.world.clock.now();
        let mut is_clean = true;
        while is_clean && !is_interrupted.get() && self.report.rounds < rounds_max {
            if self.world.clock.now().since(begin) >= length {
                break;
            }
            let planned = self.plans.round(self.cluster.layout());
            let faults = async |cluster: &HarmedCluster, world: &World, show: &Show, struck: &RefCell<Timeline>| {
                let told = |what: &str| show.now(world, what);
                strike::execute(world, cluster, &planned, struck, is_interrupted, &told).await
            };
            is_clean = self.round(is_interrupted, faults).await?;
        }
        self.close(begin, is_clean).await
    }

    /// Rounds of crash points until each was hit often enough, or something is wrong.
    async fn points(mut self, is_interrupted: &Cell<bool>) -> Result<()> {
        let goal = self.options.crash_hits();
        let points = Points::of(self.cluster, goal).await?;
        // Of its own: how often the other one is asked depends on the answers that came.
        let mut seeds = SmallRng::seed_from_u64(self.seed ^ 0xDEAD);
        let patience = POINTS_MIN.max(POINTS_PER_HIT * u32::try_from(goal).unwrap_or(u32::MAX));
        let begin = self.world.clock.now();
        let mut is_clean = true;
        while is_clean && !is_interrupted.get() && !points.is_done() {
            if self.world.clock.now().since(begin) >= patience {
                self.report.missed.push(format!("not every crash point was hit {goal} times"));
                break;
            }
            let seed = seeds.random();
            let faults = async |cluster: &HarmedCluster, world: &World, show: &Show, struck: &RefCell<Timeline>| {
                show.now(world, "dying at crash points");
                points.strike(world, cluster, seed, struck, is_interrupted).await
            };
            is_clean = self.round(is_interrupted, faults).await?;
        }
        self.report.crash_points = points.hits.into_inner();
        self.close(begin, is_clean).await
    }

    /// The last check, and what else the report tells of this cluster.
    async fn close(mut self, begin: Moment, is_clean: bool) -> Result<()> {
        if is_clean && self.report.rounds > 0 {
            self.whole_histories().await?;
            self.events().await?;
        }
        self.report.seconds += self.world.clock.now().since(begin).as_secs();
        self.report.count(&self.world.history.borrow());
        self.report.notes.extend(self.cluster.notes());
        Ok(())
    }

    /// Whether all is told that other services are to be told.
    async fn events(&mut self) -> Result<bool> {
        self.show.now(&self.world, "reading the streams of events");
        let breaches = self.report.add_told(told::by_events(self.cluster).await?);
        if !breaches.is_empty() {
            self.breached(&breaches, &Timeline::default()).await?;
        }
        Ok(breaches.is_empty())
    }

    /// One round and its check; whether nothing is wrong.
    async fn round(
        &mut self,
        is_interrupted: &Cell<bool>,
        faults: impl AsyncFnOnce(&HarmedCluster, &World, &Show, &RefCell<Timeline>) -> Result<Healed>,
    ) -> Result<bool> {
        let (show, world, cluster) = (self.show, self.world.clone(), self.cluster);
        show.round(self.report);
        let faults = async |struck: &RefCell<Timeline>| faults(cluster, &world, show, struck).await;
        let Rounded { timeline, healed } = round::run(&world, &mut self.workers, is_interrupted, faults).await?;
        let surveyed = match healed {
            Healed::At(healed) => self.survey(healed).await,
            Healed::Never(why) => Err(anyhow::anyhow!(why)),
        };
        let (mut breaches, survey) = match surveyed {
            Ok(survey) => (self.check(&survey, &timeline), Some(survey)),
            // All harm is undone, so it is the wallet that does not serve.
            Err(error) => (vec![not_well(&error)], None),
        };
        breaches.extend(match told::by_processes(cluster, &mut self.logs).await {
            Ok(told) => self.report.add_told(told),
            Err(error) => vec![not_well(&error)],
        });
        if !breaches.is_empty() {
            self.breached(&breaches, &timeline).await?;
            return Ok(false);
        }
        if let Some(survey) = survey {
            world.history.borrow_mut().absorb(&survey.lines);
            self.report.count(&world.history.borrow());
            show.checked(self.report, survey.open.len());
        }
        // The streams grow, so a long run reads them at its end only.
        if self.options.is_planting() { self.events().await } else { Ok(true) }
    }

    /// Brings everything to an end, and reads what is there.
    async fn survey(&mut self, healed: Moment) -> Result<Survey> {
        self.show.now(&self.world, "repeating what is open");
        let databases = self.databases().await?;
        let closed = resolve(&self.world, &databases, healed, &mut self.random).await?;
        self.show.now(&self.world, "checking");
        let shards = self.shards()?;
        survey::take(&self.world, &shards, closed, &mut self.kept).await
    }

    /// Runs the checks, and takes what they looked at into the report.
    fn check(&mut self, survey: &Survey, timeline: &Timeline) -> Vec<Breach> {
        let history = self.world.history.borrow();
        let scene = Scene::new(&self.world.population, &history, survey, timeline);
        let findings = checks::run(&scene);
        self.report.add_checks(&findings);
        self.report.add_round(timeline, survey.sagas_closed_after);
        self.report.add_recoveries(
            &checks::recoveries(&scene),
            &checks::restarts(&scene),
            checks::worst_answer(&scene),
        );
        findings.into_iter().flat_map(|finding| finding.breaches).collect()
    }

    async fn breached(&mut self, breaches: &[Breach], timeline: &Timeline) -> Result<()> {
        // Of those about a single transfer, the one with the fewest calls tells most.
        let calls = |breach: &&Breach| breach.request.map(|id| story::length(&self.world, id));
        let single = breaches.iter().filter(|breach| breach.request.is_some());
        let first = single.min_by_key(calls).or(breaches.first());
        let Some(first) = first else { return Ok(()) };
        let mut told = self.story(first).await?;
        for other in others(breaches, first) {
            told += "\n";
            told += &self.story(other).await?;
        }
        for (from, until) in timeline.stalls.iter().filter(|(from, until)| until.since(*from).as_millis() > 300) {
            told += &format!("the suite itself stood still from {from} to {until}\n");
        }
        for struck in &timeline.struck {
            told += &format!("fault {} to {}: {}\n", struck.began, struck.ended, struck.harm);
        }
        self.report.breached(breaches, told);
        Ok(())
    }

    async fn story(&self, breach: &Breach) -> Result<String> {
        match self.databases().await {
            Ok(databases) => story::tell(&self.world, &databases, breach).await,
            Err(error) => Ok(format!("{}: {}\nthe databases cannot be read: {error:#}\n", breach.check, breach.what)),
        }
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
            self.breached(&breaches, &Timeline::default()).await?;
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

/// One breach for each other check that found something.
fn others<'b>(breaches: &'b [Breach], first: &'b Breach) -> Vec<&'b Breach> {
    let mut told = vec![first.check];
    let mut others = vec![];
    for breach in breaches {
        if !told.contains(&breach.check) {
            told.push(breach.check);
            others.push(breach);
        }
    }
    others
}

/// What must be once everything is healed.
fn not_well(error: &anyhow::Error) -> Breach {
    let what = format!("everything is healed, and still: {error:#}");
    Breach { check: "well_again", request: None, account: None, what }
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
    Ok(World {
        population,
        run,
        routers,
        history,
        clock: Clock::start(),
        lives,
        clocks: RefCell::default(),
        is_over: Cell::new(false),
    })
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

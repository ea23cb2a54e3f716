//! Crash points: a process is made to die at a chosen line of its code, again and again, and is started again at once.
//!
//! Only programs with the feature `faults` have such points. Each is armed for one death over the admin port.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use local_cluster::{Method, Process, ProcessName, Role, call};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::logs::Log;
use super::report::PointHits;
use super::round::Healed;
use super::strike::{heal, new_life, router_place};
use super::timeline::{STILL_THERE, Struck, Timeline};
use super::world::World;
use crate::harm::HarmedCluster;

/// Their class in the report.
pub const CRASH_POINT: &str = "crash point";

/// How long points are armed in one round.
const ROUND: Duration = Duration::from_secs(12);

/// How long a process may take to come by its point, before another one is armed.
const ARMED_MAX: Duration = Duration::from_millis(1_500);

/// How often a death is looked for.
const POLL: Duration = Duration::from_millis(10);

/// Between a start and the next death, in milliseconds: some time to do something that can be lost.
const ALIVE_MS: std::ops::Range<u64> = 100..900;

/// A point as a process tells it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Point {
    /// `crash::...` or `bug::...`.
    pub name: String,
    /// Whose work it is in.
    pub side: String,
    /// Of a bug: what must go on for it to show.
    #[serde(default)]
    pub needs: String,
    /// Of a bug: the checks that find it, each of them sufficient.
    #[serde(default)]
    pub caught_by: Vec<String>,
}

/// How often which point was hit, and how often each is to be.
pub struct Points {
    /// By point.
    pub hits: RefCell<BTreeMap<String, PointHits>>,
    goal: u64,
}

impl Points {
    /// The crash points of a cluster.
    ///
    /// # Errors
    /// Its programs have none.
    pub async fn of(cluster: &HarmedCluster, goal: u64) -> Result<Self> {
        let points = list(cluster).await?.into_iter().filter(|point| point.name.starts_with("crash::"));
        let hits = points.map(|point| (point.name, PointHits { side: point.side, hits: 0 }));
        Ok(Self { hits: RefCell::new(hits.collect()), goal })
    }

    /// Whether each was hit often enough.
    pub fn is_done(&self) -> bool {
        self.hits.borrow().values().all(|point| point.hits >= self.goal)
    }

    /// Arms points in all processes for a while, and heals.
    ///
    /// # Errors
    /// A process does not get ready again, or does not take orders.
    pub async fn strike(
        &self,
        world: &World,
        cluster: &HarmedCluster,
        seed: u64,
        struck: &RefCell<Timeline>,
        is_interrupted: &Cell<bool>,
    ) -> Result<Healed> {
        let until = Instant::now() + ROUND;
        let names = processes(cluster).into_iter().map(|process| process.name);
        let drivers = names.zip(1..).map(async |(name, number)| {
            let random = SmallRng::seed_from_u64(seed ^ number);
            let log = Log::new(cluster.local().data_dir().log(&name));
            let driver = Driver { points: self, world, cluster, struck, name, log, random };
            driver.run(until, is_interrupted).await
        });
        try_join_all(drivers).await?;
        disarm(cluster).await?;
        Ok(heal(world, cluster, struck).await)
    }

    /// A point that this process has and that was not hit often enough.
    fn pick(&self, random: &mut SmallRng, own: &[String]) -> Option<String> {
        let hits = self.hits.borrow();
        let few = |name: &&String| hits.get(*name).is_some_and(|point| point.hits < self.goal);
        let from: Vec<&String> = own.iter().filter(few).collect();
        (!from.is_empty()).then(|| from[random.random_range(0..from.len())].clone())
    }
}

/// Lets one process die.
struct Driver<'a> {
    points: &'a Points,
    world: &'a World,
    cluster: &'a HarmedCluster,
    struck: &'a RefCell<Timeline>,
    name: ProcessName,
    log: Log,
    random: SmallRng,
}

impl Driver<'_> {
    async fn run(mut self, until: Instant, is_interrupted: &Cell<bool>) -> Result<()> {
        let own = points_of(&self.process()?).await?;
        let own: Vec<String> =
            own.into_iter().map(|point| point.name).filter(|name| name.starts_with("crash::")).collect();
        while Instant::now() < until && !is_interrupted.get() {
            sleep(Duration::from_millis(self.random.random_range(ALIVE_MS))).await;
            let Some(point) = self.points.pick(&mut self.random, &own) else { return Ok(()) };
            self.one(&point).await?;
        }
        Ok(())
    }

    /// Arms a point once and waits for the death.
    async fn one(&mut self, point: &str) -> Result<()> {
        let process = self.process()?;
        self.log.news()?;
        arm(&process, point, "1*return").await?;
        let armed = Instant::now();
        while process.is_alive() {
            if armed.elapsed() > ARMED_MAX {
                // It may die in this very moment; then it has no port any more, and the next look finds it.
                if off(&process).await.is_ok() {
                    return Ok(());
                }
            }
            sleep(POLL).await;
        }
        let is_hit = self.log.news()?.contains(&format!("crash point {point}: the process kills itself"));
        let place = self.note(point, is_hit);
        self.cluster.local().restart(&self.name).await.with_context(|| format!("after {point}"))?;
        self.end(place);
        Ok(())
    }

    fn process(&self) -> Result<Process> {
        self.cluster.local().process(&self.name)
    }

    /// Notes a death; its place among what struck.
    fn note(&self, point: &str, is_hit: bool) -> usize {
        match self.points.hits.borrow_mut().get_mut(point).filter(|_| is_hit) {
            Some(point) => point.hits += 1,
            None => self.cluster.note_death(&self.name),
        }
        let router = router_place(self.cluster.layout(), &self.name);
        // Since when is known only up to the pause between two looks.
        let began = self.world.clock.now().before(POLL * 10);
        let mut struck = self.struck.borrow_mut();
        if let Some(router) = router {
            new_life(self.world, router);
            struck.goes_down(router, began);
        }
        struck.struck.push(Struck {
            class: CRASH_POINT.to_owned(),
            harm: format!("{} dies at {point}", self.name),
            began,
            ended: STILL_THERE,
            routers: router.into_iter().collect(),
            shards: self.name.shard().map(|shard| usize::from(shard).saturating_sub(1)).into_iter().collect(),
        });
        struck.struck.len() - 1
    }

    fn end(&self, place: usize) {
        let now = self.world.clock.now();
        let mut struck = self.struck.borrow_mut();
        struck.struck[place].ended = now;
        if let Some(router) = router_place(self.cluster.layout(), &self.name) {
            new_life(self.world, router);
            struck.comes_up(router, now);
        }
    }
}

/// All points of a cluster's programs.
///
/// # Errors
/// They have none.
pub async fn list(cluster: &HarmedCluster) -> Result<Vec<Point>> {
    let mut found: Vec<Point> = vec![];
    for process in processes(cluster) {
        for point in points_of(&process).await? {
            if !found.contains(&point) {
                found.push(point);
            }
        }
    }
    ensure!(!found.is_empty(), "these programs have no crash points");
    Ok(found)
}

/// Keeps a planted bug on in every process that has it, whatever dies and is started again.
///
/// # Errors
/// No process has it.
pub async fn keep_planted(cluster: &HarmedCluster, bug: &str) -> Result<()> {
    ensure!(list(cluster).await?.iter().any(|point| point.name == bug), "no program has {bug}");
    loop {
        for process in processes(cluster) {
            // Whoever is dead, or does not have it, says no.
            drop(arm(&process, bug, "return").await);
        }
        sleep(Duration::from_millis(200)).await;
    }
}

fn processes(cluster: &HarmedCluster) -> Vec<Process> {
    let all = cluster.local().processes().into_iter();
    all.filter(|process| matches!(process.name.role(), Role::Router | Role::ShardNode)).collect()
}

async fn points_of(process: &Process) -> Result<Vec<Point>> {
    let admin = process.admin_address.context("no admin port")?;
    call(admin, Method::GET, "/faults", &[], None).await?.read()
}

async fn arm(process: &Process, point: &str, action: &str) -> Result<()> {
    let admin = process.admin_address.context("no admin port")?;
    let answer = call(admin, Method::PUT, &format!("/faults/{point}"), &[], Some(&json!(action))).await?;
    ensure!(answer.status.is_success(), "{} does not take {point}: {}", process.name, answer.body);
    Ok(())
}

async fn off(process: &Process) -> Result<()> {
    let admin = process.admin_address.context("no admin port")?;
    call(admin, Method::DELETE, "/faults", &[], None).await?;
    Ok(())
}

async fn disarm(cluster: &HarmedCluster) -> Result<()> {
    for process in processes(cluster).into_iter().filter(Process::is_alive) {
        off(&process).await?;
    }
    Ok(())
}

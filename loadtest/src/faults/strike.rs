//! Carrying out a round's plan of faults, and noting when which one was there.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::stream::{FuturesUnordered, StreamExt};
use local_cluster::{ProcessName, Role};
use tokio::time::{Instant, sleep, sleep_until};

use super::clock::Moment;
use super::plan::Planned;
use super::round::Healed;
use super::timeline::{STILL_THERE, Start, Struck, Timeline, WrongClock};
use super::world::World;
use crate::harm::{Change, Harm, HarmedCluster, Layout};

/// After the last fault, before the heal.
const LINGER: Duration = Duration::from_millis(1_500);

/// Inflicts what is planned and heals all of it; `told` is called with each step.
///
/// # Errors
/// A fault cannot be inflicted.
pub async fn execute(
    world: &World,
    cluster: &HarmedCluster,
    planned: &[Planned],
    struck: &RefCell<Timeline>,
    is_interrupted: &Cell<bool>,
    told: &dyn Fn(&str),
) -> Result<Healed> {
    let mut running = FuturesUnordered::new();
    let mut due = Instant::now();
    for Planned { after, strike } in planned {
        due += *after;
        while !running.is_empty() && Instant::now() < due {
            tokio::select! {
                Some(done) = running.next() => done?,
                () = sleep_until(due) => {}
            }
        }
        sleep_until(due).await;
        if is_interrupted.get() {
            break;
        }
        match strike {
            Some(harm) => {
                told(&harm.to_string());
                running.push(inflict(world, cluster, harm, struck));
            }
            None => {
                while let Some(done) = running.next().await {
                    done?;
                }
                // Nobody waits until all is well again: the next fault comes on top of what is still recovering.
                if let Err(error) = undo(world, cluster, struck).await {
                    return Ok(Healed::Never(format!("{error:#}")));
                }
                due = Instant::now();
            }
        }
    }
    while let Some(done) = running.next().await {
        done?;
    }
    if !is_interrupted.get() {
        sleep(LINGER).await;
    }
    told("healing");
    Ok(heal(world, cluster, struck).await)
}

/// Does a harm and notes when it began and ended; what lasts gets its end from the heal.
async fn inflict(world: &World, cluster: &HarmedCluster, harm: &Harm, struck: &RefCell<Timeline>) -> Result<()> {
    let began = world.clock.now();
    let place = {
        let mut struck = struck.borrow_mut();
        struck.struck.push(note(harm, cluster.layout(), began));
        struck.struck.len() - 1
    };
    note_clock(world, harm, began);
    let harm_told = harm.to_string();
    let told =
        |change: Change<'_>| note_change(world, cluster, &mut struck.borrow_mut(), change, (&harm_told, Some(place)));
    cluster.inflict(harm, &told).await.with_context(|| format!("cannot {harm}"))?;
    if !harm.lasts() {
        struck.borrow_mut().struck[place].ended = world.clock.now();
    }
    Ok(())
}

/// Notes what happens to a process: of a router, that nobody goes on with a connection of before; of a PostgreSQL, that its
/// shard is to serve again.
fn note_change(
    world: &World,
    cluster: &HarmedCluster,
    timeline: &mut Timeline,
    change: Change<'_>,
    (harm, by): (&str, Option<usize>),
) {
    let now = world.clock.now();
    let (Change::Down(name) | Change::GoesOn(name) | Change::Started(name)) = change;
    if let Some(router) = router_place(cluster.layout(), name) {
        new_life(world, router);
        match change {
            Change::Down(_) => timeline.goes_down(router, now),
            Change::GoesOn(_) => timeline.goes_on(router, now),
            Change::Started(_) => timeline.comes_up(router, now),
        }
    }
    if let Change::Started(_) = change
        && cluster.is_primary(name)
        && let Some(shard) = name.shard().map(place)
    {
        timeline.starts.push(Start { shard, at: now, harm: harm.to_owned(), by });
    }
}

/// Due times are of PostgreSQL's clock, so it is remembered when one was wrong.
fn note_clock(world: &World, harm: &Harm, began: Moment) {
    if let Harm::WrongClock { process, .. } = harm
        && process.role() == Role::Postgres
        && let Some(shard) = process.shard().map(place)
    {
        world.clocks.borrow_mut().push(WrongClock { shard, began, ended: STILL_THERE });
    }
}

/// Undoes all harm, notes its end, and waits until every process is ready.
pub async fn heal(world: &World, cluster: &HarmedCluster, struck: &RefCell<Timeline>) -> Healed {
    let healed = async {
        let undone = undo(world, cluster, struck).await?;
        cluster.ready().await?;
        anyhow::Ok(undone)
    };
    healed.await.map_or_else(|error| Healed::Never(format!("{error:#}")), Healed::At)
}

/// Undoes all harm and notes its end.
async fn undo(world: &World, cluster: &HarmedCluster, struck: &RefCell<Timeline>) -> Result<Moment> {
    let told = |change: Change<'_>| note_change(world, cluster, &mut struck.borrow_mut(), change, ("the heal", None));
    cluster.undo(&told).await?;
    let undone = world.clock.now();
    for clock in world.clocks.borrow_mut().iter_mut().filter(|clock| clock.ended == STILL_THERE) {
        clock.ended = undone;
    }
    for struck in struck.borrow_mut().struck.iter_mut().filter(|struck| struck.ended == STILL_THERE) {
        struck.ended = undone;
    }
    Ok(undone)
}

/// Connections of before break, and say nothing of the router as it is now.
pub fn new_life(world: &World, router: u8) {
    let life = &world.lives[usize::from(router)];
    life.set(life.get() + 1);
}

/// A router's place among all.
pub fn router_place(layout: &Layout, name: &ProcessName) -> Option<u8> {
    layout.routers.iter().position(|router| router == name).and_then(|place| u8::try_from(place).ok())
}

/// Whom a harm concerns.
fn note(harm: &Harm, layout: &Layout, began: Moment) -> Struck {
    let names: Vec<&ProcessName> = match harm {
        Harm::Kill { process, .. } | Harm::Freeze { process, .. } | Harm::WrongClock { process, .. } => vec![process],
        Harm::RollingRestart => {
            let servers = layout.postgres.iter().chain(&layout.redis);
            layout.routers.iter().chain(&layout.shard_nodes).chain(servers).collect()
        }
        Harm::Partition { one, other }
        | Harm::FlappingPartition { one, other, .. }
        | Harm::Delay { one, other, .. } => {
            vec![one, other]
        }
        Harm::OneWayPartition { from, to }
        | Harm::CutMidMessage { from, to, .. }
        | Harm::DuplicateRequests { from, to, .. }
        | Harm::ReplayRequests { from, to, .. }
        | Harm::DropAnswers { from, to, .. } => vec![from, to],
        Harm::SlowPostgres { .. }
        | Harm::LoseCommits { .. }
        | Harm::DiskFull { .. }
        | Harm::ConnectionsExhausted { .. }
        | Harm::Failover { .. } => vec![],
    };
    let serves = |router: &ProcessName, name: &ProcessName| match (router, name) {
        (ProcessName::Router { region, .. }, ProcessName::Redis { region: of }) => region == of,
        _ => router == name,
    };
    let is_hurt = |router: &ProcessName| names.iter().any(|name| serves(router, name));
    let routers = (0..).zip(&layout.routers).filter(|(_, router)| is_hurt(router)).map(|(place, _)| place);
    let named = match harm {
        Harm::SlowPostgres { shard, .. }
        | Harm::LoseCommits { shard, .. }
        | Harm::DiskFull { shard }
        | Harm::ConnectionsExhausted { shard }
        | Harm::Failover { shard } => Some(*shard),
        _ => None,
    };
    let mut shards: Vec<usize> = names.iter().filter_map(|name| name.shard()).chain(named).map(place).collect();
    shards.sort_unstable();
    shards.dedup();
    Struck {
        class: harm.class().to_string(),
        harm: harm.to_string(),
        began,
        ended: STILL_THERE,
        routers: routers.collect(),
        shards,
    }
}

/// Shards are numbered from 1.
fn place(shard: u16) -> usize {
    usize::from(shard).saturating_sub(1)
}

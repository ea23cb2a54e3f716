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
use super::timeline::{Struck, Timeline, WrongClock};
use super::world::World;
use crate::harm::{Harm, HarmedCluster, Layout};

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
                if let Healed::Never(why) = heal(world, cluster, struck).await {
                    return Ok(Healed::Never(why));
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
    new_lives(world, &struck.borrow().struck[place]);
    note_clock(world, harm, began);
    cluster.inflict(harm).await.with_context(|| format!("cannot {harm}"))?;
    let mut struck = struck.borrow_mut();
    if !lasts(harm) {
        struck.struck[place].ended = world.clock.now();
    }
    new_lives(world, &struck.struck[place]);
    Ok(())
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

/// Undoes all harm, and notes its end.
pub async fn heal(world: &World, cluster: &HarmedCluster, struck: &RefCell<Timeline>) -> Healed {
    if let Err(error) = cluster.heal().await {
        return Healed::Never(format!("{error:#}"));
    }
    let healed = world.clock.now();
    for clock in world.clocks.borrow_mut().iter_mut().filter(|clock| clock.ended == STILL_THERE) {
        clock.ended = healed;
    }
    for struck in struck.borrow_mut().struck.iter_mut().filter(|struck| struck.ended == STILL_THERE) {
        struck.ended = healed;
        new_lives(world, struck);
    }
    Healed::At(healed)
}

/// Connections of before break, and say nothing of the router as it is now.
pub fn new_lives(world: &World, struck: &Struck) {
    for router in &struck.routers {
        let life = &world.lives[usize::from(*router)];
        life.set(life.get() + 1);
    }
}

/// Until the heal.
pub const STILL_THERE: Moment = Moment(u64::MAX);

/// Whether a harm is there until the heal.
fn lasts(harm: &Harm) -> bool {
    match harm {
        Harm::Kill { .. } | Harm::Freeze { .. } | Harm::RollingRestart | Harm::Failover { .. } => false,
        Harm::Partition { .. }
        | Harm::OneWayPartition { .. }
        | Harm::FlappingPartition { .. }
        | Harm::Delay { .. }
        | Harm::CutMidMessage { .. }
        | Harm::DuplicateRequests { .. }
        | Harm::ReplayRequests { .. }
        | Harm::DropAnswers { .. }
        | Harm::SlowPostgres { .. }
        | Harm::LoseCommits { .. }
        | Harm::WrongClock { .. }
        | Harm::DiskFull { .. }
        | Harm::ConnectionsExhausted { .. } => true,
    }
}

/// Whom a harm concerns.
fn note(harm: &Harm, layout: &Layout, began: Moment) -> Struck {
    let names: Vec<&ProcessName> = match harm {
        Harm::Kill { process, .. } | Harm::Freeze { process, .. } | Harm::WrongClock { process, .. } => vec![process],
        Harm::RollingRestart => layout.routers.iter().chain(&layout.shard_nodes).chain(&layout.postgres).collect(),
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
    // On a link the router itself lives on.
    let stops_routers =
        matches!(harm, Harm::Kill { .. } | Harm::Freeze { .. } | Harm::WrongClock { .. } | Harm::RollingRestart);
    let router = |name: &&ProcessName| layout.routers.iter().position(|router| router == *name);
    let routers = names.iter().filter_map(router).filter(|_| stops_routers);
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
    let restarted = match harm {
        Harm::Kill { process, pause_ms } if process.role() == Role::Postgres => {
            process.shard().map(|shard| (place(shard), began.plus(Duration::from_millis(*pause_ms))))
        }
        _ => None,
    };
    Struck {
        class: harm.class().to_string(),
        harm: harm.to_string(),
        began,
        ended: STILL_THERE,
        routers: routers.filter_map(|router| u8::try_from(router).ok()).collect(),
        restarted,
        shards,
    }
}

/// Shards are numbered from 1.
fn place(shard: u16) -> usize {
    usize::from(shard).saturating_sub(1)
}

//! One round: the clients go on, faults come, all is healed, and the clients go on until every shard serves again.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use anyhow::Result;
use futures_util::future::{join, try_join_all};
use tokio::time::sleep;

use super::clock::Moment;
use super::timeline::Timeline;
use super::workload::Worker;
use super::world::World;

/// After the heal the load goes on for so long, and then until every shard has served a transfer, but no longer than
/// the second.
const LOAD_AFTER_MIN: Duration = Duration::from_secs(1);
const LOAD_AFTER_MAX: Duration = Duration::from_secs(15);

/// What came of a heal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Healed {
    /// Everything was well again then.
    At(Moment),
    /// Something does not get well, and what.
    Never(String),
}

/// What a round came to.
pub struct Rounded {
    /// Its faults.
    pub timeline: Timeline,
    /// When everything was healed.
    pub healed: Healed,
}

/// Runs a round: the clients go on while `faults` does its work, which ends with a heal.
///
/// # Errors
/// A fault cannot be inflicted, or a call cannot be written.
pub async fn run(
    world: &World,
    workers: &mut [Worker],
    is_interrupted: &Cell<bool>,
    faults: impl AsyncFnOnce(&RefCell<Timeline>) -> Result<Healed>,
) -> Result<Rounded> {
    world.is_over.set(false);
    let load = try_join_all(workers.iter_mut().map(Worker::work));
    let routers = world.routers.len();
    let struck = RefCell::new(Timeline { began: world.clock.now(), routers, ..Timeline::default() });
    let faults = async {
        let healed = faults(&struck).await;
        if matches!(healed, Ok(Healed::At(_))) {
            served(world, is_interrupted).await;
        }
        world.is_over.set(true);
        healed
    };
    let (healed, worked) = tokio::select! {
        done = join(faults, load) => done,
        never = watch(world, &struck) => never,
    };
    worked?;
    let timeline = Timeline { clocks: world.clocks.borrow().clone(), ..struck.into_inner() };
    Ok(Rounded { healed: healed?, timeline })
}

/// How late the suite may be without it being noted.
const STALL_MIN: Duration = Duration::from_millis(50);
const TICK: Duration = Duration::from_millis(10);

/// Notes when the suite itself does not come to its turn.
async fn watch<T>(world: &World, struck: &RefCell<Timeline>) -> T {
    loop {
        let began = world.clock.now();
        sleep(TICK).await;
        let ended = world.clock.now();
        if ended.since(began) > TICK + STALL_MIN {
            struck.borrow_mut().stalls.push((began, ended));
        }
    }
}

/// Lets the load go on until every shard has served something since the heal.
async fn served(world: &World, is_interrupted: &Cell<bool>) {
    let begin = world.clock.now();
    let all = world.population.shards.len();
    sleep(LOAD_AFTER_MIN).await;
    while world.clock.now().since(begin) < LOAD_AFTER_MAX && !is_interrupted.get() {
        let serving = super::checks::serving_since(&world.population, &world.history.borrow(), begin);
        if serving == all {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

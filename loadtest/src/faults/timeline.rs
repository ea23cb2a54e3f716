//! When which fault was there.

use std::time::Duration;

use super::clock::Moment;

/// A fault that was inflicted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Struck {
    /// Its class.
    pub class: String,
    /// What it was, in words.
    pub harm: String,
    /// When it began.
    pub began: Moment,
    /// When it was over, or healed.
    pub ended: Moment,
    /// The routers that could not answer meanwhile, as places.
    pub routers: Vec<u8>,
    /// The shard whose PostgreSQL was started again, as a place, and when.
    pub restarted: Option<(usize, Moment)>,
    /// The shards that it is felt on, as places.
    pub shards: Vec<usize>,
}

/// The faults of a round.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    /// When the round began: what was sent before was judged before.
    pub began: Moment,
    /// Its faults, in the order of beginning.
    pub struck: Vec<Struck>,
    /// When a shard's PostgreSQL had a wrong clock, in all rounds so far: due times set then are an hour off.
    pub clocks: Vec<WrongClock>,
    /// When the suite itself stood still, from when to when: what it measured meanwhile is late by that much.
    pub stalls: Vec<(Moment, Moment)>,
}

/// A PostgreSQL whose clock was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongClock {
    /// Its shard, as a place.
    pub shard: usize,
    /// Since when.
    pub began: Moment,
    /// Until when; the last moment of all while it still is.
    pub ended: Moment,
}

/// Around a fault: a signal and the note of its time are not one moment.
const MARGIN: Duration = Duration::from_millis(50);

impl Timeline {
    /// For how long of a time the suite itself stood still.
    pub fn stalled(&self, from: Moment, until: Moment) -> Duration {
        let parts = self.stalls.iter().map(|(began, ended)| (*ended).min(until).since((*began).max(from)));
        parts.sum()
    }

    /// Whether a router was alive and not stopped all the time.
    pub fn router_lived(&self, router: u8, from: Moment, until: Moment) -> bool {
        let mut harms = self.struck.iter().filter(|struck| struck.routers.contains(&router));
        !harms.any(|struck| struck.began <= until.plus(MARGIN) && from <= struck.ended.plus(MARGIN))
    }

    /// The last moment, from `from` on, at which another fault that a shard can feel, and that began before `until`, was
    /// still there. Faults of no shard, those of routers and Redis, are felt by all.
    pub fn disturbed_until(&self, place: usize, shard: usize, from: Moment, until: Moment) -> Moment {
        let others = self.struck.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, struck)| struck);
        let felt = others.filter(|struck| struck.shards.is_empty() || struck.shards.contains(&shard));
        let there = felt.filter(|struck| struck.began < until && struck.ended > from);
        there.map(|struck| struck.ended).max().unwrap_or(from)
    }
}

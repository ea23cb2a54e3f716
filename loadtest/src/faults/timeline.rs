//! When which fault was there.

use std::time::Duration;

use super::clock::Moment;

/// Until the heal.
pub const STILL_THERE: Moment = Moment(u64::MAX);

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
    /// The routers that may not serve as usual meanwhile, as places: those that it is done to, or to whose Redis.
    pub routers: Vec<u8>,
    /// The shards that it is felt on, as places.
    pub shards: Vec<usize>,
}

/// A router that was dead or stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Down {
    /// As a place.
    pub router: u8,
    /// Since when.
    pub began: Moment,
    /// Until when; the last moment of all while it still is.
    pub ended: Moment,
    /// Whether it was only stopped: then the system goes on taking connections for it.
    pub was_frozen: bool,
}

/// A shard's primary PostgreSQL that was started, or a standby that was promoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The shard, as a place.
    pub shard: usize,
    /// When.
    pub at: Moment,
    /// Why, in words.
    pub harm: String,
    /// The fault it belongs to, as a place among those that struck; none if the heal started it.
    pub by: Option<usize>,
}

/// The faults of a round.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    /// When the round began: what was sent before was judged before.
    pub began: Moment,
    /// How many routers there are.
    pub routers: usize,
    /// Its faults, in the order of beginning.
    pub struck: Vec<Struck>,
    /// When routers did not live.
    pub downs: Vec<Down>,
    /// When PostgreSQL servers began to serve again.
    pub starts: Vec<Start>,
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

impl Down {
    fn covers(&self, from: Moment, until: Moment) -> bool {
        self.began <= until.plus(MARGIN) && from <= self.ended.plus(MARGIN)
    }
}

impl Timeline {
    /// For how long of a time the suite itself stood still.
    pub fn stalled(&self, from: Moment, until: Moment) -> Duration {
        let parts = self.stalls.iter().map(|(began, ended)| (*ended).min(until).since((*began).max(from)));
        parts.sum()
    }

    /// Whether a router was alive and not stopped all the time.
    pub fn router_lived(&self, router: u8, from: Moment, until: Moment) -> bool {
        !self.downs_of(router).any(|down| down.covers(from, until))
    }

    /// Whether a router had a process all the time, stopped or not.
    pub fn router_ran(&self, router: u8, from: Moment, until: Moment) -> bool {
        !self.downs_of(router).any(|down| !down.was_frozen && down.covers(from, until))
    }

    /// When a router was last started before a moment; none if that was not in this round.
    pub fn router_started(&self, router: u8, before: Moment) -> Option<Moment> {
        let starts = self.downs_of(router).filter(|down| !down.was_frozen).map(|down| down.ended);
        starts.filter(|at| *at <= before).max()
    }

    fn downs_of(&self, router: u8) -> impl Iterator<Item = &Down> {
        self.downs.iter().filter(move |down| down.router == router)
    }

    /// A router is dead or stopped from now on.
    pub fn goes_down(&mut self, router: u8, now: Moment) {
        self.downs.push(Down { router, began: now, ended: STILL_THERE, was_frozen: false });
    }

    /// A router was started.
    pub fn comes_up(&mut self, router: u8, now: Moment) {
        self.ends_down(router, now, false);
    }

    /// A router that was stopped goes on.
    pub fn goes_on(&mut self, router: u8, now: Moment) {
        self.ends_down(router, now, true);
    }

    fn ends_down(&mut self, router: u8, now: Moment, was_frozen: bool) {
        let downs = self.downs.iter_mut().filter(|down| down.router == router && down.ended == STILL_THERE);
        downs.for_each(|down| (down.ended, down.was_frozen) = (now, was_frozen));
    }

    /// The last moment, from `from` on, at which a fault other than `by` that the shard can feel, and that began before
    /// `until`, was still there.
    pub fn disturbed_until(&self, by: Option<usize>, shard: usize, from: Moment, until: Moment) -> Moment {
        let others = self.struck.iter().enumerate().filter(|(place, _)| Some(*place) != by).map(|(_, struck)| struck);
        let there = others.filter(|struck| struck.began < until && struck.ended > from);
        let felt = there.filter(|struck| struck.shards.contains(&shard) || self.leaves_no_router(struck, by));
        felt.map(|struck| struck.ended).max().unwrap_or(from)
    }

    /// Whether, at the end of a fault of one router, there was something wrong with each of the others too.
    fn leaves_no_router(&self, last: &Struck, by: Option<usize>) -> bool {
        let others = self.struck.iter().enumerate().filter(|(place, _)| Some(*place) != by).map(|(_, struck)| struck);
        let there: Vec<&Struck> =
            others.filter(|struck| struck.began < last.ended && struck.ended >= last.ended).collect();
        let is_hurt =
            |router: usize| there.iter().any(|struck| struck.routers.iter().any(|of| usize::from(*of) == router));
        self.routers > 0 && (0..self.routers).all(is_hurt)
    }

    /// The longest time without a fault between the first fault of the round and its last one.
    pub fn longest_quiet(&self) -> Duration {
        let mut over = self.struck.first().map(|struck| struck.began).unwrap_or_default();
        let mut longest = Duration::ZERO;
        for struck in &self.struck {
            longest = longest.max(struck.began.since(over));
            over = over.max(struck.ended);
        }
        longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn struck(routers: &[u8], shards: &[usize], began: u64, ended: u64) -> Struck {
        let (began, ended) = (Moment(began * SECOND), Moment(ended * SECOND));
        let (routers, shards) = (routers.to_vec(), shards.to_vec());
        Struck { class: "fault".to_owned(), harm: "fault".to_owned(), began, ended, routers, shards }
    }

    fn timeline(struck: Vec<Struck>) -> Timeline {
        Timeline { routers: 2, struck, ..Timeline::default() }
    }

    fn disturbed(timeline: &Timeline, shard: usize) -> u64 {
        timeline.disturbed_until(None, shard, Moment(10 * SECOND), Moment(20 * SECOND)).0 / SECOND
    }

    #[test]
    fn fault_of_another_shard_or_of_one_router_disturbs_no_shard() {
        let others = timeline(vec![struck(&[], &[1], 5, 15), struck(&[0], &[], 5, 15)]);
        assert_eq!(disturbed(&others, 0), 10);
        assert_eq!(disturbed(&others, 1), 15);
    }

    #[test]
    fn faults_of_all_routers_at_once_disturb_every_shard_for_as_long_as_they_overlap() {
        let both = timeline(vec![struck(&[0], &[], 5, 15), struck(&[1], &[], 12, 18)]);
        assert_eq!(disturbed(&both, 0), 15);
        let in_turn = timeline(vec![struck(&[0], &[], 5, 12), struck(&[1], &[], 13, 18)]);
        assert_eq!(disturbed(&in_turn, 0), 10);
        let one = timeline(vec![struck(&[0, 1], &[], 5, 16)]);
        assert_eq!(disturbed(&one, 0), 16);
    }

    #[test]
    fn own_fault_does_not_disturb() {
        let own = timeline(vec![struck(&[], &[0], 5, 15)]);
        assert_eq!(own.disturbed_until(Some(0), 0, Moment(10 * SECOND), Moment(20 * SECOND)), Moment(10 * SECOND));
    }

    #[test]
    fn router_is_down_until_it_comes_up() {
        let mut timeline = timeline(vec![]);
        timeline.goes_down(1, Moment(10 * SECOND));
        assert!(!timeline.router_lived(1, Moment(90 * SECOND), Moment(91 * SECOND)));
        timeline.comes_up(1, Moment(12 * SECOND));
        assert!(timeline.router_lived(1, Moment(13 * SECOND), Moment(91 * SECOND)));
        assert!(!timeline.router_lived(1, Moment(11 * SECOND), Moment(91 * SECOND)));
        assert!(timeline.router_lived(0, Moment(9 * SECOND), Moment(13 * SECOND)));
    }

    #[test]
    fn router_that_is_frozen_keeps_its_process_and_one_that_is_killed_is_started_anew() {
        let mut timeline = timeline(vec![]);
        let at = |second| Moment(second * SECOND);
        timeline.goes_down(1, at(10));
        timeline.goes_on(1, at(12));
        assert!(timeline.router_ran(1, at(11), at(11)) && !timeline.router_lived(1, at(11), at(11)));
        assert_eq!(timeline.router_started(1, at(90)), None);
        timeline.goes_down(1, at(20));
        timeline.comes_up(1, at(22));
        timeline.goes_down(1, at(30));
        timeline.comes_up(1, at(32));
        assert!(!timeline.router_ran(1, at(21), at(21)) && timeline.router_ran(0, at(21), at(21)));
        assert!(timeline.router_ran(1, at(23), at(29)));
        let starts = [21, 22, 31, 90].map(|second| timeline.router_started(1, at(second)));
        assert_eq!(starts, [None, Some(at(22)), Some(at(22)), Some(at(32))]);
        assert_eq!(timeline.router_started(0, at(90)), None);
    }

    #[test]
    fn quiet_is_what_no_fault_covers() {
        let faults = timeline(vec![struck(&[], &[0], 5, 15), struck(&[], &[0], 6, 7), struck(&[], &[0], 18, 19)]);
        assert_eq!(faults.longest_quiet(), Duration::from_secs(3));
        assert_eq!(timeline(vec![]).longest_quiet(), Duration::ZERO);
    }
}

//! Refusing here, for little, what would be refused behind or would only wait.
//!
//! A request passes two doors. At the first one nothing is known of it, not even who sends it, and refusing it costs
//! least: there the router protects itself, and refuses what every shard would. At the second one it is known where it
//! goes, and as many are refused as that part of that shard cannot take.

use crate::valve::{Valve, WINDOW};
use placement::{ShardId, Slot};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Slots of a shard are told apart so far: those of different lanes never share a group (there are at most 16 lanes,
/// and a slot belongs to the lane of its number), so that one busy account does not shut out all of its shard.
const GROUPS: u16 = 16;
/// A group that nobody asks for says nothing of what the others can take. Until then it keeps the first door open: some
/// few of its requests must not be refused for what another shard cannot take.
const QUIET: Duration = Duration::from_secs(60);
/// The router's own work may wait for so long,
const OWN_WAIT_MAX: Duration = Duration::from_millis(50);
/// or for longer where it did not within the last so long: a burst is worked off, only a queue that stands is overload
/// (K. Nichols and others, "Controlled Delay Active Queue Management", RFC 8289, section 3.1);
const OWN_STANDS: Duration = Duration::from_millis(200);
/// One long wait counts for so many windows at most: after a pause of the whole process there is no overload.
const OWN_WINDOWS_MAX: u32 = 5;
/// and where fewer requests are in flight, they are not why it waits.
const CROWD_MIN: usize = 256;

/// Where a call goes, as far as a router can tell what shares a queue there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Group {
    is_read: bool,
    shard: ShardId,
    slots: u16,
}

impl Group {
    /// The group of a call to the owner of a slot; reads and commands have different queues.
    pub fn new(shard: ShardId, slot: Slot, is_read: bool) -> Group {
        Group { is_read, shard, slots: slot.get() % GROUPS }
    }
}

/// Both doors, for one kind of calls each.
#[derive(Debug)]
pub struct Doors {
    start: Instant,
    own: Mutex<Own>,
    reads: Mutex<Shards>,
    commands: Mutex<Shards>,
}

/// What the router itself can take.
#[derive(Debug)]
struct Own {
    valve: Valve,
    /// When its work last waited for no longer than it may.
    short_at: Duration,
}

/// What the shards can take of one kind of calls.
#[derive(Debug, Default)]
struct Shards {
    groups: HashMap<Group, Known>,
    /// What the group that can take most can take, and when that was looked up.
    most: Option<(Duration, f64)>,
}

#[derive(Debug)]
struct Known {
    valve: Valve,
    asked: Duration,
}

impl Default for Doors {
    fn default() -> Self {
        let own = Mutex::new(Own { valve: Valve::new(Duration::ZERO), short_at: Duration::ZERO });
        Doors { start: Instant::now(), own, reads: Mutex::default(), commands: Mutex::default() }
    }
}

impl Doors {
    /// Whether a request that nothing is known of passes; `drawn` is a random number from 0 to 1.
    pub fn first(&self, is_read: bool, drawn: f64) -> bool {
        let now = self.start.elapsed();
        let own = lock(&self.own).valve.last_share();
        drawn < own.min(lock(self.shards(is_read)).most(now))
    }

    /// Whether a call passes that a request led to. One that does is to be noted when it is answered.
    pub fn second(&self, group: Group, drawn: f64) -> bool {
        let now = self.start.elapsed();
        lock(self.shards(group.is_read)).passes(now, group, drawn)
    }

    /// Notes the answer to a call: whether the shard refused it as too much.
    pub fn note(&self, group: Group, refused: bool) {
        let now = self.start.elapsed();
        if let Some(known) = lock(self.shards(group.is_read)).groups.get_mut(&group) {
            known.valve.note(now, refused);
        }
    }

    /// Notes how long work has waited for the router itself, while so many requests were in flight.
    pub fn note_own_wait(&self, waited: Duration, in_flight: usize) {
        lock(&self.own).note(self.start.elapsed(), waited, in_flight);
    }

    fn shards(&self, is_read: bool) -> &Mutex<Shards> {
        if is_read { &self.reads } else { &self.commands }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Own {
    /// Every window that the wait reached into counts: while the router is late it does not see them go by.
    fn note(&mut self, now: Duration, waited: Duration, in_flight: usize) {
        if waited <= OWN_WAIT_MAX {
            self.short_at = now;
        }
        let stands = now.saturating_sub(self.short_at) >= OWN_STANDS && in_flight >= CROWD_MIN;
        let from = now.saturating_sub(waited.min(WINDOW * OWN_WINDOWS_MAX));
        let mut at = from;
        while at <= now {
            self.valve.note(at, stands);
            at += WINDOW;
        }
    }
}

impl Shards {
    fn most(&mut self, now: Duration) -> f64 {
        if let Some((at, most)) = self.most
            && now.saturating_sub(at) < WINDOW
        {
            return most;
        }
        self.groups.retain(|_, known| now.saturating_sub(known.asked) < QUIET);
        let shares = self.groups.values_mut().map(|known| known.valve.share(now));
        let most = shares.max_by(f64::total_cmp).unwrap_or(1.0);
        self.most = Some((now, most));
        most
    }

    fn passes(&mut self, now: Duration, group: Group, drawn: f64) -> bool {
        let most = self.most(now);
        let known = self.groups.entry(group).or_insert_with(|| Known { valve: Valve::new(now), asked: now });
        known.asked = now;
        // Of what the first door has left.
        drawn * most < known.valve.share(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::SmallRng;
    use rand::{RngExt, SeedableRng};

    fn group(shard: u16, slot: u16) -> Group {
        Group::new(ShardId::try_from(shard).expect("a shard"), Slot::try_from(slot).expect("a slot"), false)
    }

    /// Ten seconds of requests, one in each millisecond for each group, whose shard takes so many in a tenth of a
    /// second. Returns the shares of what came that passed the first door, and the second one by group, in the end.
    fn run(takes: &[(Group, u32)]) -> (f64, Vec<f64>) {
        let mut shards = Shards::default();
        let mut random = SmallRng::seed_from_u64(7);
        let mut first = 0.0;
        let (mut asked, mut second) = (vec![0; takes.len()], vec![0.0; takes.len()]);
        for step in 0..10_000_u64 {
            let (now, counts) = (Duration::from_millis(step), step >= 5_000);
            for (number, (group, can_take)) in takes.iter().enumerate() {
                if step % 100 == 0 {
                    asked[number] = 0;
                }
                if random.random::<f64>() >= shards.most(now) {
                    continue;
                }
                first += f64::from(u8::from(counts));
                if shards.passes(now, *group, random.random()) {
                    second[number] += f64::from(u8::from(counts));
                    asked[number] += 1;
                    let refused = asked[number] > *can_take;
                    shards.groups.get_mut(group).expect("it was asked").valve.note(now, refused);
                }
            }
        }
        (first / 5_000.0 / takes.len() as f64, second.into_iter().map(|passed| passed / 5_000.0).collect())
    }

    #[test]
    fn overload_of_all_is_mostly_refused_at_the_first_door() {
        let (first, second) = run(&[(group(1, 0), 30), (group(1, 1), 30), (group(2, 0), 30), (group(2, 1), 30)]);
        assert!((0.25..0.45).contains(&first), "{first}");
        assert!(second.iter().all(|share| (0.25..0.40).contains(share)), "{second:?}");
    }

    #[test]
    fn overload_of_one_group_is_refused_at_the_second_door_and_the_others_do_not_mind() {
        let (first, second) = run(&[(group(1, 0), 30), (group(1, 1), 100), (group(2, 0), 100)]);
        assert!(first > 0.99, "{first}");
        assert!((0.25..0.40).contains(&second[0]) && second[1] > 0.99 && second[2] > 0.99, "{second:?}");
    }

    #[test]
    fn group_that_nobody_asks_for_does_not_keep_the_first_door_open() {
        let mut shards = Shards::default();
        let at = Duration::from_millis;
        assert!(shards.passes(at(0), group(2, 0), 0.5));
        for step in 0..3_000 {
            shards.passes(at(step), group(1, 0), 0.0);
            shards.groups.get_mut(&group(1, 0)).expect("it was asked").valve.note(at(step), true);
        }
        assert!(shards.most(at(3_000)) >= 1.0, "the other one, which was asked for lately");
        for step in 3_000..70_000 {
            shards.passes(at(step), group(1, 0), 0.0);
            shards.groups.get_mut(&group(1, 0)).expect("it was asked").valve.note(at(step), true);
        }
        assert!(shards.most(at(70_000)) < 0.1);
        assert!(shards.most(at(77_000)) >= 1.0);
    }

    #[test]
    fn router_that_is_late_protects_itself() {
        let doors = Doors::default();
        assert!(doors.first(false, 0.99) && doors.first(true, 0.99));
        // Its windows lie in the future of the doors, so nothing is raised again meanwhile.
        (0..40).for_each(|step| lock(&doors.own).valve.note(WINDOW * step, true));
        assert!(!doors.first(false, 0.99) && !doors.first(true, 0.99));
    }

    /// The share after the router's work has waited for so long each time, one after the other.
    fn own_share(waits_ms: &[u64], in_flight: usize) -> f64 {
        let mut own = Own { valve: Valve::new(Duration::ZERO), short_at: Duration::ZERO };
        let mut now = Duration::ZERO;
        for waited in waits_ms {
            let waited = Duration::from_millis(*waited);
            now += Duration::from_millis(25) + waited;
            own.note(now, waited, in_flight);
        }
        own.valve.share(now + WINDOW)
    }

    #[test]
    fn only_a_queue_of_many_that_stands_is_overload() {
        assert!(own_share(&[51; 10], CROWD_MIN) < 0.6);
        assert!(own_share(&[50; 10], CROWD_MIN) >= 1.0, "as long as it may wait");
        assert!(own_share(&[900; 10], CROWD_MIN - 1) >= 1.0, "the machine is slow, not the crowd");
        assert!(own_share(&[60, 60, 20, 60, 60, 20, 60, 60], CROWD_MIN) >= 1.0, "bursts");
    }

    #[test]
    fn router_that_is_very_late_lets_little_through_soon() {
        assert!(own_share(&[500; 4], CROWD_MIN) < 0.2);
        assert!(own_share(&[500, 500, 500, 500, 20, 20, 20, 20], CROWD_MIN) < 0.25, "and not at once all again");
        assert!(own_share(&[5_000], CROWD_MIN) > 0.5, "the whole process stood still");
    }

    #[test]
    fn groups_are_no_finer_than_lanes_and_tell_reads_from_commands() {
        assert_eq!(group(1, 3), group(1, 19));
        for other in [group(1, 4), group(2, 3), Group { is_read: true, ..group(1, 3) }] {
            assert_ne!(group(1, 3), other);
        }
    }
}

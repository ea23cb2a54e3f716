//! How much may wait before a lane, bounded by time: what would wait for longer is refused at once, while its client
//! can still do something better.
//!
//! By Little's law (J. D. C. Little, "A Proof for the Queuing Formula L = λW", 1961) what waits is the rate at which it
//! is decided, times how long it waits; so with the measured rate, a bound on the wait is a bound on the number. A
//! number needs no clock when a command comes, and refuses it before it has waited at all.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Smaller batches say nothing of the rate under load: most of their time goes by however few commands they have.
const LEARN_FROM: usize = 64;
/// How much of what was learnt from earlier batches is kept with each further one.
const KEEP: f64 = 0.8;

/// Learns a lane's rate, one batch after the other.
#[derive(Debug)]
pub struct WaitBound {
    wait_max: Duration,
    /// Never fewer may wait, nor ever more.
    fewest: usize,
    most: usize,
    /// Of the batches learnt from, with less and less weight the older they are.
    commands: f64,
    seconds: f64,
}

impl WaitBound {
    /// Nothing is learnt yet. A quarter of a batch may always wait: the next batch takes it in one go.
    pub fn new(wait_max: Duration, batch_max: usize, queue_max: usize) -> WaitBound {
        let fewest = (batch_max / 4).clamp(1, queue_max);
        WaitBound { wait_max, fewest, most: queue_max, commands: 0.0, seconds: 0.0 }
    }

    /// Learns from a batch that was decided.
    pub fn learn(&mut self, commands: usize, took: Duration) {
        if commands < LEARN_FROM.min(self.fewest) {
            return;
        }
        self.commands = self.commands * KEEP + commands as f64;
        self.seconds = self.seconds * KEEP + took.as_secs_f64();
    }

    /// How many commands may wait; `None` before anything is learnt.
    pub fn allowed(&self) -> Option<usize> {
        if self.seconds <= 0.0 {
            return None;
        }
        let allowed = self.commands / self.seconds * self.wait_max.as_secs_f64();
        // The cast saturates.
        Some((allowed as usize).clamp(self.fewest, self.most))
    }
}

/// The present bound, as the entrance of a queue sees it.
#[derive(Debug)]
pub struct Allowed(AtomicUsize);

impl Allowed {
    /// A first bound.
    pub fn new(first: usize) -> Allowed {
        Allowed(AtomicUsize::new(first))
    }

    /// Follows what was learnt.
    pub fn follow(&self, bound: &WaitBound) {
        if let Some(allowed) = bound.allowed() {
            self.0.store(allowed, Ordering::Relaxed);
        }
    }

    /// Whether one more may wait where so many do.
    pub fn admits(&self, waiting: usize) -> bool {
        waiting < self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT_MAX: Duration = Duration::from_millis(250);

    fn bound() -> WaitBound {
        WaitBound::new(WAIT_MAX, 512, 8_192)
    }

    fn after(batches: &[(usize, u64)]) -> Option<usize> {
        let mut bound = bound();
        batches.iter().for_each(|(commands, ms)| bound.learn(*commands, Duration::from_millis(*ms)));
        bound.allowed()
    }

    #[test]
    fn rate_times_wait_may_wait() {
        assert_eq!(after(&[(400, 100)]), Some(1_000), "4,000 a second for a quarter of a second");
        assert_eq!(after(&[(400, 100); 20]), Some(1_000));
    }

    #[test]
    fn small_batches_teach_nothing() {
        assert_eq!(after(&[(1, 3), (63, 40)]), None);
        assert_eq!(after(&[(400, 100), (1, 3), (63, 40)]), Some(1_000));
    }

    #[test]
    fn slower_batches_count_soon_and_single_ones_do_not_overturn() {
        let fast = [(400, 100); 20];
        let once = after(&[&fast[..], &[(400, 400)]].concat()).unwrap();
        assert!((500..1_000).contains(&once), "{once}");
        let for_good = after(&[&fast[..], &[(400, 400); 10]].concat()).unwrap();
        assert!((250..300).contains(&for_good), "{for_good}");
    }

    #[test]
    fn bound_stays_within_its_limits() {
        assert_eq!(after(&[(512, 60_000)]), Some(128), "a quarter of a batch, however slow");
        assert_eq!(after(&[(512, 1)]), Some(8_192), "all the queue holds, however fast");
        assert_eq!(after(&[(512, 0)]), None);
        assert_eq!(WaitBound::new(WAIT_MAX, 512, 1).fewest, 1, "no more than the queue holds");
    }

    #[test]
    fn batches_of_what_is_allowed_settle_and_do_not_starve() {
        // 20 ms for a batch and 0.4 ms for each command: at most 2,500 a second, and 575 in a batch of 250 ms.
        let mut bound = bound();
        let mut batch = 512;
        for _ in 0..200 {
            bound.learn(batch, Duration::from_micros(20_000 + 400 * batch as u64));
            batch = bound.allowed().unwrap();
        }
        assert!((565..=585).contains(&batch), "{batch}");
    }

    #[test]
    fn entrance_follows() {
        let allowed = Allowed::new(2);
        assert!(allowed.admits(1) && !allowed.admits(2));
        let mut bound = bound();
        allowed.follow(&bound);
        assert!(!allowed.admits(2), "nothing was learnt");
        bound.learn(400, Duration::from_millis(100));
        allowed.follow(&bound);
        assert!(allowed.admits(999) && !allowed.admits(1_000));
    }
}

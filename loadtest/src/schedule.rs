//! When requests are sent.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

/// When the next request is due. Shared by all clients of a group.
#[derive(Debug)]
pub struct Schedule {
    start: Instant,
    end: Instant,
    /// Requests a second, in an open loop.
    rate: Option<f64>,
    taken: Cell<u64>,
}

impl Schedule {
    /// Closed loop: each client sends its next request as soon as the last one is answered.
    pub fn closed(start: Instant, end: Instant) -> Self {
        Self { start, end, rate: None, taken: Cell::new(0) }
    }

    /// Open loop: requests are due at even distances, whether or not earlier ones are answered. `rate` is positive.
    pub fn open(start: Instant, end: Instant, rate: f64) -> Self {
        Self { start, end, rate: Some(rate), taken: Cell::new(0) }
    }

    /// Takes the next request: the time it is meant to be sent at, which may have passed already. Latency counts from
    /// there: a wallet that stalls does not get to hide the requests that would have been sent meanwhile
    /// ("coordinated omission"). `None` when the time is over.
    pub fn take(&self, now: Instant) -> Option<Instant> {
        let due = match self.rate {
            None => now,
            Some(rate) => self.start + due_after(self.taken.get(), rate),
        };
        if now >= self.end || due >= self.end {
            return None;
        }
        self.taken.set(self.taken.get() + 1);
        Some(due)
    }

    /// How many requests were due before `until`, or the end if that is earlier, and were never sent, since every client
    /// was waiting for an answer.
    pub fn missed(&self, until: Instant) -> u64 {
        let Some(rate) = self.rate else { return 0 };
        let length = until.min(self.end).saturating_duration_since(self.start);
        let mut due = self.taken.get();
        while due_after(due, rate) < length {
            due += 1;
        }
        due - self.taken.get()
    }
}

/// The distance of request `number` from the start. Computed from the number, so that no error adds up.
fn due_after(number: u64, rate: f64) -> Duration {
    // Exact for the first 2^53 requests.
    Duration::from_secs_f64(number as f64 / rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn open_loop_is_evenly_spaced_and_ends() {
        let start = Instant::now();
        let schedule = Schedule::open(start, start + SECOND, 4.0);
        let taken: Vec<Duration> = std::iter::from_fn(|| schedule.take(start)).map(|due| due - start).collect();
        assert_eq!(taken, [0, 250, 500, 750].map(Duration::from_millis));
        assert_eq!(schedule.missed(start + SECOND), 0);
    }

    #[test]
    fn open_loop_keeps_its_times_when_clients_come_late() {
        let start = Instant::now();
        let schedule = Schedule::open(start, start + SECOND, 1000.0);
        let late = start + Duration::from_millis(900);
        assert_eq!(schedule.take(late), Some(start), "the first request is still measured from its own time");
        assert_eq!(schedule.take(late), Some(start + Duration::from_millis(1)));
        assert_eq!(schedule.missed(late), 898, "ended early, only what was due by then is missed");
        assert_eq!(schedule.missed(start + 2 * SECOND), 998);
    }

    #[test]
    fn nothing_is_sent_after_the_end() {
        let start = Instant::now();
        for schedule in [Schedule::closed(start, start + SECOND), Schedule::open(start, start + SECOND, 10.0)] {
            assert!(schedule.take(start + SECOND).is_none());
        }
    }

    #[test]
    fn closed_loop_sends_at_once_and_misses_nothing() {
        let start = Instant::now();
        let schedule = Schedule::closed(start, start + SECOND);
        let now = start + Duration::from_millis(123);
        assert_eq!(schedule.take(now), Some(now));
        assert_eq!(schedule.missed(start + SECOND), 0);
    }
}

//! What an open loop comes to.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;
use tokio::time::Instant;

use super::ground::Sort;
use crate::bench::cpu::CpuTimes;
use crate::measure::{Latency, latency_of};

/// CPU time by part, in microseconds for each of something.
pub type Cpu = BTreeMap<&'static str, f64>;

/// CPU times, for each of so many.
pub fn cpu_of(times: &CpuTimes, count: u64) -> Cpu {
    times.iter().map(|(name, time)| (*name, time.as_secs_f64() * 1e6 / count.max(1) as f64)).collect()
}

/// Counts the requests that were due in a window, and the good answers that came in it.
#[derive(Debug)]
pub struct Tally {
    from: Instant,
    to: Instant,
    /// Decided in the window, whenever they were due.
    pub decided: u64,
    /// Answered 503 in the window, whenever they were due.
    pub turned_away: u64,
    /// Other endings of requests that were due in the window.
    pub others: BTreeMap<String, u64>,
    accepted: Histogram<u64>,
    refused: Histogram<u64>,
}

impl Tally {
    /// A window.
    ///
    /// # Errors
    /// The histogram refuses its bounds, a defect.
    pub fn new(from: Instant, to: Instant) -> Result<Self> {
        let histogram = || Histogram::new_with_bounds(1, 60_000_000, 3);
        let (accepted, refused) = (histogram()?, histogram()?);
        Ok(Self { from, to, decided: 0, turned_away: 0, others: BTreeMap::new(), accepted, refused })
    }

    /// Notes how a request ended that was due then: latencies count from there.
    pub fn note(&mut self, due: Instant, ended: Instant, sort: &Sort) {
        if (self.from..self.to).contains(&ended) {
            self.decided += u64::from(*sort == Sort::Accepted);
            self.turned_away += u64::from(*sort == Sort::Refused);
        }
        if !(self.from..self.to).contains(&due) {
            return;
        }
        let latency_us = u64::try_from(ended.saturating_duration_since(due).as_micros()).unwrap_or(u64::MAX);
        match sort {
            Sort::Accepted => self.accepted.saturating_record(latency_us),
            Sort::Refused => self.refused.saturating_record(latency_us),
            Sort::Other(code) => *self.others.entry(code.clone()).or_default() += 1,
        }
    }

    /// Of requests that were due in the window.
    pub fn accepted(&self) -> Latency {
        latency_of(&self.accepted)
    }

    /// Of requests that were due in the window.
    pub fn refused(&self) -> Latency {
        latency_of(&self.refused)
    }

    /// Requests that were due in the window and sent.
    pub fn offered(&self) -> u64 {
        self.accepted.len() + self.refused.len() + self.others.values().sum::<u64>()
    }

    /// Of the window.
    pub fn length(&self) -> Duration {
        self.to - self.from
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_count_answers_and_latencies_requests_of_the_window() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut tally = Tally::new(at(100), at(200)).unwrap();
        tally.note(at(50), at(120), &Sort::Accepted);
        tally.note(at(150), at(160), &Sort::Accepted);
        tally.note(at(150), at(250), &Sort::Refused);
        tally.note(at(150), at(160), &Sort::Other("x".to_owned()));
        tally.note(at(250), at(260), &Sort::Other("x".to_owned()));
        assert_eq!((tally.decided, tally.turned_away, tally.offered()), (2, 0, 3));
        assert_eq!((tally.accepted().count, tally.refused().count, tally.others["x"]), (1, 1, 1));
        assert!((tally.accepted().max_ms - 10.0).abs() < 0.1 && (tally.refused().max_ms - 100.0).abs() < 0.5);
    }
}

//! What is measured while a load runs.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::mix::Distance;

/// Longer latencies are counted as this long.
const LATENCY_MAX: Duration = Duration::from_secs(600);
/// Each recorded value is right to within a thousandth.
const DIGITS: u8 = 3;
/// Histograms of single seconds are kept smaller.
const DIGITS_OF_SECOND: u8 = 2;

/// What latencies are kept apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Reads of a balance.
    Read,
    /// Transfers within a shard.
    Local,
    /// Transfers between two shards of a region.
    CrossShard,
    /// Transfers between regions.
    CrossRegion,
}

impl Kind {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Read, Self::Local, Self::CrossShard, Self::CrossRegion];

    /// What it is called in a report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "reads",
            Self::Local => "local transfers",
            Self::CrossShard => "cross-shard transfers",
            Self::CrossRegion => "cross-region transfers",
        }
    }

    fn index(self) -> usize {
        match self {
            Self::Read => 0,
            Self::Local => 1,
            Self::CrossShard => 2,
            Self::CrossRegion => 3,
        }
    }
}

impl From<Distance> for Kind {
    fn from(distance: Distance) -> Self {
        match distance {
            Distance::Local => Self::Local,
            Distance::CrossShard => Self::CrossShard,
            Distance::CrossRegion => Self::CrossRegion,
        }
    }
}

/// How many answers there were of each sort.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Balances read.
    pub reads: u64,
    /// Transfers acknowledged as posted.
    pub posted: u64,
    /// Transfers acknowledged as pending.
    pub pending: u64,
    /// Transfers refused.
    pub refused: u64,
    /// Answers and failures that decided nothing; for transfers each of them led to a repeat.
    pub failures: u64,
}

/// One second of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Second {
    /// Reads answered.
    pub reads: u64,
    /// Transfers answered for good.
    pub transfers: u64,
    /// Answers and failures that decided nothing.
    pub failures: u64,
    /// Half of the reads took no longer, in milliseconds.
    pub reads_p50_ms: f64,
    /// 99 of 100 reads took no longer, in milliseconds.
    pub reads_p99_ms: f64,
    /// Half of the transfers took no longer, in milliseconds.
    pub transfers_p50_ms: f64,
    /// 99 of 100 transfers took no longer, in milliseconds.
    pub transfers_p99_ms: f64,
}

/// Latencies of one kind, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Latency {
    /// How many were measured.
    pub count: u64,
    /// Half took no longer.
    pub p50_ms: f64,
    /// 90 of 100 took no longer.
    pub p90_ms: f64,
    /// 99 of 100 took no longer.
    pub p99_ms: f64,
    /// 999 of 1000 took no longer.
    pub p999_ms: f64,
    /// None took longer.
    pub max_ms: f64,
}

/// The measures of one run.
#[derive(Debug)]
pub struct Measures {
    latencies: [Histogram<u64>; 4],
    counts: Counts,
    /// Refusals and failures by code.
    codes: BTreeMap<String, u64>,
    seconds: Vec<Second>,
    this_second: [Histogram<u64>; 2],
    failures_before: u64,
}

impl Measures {
    /// Nothing measured yet.
    ///
    /// # Errors
    /// The histogram refuses its bounds, which would be a defect.
    pub fn new() -> Result<Self> {
        let histogram = |digits| Histogram::new_with_bounds(1, micros(LATENCY_MAX), digits);
        Ok(Self {
            latencies: [histogram(DIGITS)?, histogram(DIGITS)?, histogram(DIGITS)?, histogram(DIGITS)?],
            counts: Counts::default(),
            codes: BTreeMap::new(),
            seconds: vec![],
            this_second: [histogram(DIGITS_OF_SECOND)?, histogram(DIGITS_OF_SECOND)?],
            failures_before: 0,
        })
    }

    /// Notes an answer that decides.
    pub fn answered(&mut self, kind: Kind, latency: Duration) {
        let latency = micros(latency);
        self.latencies[kind.index()].saturating_record(latency);
        self.this_second[usize::from(kind != Kind::Read)].saturating_record(latency);
        if kind == Kind::Read {
            self.counts.reads += 1;
        }
    }

    /// Notes that a transfer was posted.
    pub fn posted(&mut self) {
        self.counts.posted += 1;
    }

    /// Notes that a transfer was said to be pending.
    pub fn pending(&mut self) {
        self.counts.pending += 1;
    }

    /// Notes why a transfer was refused.
    pub fn refused(&mut self, code: &str) {
        self.counts.refused += 1;
        self.count(code);
    }

    /// Notes an answer or a failure that decides nothing.
    pub fn failed(&mut self, code: &str) {
        self.counts.failures += 1;
        self.count(code);
    }

    fn count(&mut self, code: &str) {
        match self.codes.get_mut(code) {
            Some(count) => *count += 1,
            None => drop(self.codes.insert(code.to_owned(), 1)),
        }
    }

    /// Ends a second and begins the next.
    pub fn next_second(&mut self) -> Second {
        let [reads, transfers] = &mut self.this_second;
        let second = Second {
            reads: reads.len(),
            transfers: transfers.len(),
            failures: self.counts.failures - self.failures_before,
            reads_p50_ms: millis(reads.value_at_quantile(0.5)),
            reads_p99_ms: millis(reads.value_at_quantile(0.99)),
            transfers_p50_ms: millis(transfers.value_at_quantile(0.5)),
            transfers_p99_ms: millis(transfers.value_at_quantile(0.99)),
        };
        reads.reset();
        transfers.reset();
        self.failures_before = self.counts.failures;
        self.seconds.push(second);
        second
    }

    /// Answers by sort.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Refusals and failures by code.
    pub fn codes(&self) -> &BTreeMap<String, u64> {
        &self.codes
    }

    /// The seconds that have ended.
    pub fn seconds(&self) -> &[Second] {
        &self.seconds
    }

    /// Latencies of a kind.
    pub fn latency(&self, kind: Kind) -> Latency {
        latency_of(&self.latencies[kind.index()])
    }

    /// Transfers of all kinds that were answered for good.
    pub fn transfers(&self) -> u64 {
        self.latencies[1..].iter().map(Histogram::len).sum()
    }
}

/// The percentiles of a histogram of microseconds.
pub fn latency_of(histogram: &Histogram<u64>) -> Latency {
    let at = |quantile| millis(histogram.value_at_quantile(quantile));
    Latency {
        count: histogram.len(),
        p50_ms: at(0.5),
        p90_ms: at(0.9),
        p99_ms: at(0.99),
        p999_ms: at(0.999),
        max_ms: millis(histogram.max()),
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Exact for the latencies that a histogram holds.
fn millis(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_to_a_thousandth() {
        let mut measures = Measures::new().unwrap();
        for micros in 1..=10_000 {
            measures.answered(Kind::Local, Duration::from_micros(micros));
        }
        let latency = measures.latency(Kind::Local);
        assert_eq!(latency.count, 10_000);
        assert!((latency.p50_ms - 5.0).abs() < 0.01 && (latency.p99_ms - 9.9).abs() < 0.01, "{latency:?}");
        assert!((latency.max_ms - 10.0).abs() < 0.01);
        assert_eq!(measures.latency(Kind::Read).count, 0);
    }

    #[test]
    fn seconds_start_from_nothing() {
        let mut measures = Measures::new().unwrap();
        measures.answered(Kind::Read, Duration::from_millis(2));
        measures.failed("unavailable");
        let first = measures.next_second();
        assert_eq!((first.reads, first.transfers, first.failures), (1, 0, 1));
        assert_eq!(measures.next_second(), Second::default());
        assert_eq!(measures.codes()["unavailable"], 1);
    }

    #[test]
    fn absurd_latency_is_counted_as_the_longest() {
        let mut measures = Measures::new().unwrap();
        measures.answered(Kind::Read, Duration::from_secs(100_000));
        assert_eq!(measures.latency(Kind::Read).count, 1);
    }
}

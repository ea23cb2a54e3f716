//! The streams of events, and the transfers that they have to tell of.
//!
//! Of each shard, the transfers are read first, in one snapshot, together with how far its relay has come; then its
//! stream. What the relay has not come to yet is only counted: wait until it is none to prove that nothing is lost. What
//! is in the stream and was not in the snapshot is looked up once more.

mod judge;
mod rows;
mod stream;

pub use judge::{Ended, Entry, Owed, Told, judge};

use jiff::Timestamp;
use placement::ShardId;
use serde::Serialize;

use crate::snapshot::Snapshot;
use crate::{AuditError, CheckResult, ShardTarget, connect};
use stream::Stream;

/// A shard and the Redis of its region.
#[derive(Debug, Clone)]
pub struct EventsTarget {
    /// The shard.
    pub shard: ShardTarget,
    /// The Redis, as `redis://[user[:password]@]host:port/`.
    pub redis: String,
}

/// What the streams of all shards have come to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EventsReport {
    /// Each shard.
    pub shards: Vec<ShardEvents>,
    /// Two for each shard.
    #[serde(skip)]
    pub checks: Vec<CheckResult>,
}

impl EventsReport {
    /// Transfers that the relays have not come to yet.
    pub fn waiting(&self) -> u64 {
        self.shards.iter().map(|shard| shard.waiting).sum()
    }
}

/// What the stream of one shard has come to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShardEvents {
    /// The shard.
    pub shard: ShardId,
    /// Entries in the stream.
    pub told: u64,
    /// Those of them that repeat an event.
    pub repeated: u64,
    /// Transfers that the relay has not come to yet.
    pub waiting: u64,
    /// If the stream has dropped its oldest events: the first one that is left is of this time.
    pub since: Option<Timestamp>,
}

/// Reads the streams and compares them with the transfers of their shards. Nothing is written.
///
/// # Errors
/// [`AuditError`]: a shard or a Redis cannot be read. What is missing or out of order is in the report.
pub async fn verify_events(targets: &[EventsTarget]) -> Result<EventsReport, AuditError> {
    let mut report = EventsReport { shards: Vec::new(), checks: Vec::new() };
    for target in targets {
        let (events, checks) = of_shard(target).await?;
        report.shards.push(events);
        report.checks.extend(checks);
    }
    Ok(report)
}

async fn of_shard(target: &EventsTarget) -> Result<(ShardEvents, [CheckResult; 2]), AuditError> {
    let shard = target.shard.shard;
    let mut stream = Stream::open(target).await?;
    let (mut for_snapshot, present) = (connect(&target.shard).await?, connect(&target.shard).await?);
    let (snapshot, _) = Snapshot::take(&mut for_snapshot, shard).await?;
    // Only a stream that was cut is compared with less than all.
    let since = if stream.is_cut().await? { stream.first_decided_at().await? } else { None };
    let (mut owed, waiting) = rows::read(&snapshot, since).await?;
    let told = stream.read().await?;
    if stream.is_cut().await? {
        owed.begin_at(told.first().map(|first| first.decided_at));
    }
    owed.later = rows::ended(&present, shard, &owed.unknown_among(&told)).await?;
    let checks = judge(shard, &told, &owed);
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let distinct: std::collections::HashSet<&str> = told.iter().map(|told| told.id.as_str()).collect();
    let since = owed.since.and_then(|micros| Timestamp::from_microsecond(micros).ok());
    let repeated = count(told.len() - distinct.len());
    Ok((ShardEvents { shard, told: count(told.len()), repeated, waiting: count(waiting), since }, checks))
}

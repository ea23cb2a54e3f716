//! The part of `walletctl verify` that compares the streams of events with the transfers.

use std::fmt;

use anyhow::Error;
use audit::{AuditError, CheckResult, EventsReport, EventsTarget, Limits, verify_events};
use serde::Serialize;

use crate::shards::ShardAt;

/// What the streams have come to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Events {
    /// They were read.
    Compared(EventsReport),
    /// Why they were not.
    NotLookedAt(String),
}

/// Compares the streams, where Redis is known and answers; money is proved without it.
///
/// # Errors
/// A shard's database cannot be read.
pub(crate) async fn look(located: &[ShardAt], limits: &Limits) -> Result<Events, AuditError> {
    if limits.slots.is_some() {
        return Ok(Events::NotLookedAt("a stream is of a whole shard, not of slots".to_owned()));
    }
    let wanted = located.iter().filter(|at| limits.shards.as_ref().is_none_or(|some| some.contains(&at.target.shard)));
    let targets = wanted.map(|at| {
        let redis = at.redis.clone().ok_or(at.target.shard)?;
        Ok(EventsTarget { shard: at.target.clone(), redis })
    });
    let targets = match targets.collect::<Result<Vec<_>, placement::ShardId>>() {
        Ok(targets) => targets,
        Err(shard) => return Ok(Events::NotLookedAt(format!("the Redis of shard {shard}'s region is not given"))),
    };
    match verify_events(&targets).await {
        Ok(report) => Ok(Events::Compared(report)),
        Err(error @ AuditError::Redis { .. }) => Ok(Events::NotLookedAt(format!("{:#}", Error::from(error)))),
        Err(error) => Err(error),
    }
}

impl Events {
    /// What was found, as results of checks.
    pub(crate) fn checks(&self) -> Vec<CheckResult> {
        match self {
            Self::Compared(report) => report.checks.clone(),
            Self::NotLookedAt(_) => vec![],
        }
    }
}

impl fmt::Display for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compared(report) => {
                let told: u64 = report.shards.iter().map(|shard| shard.told).sum();
                let repeated: u64 = report.shards.iter().map(|shard| shard.repeated).sum();
                write!(f, "events: {told} told, {repeated} of them repeats; {} transfers wait", report.waiting())
            }
            Self::NotLookedAt(why) => write!(f, "events: not looked at, for {why}"),
        }
    }
}

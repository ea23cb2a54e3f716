//! Tells other services of terminal transfers, by a stream in the region's Redis. The form of the events, and what readers
//! may rely upon, is in [`wire::event`].
//!
//! The relay reads the batches that were committed, in the order of [`order`], and keeps in PostgreSQL how far it has
//! come. It writes to the stream first and notes that afterwards: what happens in between is told twice, never not at all.
//! Money never waits for it: it has a connection of its own, and Redis may be away for as long as it wants.
//!
//! One replica of the shard relays. If a second one does, because the first has lost its lead without noticing, both
//! write the same events in orders that agree on each account; so the first occurrences are in order all the same.

mod config;
mod metrics;
mod order;
mod stream;

pub use config::EventsConfig;
pub use metrics::EventsMetrics;

use crate::node::Node;
use crate::serve::until;
use crate::store::events::{self, Batch, Ended};
use crate::store::{DUTY_MAX, Pool, ReadError};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use stream::{Stream, StreamError};
use uuid::Uuid;
use wire::event::{EntryMade, Event, Side};

/// Batches of each writer in one reading.
const OF_EACH: usize = 128;
/// Events written at once, not counting the rest of the batch that makes them so many. The lanes run on the same thread,
/// so it is not kept for long.
const WRITTEN_AT_ONCE: usize = 256;
/// A standby looks after this long whether it is needed.
const STAND_BY: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// A turn that takes longer hangs.
const TURN_MAX: Duration = Duration::from_secs(60);

/// Nothing was told, or not all; what was not noted is told again.
#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error("it hangs")]
    Hangs(#[from] tokio::time::error::Elapsed),
    #[error("an event cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

/// What a turn came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Another replica relays.
    StandsBy,
    /// All that was there is told.
    Done,
    /// There is more.
    More,
}

/// Relays until the node stops.
///
/// # Errors
/// The address of Redis cannot be used; everything else is tried again.
pub fn relay(
    node: Arc<Node>,
    config: EventsConfig,
    pool: Pool,
    metrics: EventsMetrics,
) -> Result<impl Future<Output = ()>, redis::RedisError> {
    let stream = Stream::new(&config, node.shard)?;
    let relay = Relay { node, pool, metrics, stream, leading: None, renewals: 0 };
    Ok(relay.run(config.poll))
}

struct Relay {
    node: Arc<Node>,
    pool: Pool,
    metrics: EventsMetrics,
    stream: Stream,
    /// The connection that has the lead.
    leading: Option<deadpool_postgres::Client>,
    /// What was counted when that was made.
    renewals: u64,
}

impl Relay {
    async fn run(mut self, poll: Duration) {
        let mut retry = poll;
        while !self.node.shutdown.is_triggered() {
            let turn = tokio::time::timeout(TURN_MAX, self.turn()).await;
            let pause = match turn.unwrap_or_else(|late| Err(late.into())) {
                Ok(turn) => {
                    retry = poll;
                    match turn {
                        Turn::More => continue,
                        Turn::Done => poll,
                        Turn::StandsBy => STAND_BY,
                    }
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "events were not told; trying again");
                    // Without Redis, the lead stays: another replica would find the same one.
                    if !matches!(error, RelayError::Stream(_)) {
                        self.leave();
                    }
                    let pause = retry;
                    retry = (retry * 2).min(RETRY_MAX);
                    pause
                }
            };
            until(&self.node.shutdown, pause).await;
        }
        self.leave();
    }

    async fn turn(&mut self) -> Result<Turn, RelayError> {
        if self.renewals != self.node.renewals() {
            self.renewals = self.node.renewals();
            self.leave();
            self.pool.renew();
        }
        if self.leading.is_none() {
            self.leading = self.pool.win(DUTY_MAX, async |client| lead(client, &self.metrics).await).await?;
        }
        let Some(client) = &self.leading else { return Ok(Turn::StandsBy) };
        let (batches, waited) = events::next(client, OF_EACH.try_into().unwrap_or(i64::MAX)).await?;
        self.metrics.lag_seconds.set(waited.as_secs_f64());
        let read = batches.len();
        let batches = order::in_order(batches, OF_EACH);
        let is_cut = batches.len() < read || read >= OF_EACH;
        for batches in chunks(&batches) {
            tell(client, &mut self.stream, batches, &self.metrics).await?;
        }
        Ok(if is_cut { Turn::More } else { Turn::Done })
    }

    /// The lead ends with the connection, which must not go back to the pool with it.
    fn leave(&mut self) {
        if let Some(client) = self.leading.take() {
            drop(deadpool_postgres::Client::take(client));
        }
    }
}

/// Takes the lead, or sees how much whoever has it still has to tell.
async fn lead(client: &deadpool_postgres::Client, metrics: &EventsMetrics) -> Result<bool, ReadError> {
    let leads = events::lead(client).await?;
    if !leads {
        let (_, waited) = events::next(client, 1).await?;
        metrics.lag_seconds.set(waited.as_secs_f64());
    }
    Ok(leads)
}

/// Cuts after the batch that makes enough events.
fn chunks(batches: &[Batch]) -> impl Iterator<Item = &[Batch]> {
    let mut events = 0;
    batches.split_inclusive(move |batch| {
        events += batch.transfers.len();
        let is_enough = events >= WRITTEN_AT_ONCE;
        if is_enough {
            events = 0;
        }
        is_enough
    })
}

/// Writes the events of the batches, then notes that.
async fn tell(
    client: &deadpool_postgres::Client,
    stream: &mut Stream,
    batches: &[Batch],
    metrics: &EventsMetrics,
) -> Result<(), RelayError> {
    let ids: Vec<Uuid> = batches.iter().flat_map(|batch| &batch.transfers).copied().collect();
    if !ids.is_empty() {
        let events = texts(&ids, events::ended(client, &ids).await?, metrics)?;
        match stream.append(&events).await {
            Err(error) if runtime::bug!("bug::cursor_without_redis") => tracing::debug!(%error, "events are lost"),
            appended => appended?,
        }
        metrics.relayed.inc_by(u64::try_from(events.len()).unwrap_or(u64::MAX));
    }
    // In a writer's order, so the last one is the highest.
    let upto: HashMap<i32, i64> = batches.iter().map(|batch| (batch.writer, batch.number)).collect();
    Ok(events::told(client, &upto).await?)
}

fn texts(ids: &[Uuid], mut ended: HashMap<Uuid, Ended>, metrics: &EventsMetrics) -> Result<Vec<String>, RelayError> {
    let mut texts = Vec::with_capacity(ids.len());
    for id in ids {
        match ended.remove(id).and_then(event) {
            Some(event) => texts.push(serde_json::to_string(&event)?),
            // To wait for it would keep everything after it waiting for ever.
            None => {
                metrics.missing.inc();
                tracing::error!(transfer_id = %id, "a committed batch lists a terminal transfer that is not there");
            }
        }
    }
    Ok(texts)
}

fn event(ended: Ended) -> Option<Event> {
    let Ended { transfer, debit, credit } = ended;
    let (debtor, creditor) = (transfer.debit_user_id.clone(), transfer.credit_user_id.clone());
    let sides = [
        (Side::Debit, transfer.debit_account_id, debtor, debit),
        (Side::Credit, transfer.credit_account_id, creditor, credit),
    ];
    let made = sides.into_iter().filter_map(|(side, account, user, entry)| {
        let (account_id, entry) = account.zip(entry)?;
        let user_id = user.map(|user| user.as_str().to_owned());
        let (number, balance_after) = (entry.number, entry.balance_after.get());
        Some(EntryMade { side, account_id, user_id, number, balance_after })
    });
    let entries = made.collect();
    Event::of(transfer.into(), entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::Timestamp;

    #[test]
    fn chunks_are_cut_after_a_batch() {
        let batch = |number, count| Batch {
            writer: 0,
            number,
            position: 0,
            decided_at: Timestamp(0),
            transfers: vec![Uuid::nil(); count],
        };
        let batches = [batch(1, WRITTEN_AT_ONCE - 1), batch(2, 512), batch(3, 1), batch(4, 0)];
        let cut: Vec<usize> = chunks(&batches).map(<[Batch]>::len).collect();
        assert_eq!(cut, [2, 2]);
    }
}

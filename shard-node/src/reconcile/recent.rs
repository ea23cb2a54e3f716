//! The newest reading of what is recent. Who compares and all who are asked share it, so that it is read about once for
//! each pass, however many peers there are.

use super::config::ReconcileConfig;
use super::halves::{self, Half};
use crate::store::ReadError;
use crate::store::reconcile::{self, Reading, Wanted};
use arc_swap::ArcSwapOption;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use uuid::Uuid;
use wire::pairing::Halves;

/// At least so much is read: what is compared of the clearing accounts lies in it, however old the question is.
pub const COVERED_MIN: Duration = Duration::from_secs(50);
/// What is read to compare clearing accounts alone.
pub const CLEARING_ONLY: Wanted = Wanted { covered: COVERED_MIN, transfers: 0, further: COVERED_MIN };
/// A reading that was made within this time needs not be made again.
const YOUNG: Duration = Duration::from_secs(3);
/// What has ended stays as it is, and may be told for a little longer.
const TOLD_FOR: Duration = Duration::from_secs(10);

/// One reading, and what follows from it.
#[derive(Debug)]
pub struct Snapshot {
    /// The rows.
    pub reading: Reading,
    /// This shard's halves of the transfers with others.
    pub halves: Vec<Half>,
    /// No later than its moment.
    pub began: Instant,
    ended: Instant,
    wanted: Wanted,
    /// Which of the halves; `None` if this shard has both.
    by_id: HashMap<Uuid, Option<usize>>,
}

impl Snapshot {
    /// Reads all of it.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn read(client: &mut deadpool_postgres::Client, wanted: Wanted) -> Result<Snapshot, ReadError> {
        let began = Instant::now();
        Ok(Snapshot::of(reconcile::read(client, wanted).await?, wanted, began))
    }

    fn of(reading: Reading, wanted: Wanted, began: Instant) -> Snapshot {
        let halves = halves::of(&reading);
        let mut by_id = HashMap::with_capacity(halves.len());
        for (place, half) in halves.iter().enumerate() {
            by_id.entry(half.id).and_modify(|both| *both = None).or_insert(Some(place));
        }
        Snapshot { reading, halves, began, ended: Instant::now(), wanted, by_id }
    }

    /// What is known for good of a transfer: here it has ended, or was decided about.
    pub fn ended(&self, id: Uuid) -> Option<&Halves> {
        let half = &self.halves[(*self.by_id.get(&id)?)?];
        half.has_ended().then_some(&half.halves)
    }

    /// Whether it has all that is wanted. One that is not whole has no more than is there of the same again.
    fn will_do(&self, wanted: Wanted) -> bool {
        let has_more = self.wanted.covered >= wanted.covered
            && self.wanted.transfers >= wanted.transfers
            && self.wanted.further >= wanted.further;
        self.wanted == wanted || has_more && self.reading.is_whole
    }
}

/// The newest reading, if there is one.
#[derive(Debug)]
pub struct Recent {
    newest: ArcSwapOption<Newest>,
    /// Held while one reads; the others wait for what it has read.
    reads: Mutex<()>,
    young: Duration,
}

#[derive(Debug)]
struct Newest {
    snapshot: Arc<Snapshot>,
    renewals: u64,
}

impl Recent {
    /// Nothing is read yet.
    pub fn new(config: &ReconcileConfig) -> Recent {
        // So that whoever looks again finds another one.
        let young = YOUNG.min(config.confirm_after);
        Recent { newest: ArcSwapOption::empty(), reads: Mutex::new(()), young }
    }

    /// One that has what is wanted, read now if there is none that is young. `renewals` tells how often connections were
    /// renewed, when it is this one's turn: what was read before the last time is not to be believed.
    ///
    /// # Errors
    /// What reading it comes to.
    pub async fn get(
        &self,
        wanted: Wanted,
        renewals: impl FnOnce() -> u64,
        read: impl AsyncFnOnce(Wanted) -> Result<Snapshot, ReadError>,
    ) -> Result<Arc<Snapshot>, ReadError> {
        let _others_wait = self.reads.lock().await;
        let renewals = renewals();
        if let Some(newest) = self.newest(renewals)
            && newest.ended.elapsed() <= self.young
            && newest.will_do(wanted)
        {
            return Ok(newest);
        }
        let snapshot = Arc::new(read(wanted).await?);
        self.newest.store(Some(Arc::new(Newest { snapshot: snapshot.clone(), renewals })));
        Ok(snapshot)
    }

    /// One that may still be told from, as far as it goes.
    pub fn told_from(&self, renewals: u64) -> Option<Arc<Snapshot>> {
        self.newest(renewals).filter(|newest| newest.ended.elapsed() <= TOLD_FOR)
    }

    fn newest(&self, renewals: u64) -> Option<Arc<Snapshot>> {
        let newest = self.newest.load();
        newest.as_ref().filter(|newest| newest.renewals == renewals).map(|newest| newest.snapshot.clone())
    }
}

/// What there is of the transfers, in their order: what a snapshot knows for good, and the rest as it is read.
///
/// # Errors
/// What reading it comes to.
pub async fn look_up<E>(
    known: Option<&Snapshot>,
    ids: &[Uuid],
    read: impl AsyncFnOnce(&[Uuid]) -> Result<Vec<Halves>, E>,
) -> Result<Vec<Halves>, E> {
    let known: Vec<_> = ids.iter().map(|id| known.and_then(|known| known.ended(*id)).cloned()).collect();
    let unknown = ids.iter().zip(&known).filter(|(_, known)| known.is_none());
    let unknown: Vec<Uuid> = unknown.map(|(id, _)| *id).collect();
    let read = if unknown.is_empty() { Vec::new() } else { read(&unknown).await? };
    let mut read = read.into_iter();
    Ok(known.into_iter().map(|known| known.or_else(|| read.next()).unwrap_or_default()).collect())
}

#[cfg(test)]
#[path = "recent_tests.rs"]
mod tests;

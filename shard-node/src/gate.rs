//! Whether commands may be taken: not while the database may be an older state of itself, restored from a backup. Then
//! decisions and reservations that others rely on are missing, and every new one could contradict them. Reads go on.
//!
//! Two things close it: a chain of batches that is shorter than this process saw it, and a difference from what the peers
//! have (`reconcile::open`), which is all that a process which has just been started can know.

use prometheus::IntGauge;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// How far a node has come on its way to taking commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// The first look at the peers. It takes milliseconds, so commands wait for it in their queues.
    Looking,
    /// Something seems to be missing here; it is looked at again.
    Suspicious(String),
    /// Something is missing here.
    ReadOnly(String),
    /// Commands are taken.
    Open,
}

/// The gate of one node.
pub struct Gate {
    opening: watch::Sender<Opening>,
    heads: Mutex<Heads>,
    read_only: IntGauge,
}

/// The database has gone back: a chain ends before a batch that was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the chain of writer {writer} ends with batch {found}, and batch {acknowledged} was committed")]
pub struct GoneBack {
    /// Whose chain.
    pub writer: i32,
    /// The last batch that this process saw committed.
    pub acknowledged: i64,
    /// The last batch in the database.
    pub found: i64,
}

/// The ends of the chains of this node's lanes, as far as this process saw them committed.
#[derive(Debug, Default)]
struct Heads {
    acknowledged: BTreeMap<i32, i64>,
    gone_back: Option<GoneBack>,
}

impl Heads {
    fn acknowledge(&mut self, writer: i32, number: i64) {
        let known = self.acknowledged.entry(writer).or_insert(number);
        *known = number.max(*known);
    }

    /// A longer chain than is known is nothing special: an unknown commit may have been one.
    fn compare(&mut self, expected: &BTreeMap<i32, i64>, found: &BTreeMap<i32, i64>) -> Result<(), GoneBack> {
        let ends = expected.iter().map(|(writer, acknowledged)| GoneBack {
            writer: *writer,
            acknowledged: *acknowledged,
            found: found.get(writer).copied().unwrap_or_default(),
        });
        self.gone_back = ends.into_iter().find(|end| end.found < end.acknowledged);
        if let Some(gone_back) = self.gone_back {
            return Err(gone_back);
        }
        found.iter().for_each(|(writer, number)| self.acknowledge(*writer, *number));
        Ok(())
    }
}

impl Gate {
    /// Closed, until the peers were looked at. `read_only` shows 1 while something is known to be missing.
    pub fn new(read_only: IntGauge) -> Self {
        Gate { opening: watch::Sender::new(Opening::Looking), heads: Mutex::default(), read_only }
    }

    /// Goes on to another state.
    pub fn set(&self, opening: Opening) {
        self.opening.send_replace(opening);
        self.show(&self.heads());
    }

    /// The state, and its changes.
    pub fn watch(&self) -> watch::Receiver<Opening> {
        self.opening.subscribe()
    }

    /// Waits until the peers were compared with and nothing was missing.
    pub async fn opened(&self) {
        // An error means that the node has ended, and whoever waits with it.
        drop(self.opening.subscribe().wait_for(|opening| *opening == Opening::Open).await);
    }

    /// Whether commands may be taken.
    pub fn is_open(&self) -> bool {
        self.why_closed().is_none()
    }

    /// Why no commands are taken.
    pub fn why_closed(&self) -> Option<String> {
        if let Some(gone_back) = self.heads().gone_back {
            return Some(format!("read-only: {gone_back}"));
        }
        match &*self.opening.borrow() {
            Opening::Open => None,
            Opening::Looking => Some("comparing with other shards".to_owned()),
            Opening::Suspicious(what) => Some(format!("comparing again with other shards: {what}")),
            Opening::ReadOnly(what) => Some(format!("read-only, something is missing here: {what}")),
        }
    }

    /// A lane has committed this batch.
    pub fn acknowledge(&self, writer: i32, number: i64) {
        self.heads().acknowledge(writer, number);
    }

    /// The ends of the chains that a new connection of this writer must show, this writer's among them. To be asked for
    /// before the chains are read: another lane may commit right after that.
    pub fn expected(&self, writer: i32) -> BTreeMap<i32, i64> {
        let mut expected = self.heads().acknowledged.clone();
        expected.entry(writer).or_default();
        expected
    }

    /// Compares the ends of the chains in the database with those that were expected. This process has seen these too then:
    /// they were read after the connection's barrier.
    ///
    /// # Errors
    /// The database has gone back; nothing may be written to it.
    pub fn compare(&self, expected: &BTreeMap<i32, i64>, found: &BTreeMap<i32, i64>) -> Result<(), GoneBack> {
        let mut heads = self.heads();
        let before = heads.gone_back;
        let compared = heads.compare(expected, found);
        self.show(&heads);
        match (before, compared) {
            (before, Err(gone_back)) if before != Some(gone_back) => {
                let GoneBack { writer, acknowledged, found } = gone_back;
                tracing::error!(writer, acknowledged, found, "the database has gone back in time; it is only read");
            }
            (Some(_), Ok(())) => tracing::info!("the database has all committed batches again"),
            _ => {}
        }
        compared
    }

    fn show(&self, heads: &Heads) {
        let is_read_only = heads.gone_back.is_some() || matches!(&*self.opening.borrow(), Opening::ReadOnly(_));
        self.read_only.set(i64::from(is_read_only));
    }

    fn heads(&self) -> MutexGuard<'_, Heads> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Gate {
        Gate::new(IntGauge::new("read_only", "x").expect("a gauge"))
    }

    /// What a new connection of writer 0 comes to.
    fn connect(gate: &Gate, found: &[(i32, i64)]) -> Result<(), GoneBack> {
        gate.compare(&gate.expected(0), &found.iter().copied().collect())
    }

    #[test]
    fn only_a_chain_shorter_than_was_acknowledged_has_gone_back() {
        let gate = gate();
        gate.set(Opening::Open);
        assert_eq!(connect(&gate, &[]), Ok(()), "nothing was committed yet");
        gate.acknowledge(0, 7);
        gate.acknowledge(1, 3);
        for others in [[(0, 7), (1, 3)], [(0, 8), (1, 3)], [(0, 8), (1, 900)]] {
            assert_eq!(connect(&gate, &others), Ok(()), "{others:?}");
            assert!(gate.is_open());
        }
        let shorter = GoneBack { writer: 1, acknowledged: 900, found: 899 };
        assert_eq!(connect(&gate, &[(0, 8), (1, 899)]), Err(shorter));
        assert_eq!(connect(&gate, &[(0, 8)]), Err(GoneBack { found: 0, ..shorter }), "the chain is gone");
    }

    #[test]
    fn batch_of_another_lane_that_is_committed_after_the_reading_is_not_missing_in_it() {
        let gate = gate();
        gate.set(Opening::Open);
        gate.acknowledge(1, 3);
        let expected = gate.expected(0);
        let found = BTreeMap::from([(0, 0), (1, 3)]);
        gate.acknowledge(1, 4);
        assert_eq!(gate.compare(&expected, &found), Ok(()));
        assert_eq!(connect(&gate, &[(0, 0), (1, 3)]), Err(GoneBack { writer: 1, acknowledged: 4, found: 3 }));
    }

    #[test]
    fn gate_opens_again_when_the_batches_are_back() {
        let gate = gate();
        gate.set(Opening::Open);
        gate.acknowledge(0, 7);
        connect(&gate, &[(0, 6)]).expect_err("has gone back");
        assert_eq!((gate.is_open(), gate.read_only.get()), (false, 1));
        let why = gate.why_closed().expect("is closed");
        assert!(why.contains("batch 6") && why.contains("batch 7"), "{why}");
        assert_eq!(connect(&gate, &[(0, 7)]), Ok(()));
        assert_eq!((gate.is_open(), gate.read_only.get()), (true, 0));
    }

    #[test]
    fn acknowledged_batches_are_never_forgotten_for_earlier_ones() {
        let gate = gate();
        gate.acknowledge(0, 7);
        gate.acknowledge(0, 5);
        connect(&gate, &[(0, 6)]).expect_err("has gone back");
    }

    #[test]
    fn gate_is_open_in_one_state_only_and_read_only_in_one() {
        let missing = || "shard 2".to_owned();
        let states = [
            (Opening::Looking, false, 0),
            (Opening::Suspicious(missing()), false, 0),
            (Opening::ReadOnly(missing()), false, 1),
            (Opening::Open, true, 0),
        ];
        for (state, is_open, read_only) in states {
            let gate = gate();
            gate.set(state.clone());
            assert_eq!((gate.is_open(), gate.read_only.get()), (is_open, read_only), "{state:?}");
        }
    }
}

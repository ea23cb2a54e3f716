//! What happens to what one process sends to another.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use local_cluster::ProcessName;
use tokio::sync::watch;
use tokio::time::Instant;

/// One direction of the connections that one process opens to another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Way {
    /// Who opened them.
    pub client: ProcessName,
    /// To whom.
    pub server: ProcessName,
    /// Whether this is what the client sends, or what the server answers.
    pub is_request: bool,
}

impl Way {
    /// What a client sends.
    pub fn requests(client: &ProcessName, server: &ProcessName) -> Self {
        Self { client: client.clone(), server: server.clone(), is_request: true }
    }

    /// What a server answers.
    pub fn answers(client: &ProcessName, server: &ProcessName) -> Self {
        Self { is_request: false, ..Self::requests(client, server) }
    }

    /// Both directions in which packets go from one process to another, whoever opened the connection.
    pub fn packets(from: &ProcessName, to: &ProcessName) -> [Self; 2] {
        [Self::requests(from, to), Self::answers(to, from)]
    }
}

/// What a way does with what passes. The default lets everything through as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Manner {
    /// Nothing passes; what waits passes later, as packets that are sent again do.
    pub is_blocked: bool,
    /// How long everything takes.
    pub delay: Duration,
    /// Each connection ends in the middle of this message of its.
    pub cut_within: Option<u32>,
    /// Each connection ends in the middle of the answer to this commit of its; PostgreSQL's answers only.
    pub cut_within_commit: Option<u32>,
    /// Every how many-th message passes twice; links only.
    pub duplicate_every: Option<u32>,
    /// Some pass once more, later; links only.
    pub replay: Option<Replay>,
    /// Every how many-th message is lost; links only.
    pub drop_every: Option<u32>,
    /// How often the connections there were have been cut.
    pub cuts: u32,
}

/// Messages that pass once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replay {
    /// Every how many-th does.
    pub every: u32,
    /// How much later.
    pub after: Duration,
}

impl Manner {
    /// Whether no message is treated in a way of its own.
    pub(super) fn spares_messages(&self) -> bool {
        self.cut_within.is_none()
            && self.cut_within_commit.is_none()
            && self.duplicate_every.is_none()
            && self.replay.is_none()
            && self.drop_every.is_none()
    }
}

/// One way's present manner, and the messages that are to pass it once more.
#[derive(Debug, Default)]
pub(super) struct Passage {
    pub(super) manner: watch::Sender<Manner>,
    pub(super) again: Mutex<VecDeque<(Instant, Bytes)>>,
    /// Messages that did not pass as they were.
    pub(super) hits: AtomicU64,
}

impl Passage {
    pub(super) fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    /// A message outlives its connection here: the one that replays it may be another, to another process even.
    pub(super) fn again(&self) -> MutexGuard<'_, VecDeque<(Instant, Bytes)>> {
        self.again.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All ways of a cluster.
#[derive(Debug, Default)]
pub struct Ways(Mutex<HashMap<Way, Arc<Passage>>>);

impl Ways {
    fn all(&self) -> MutexGuard<'_, HashMap<Way, Arc<Passage>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn passage(&self, way: Way) -> Arc<Passage> {
        self.all().entry(way).or_default().clone()
    }

    /// Changes the manner of a way; what is on its way meets the new one.
    pub fn change(&self, way: Way, change: impl FnOnce(&mut Manner)) {
        self.passage(way).manner.send_modify(change);
    }

    /// Ends the connections that there are between two processes.
    pub fn cut(&self, client: &ProcessName, server: &ProcessName) {
        self.change(Way::requests(client, server), |manner| manner.cuts += 1);
    }

    /// How many messages, all in all, were cut, doubled, replayed, dropped or delayed.
    #[cfg(test)]
    pub fn hits(&self) -> u64 {
        self.all().values().map(|passage| passage.hits.load(Ordering::Relaxed)).sum()
    }

    /// Whether nothing passes now.
    #[cfg(test)]
    pub fn is_blocked(&self, way: &Way) -> bool {
        self.passage(way.clone()).manner.borrow().is_blocked
    }

    /// Lets everything through again.
    pub fn open_all(&self) {
        for passage in self.all().values() {
            passage.again().clear();
            passage.manner.send_modify(|manner| *manner = Manner { cuts: manner.cuts, ..Manner::default() });
        }
    }
}

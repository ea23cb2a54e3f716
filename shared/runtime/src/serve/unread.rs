//! What clients have not taken yet of their answers: how much, and since when.
//!
//! A write that has to wait tells this of HTTP/1 only. An HTTP/2 client has windows: it may close them and leave as many
//! answers with us as it likes, on a connection that is never blocked (RFC 9113, section 5.2).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use tokio::sync::Notify;

/// So much may clients of one listener leave with us, together. Those who read never come near it: their answers are
/// gone with the next write. A single answer must be shorter.
const BYTES_MAX: usize = 64 << 20;

/// When it was more, so much is left, so that clients are not looked through for each further answer.
const BYTES_KEPT: usize = BYTES_MAX / 2;

/// All connections of one listener.
#[derive(Debug, Default)]
pub(super) struct Unread {
    bytes: AtomicUsize,
    too_much: Notify,
}

impl Unread {
    /// Returns once it is more than may be.
    pub(super) async fn too_much(&self) {
        self.too_much.notified().await;
    }

    fn add(&self, bytes: usize) {
        if self.bytes.fetch_add(bytes, Relaxed) + bytes > BYTES_MAX {
            self.too_much.notify_one();
        }
    }

    fn subtract(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Relaxed);
    }
}

/// How many of these may stay, where the first has the least unread and the last the most: all, unless it is too much.
pub(super) fn may_stay(unread: impl Iterator<Item = usize>) -> usize {
    let (mut all, mut kept) = (0, 0);
    for (number, bytes) in unread.enumerate() {
        all += bytes;
        if all <= BYTES_KEPT {
            kept = number + 1;
        }
    }
    if all > BYTES_MAX { kept } else { usize::MAX }
}

/// One connection.
///
/// To know since when the oldest part waits, without a list of all, they are counted in two groups. Newcomers join the
/// younger one, and once the older one is empty, the younger takes its place. So whatever is in the older group has
/// waited since then at least, and was in the younger one for no longer than the older one lasted: with a limit on the
/// older group, nothing is ended before the limit, and everything before twice the limit.
#[derive(Debug)]
pub(super) struct Backlog {
    listener: Arc<Unread>,
    bytes: AtomicUsize,
    counts: [AtomicUsize; 2],
    /// The number of the older group; it is empty only if both are.
    older: AtomicUsize,
    /// Since when it is the older one, in microseconds.
    since_us: AtomicU64,
}

/// A part's place in the backlog.
#[derive(Debug)]
pub(super) struct Part {
    group: usize,
    pub(super) bytes: usize,
}

impl Backlog {
    pub(super) fn new(listener: Arc<Unread>) -> Self {
        let counts = [AtomicUsize::new(0), AtomicUsize::new(0)];
        Self { listener, bytes: AtomicUsize::new(0), counts, older: AtomicUsize::new(0), since_us: AtomicU64::new(0) }
    }

    /// A part begins to wait for the client.
    pub(super) fn join(&self, bytes: usize, now_us: u64) -> Part {
        let older = self.older.load(Relaxed);
        let alone = self.counts[older].load(Relaxed) == 0;
        if alone {
            self.since_us.store(now_us, Relaxed);
        }
        let group = if alone { older } else { 1 - older };
        self.counts[group].fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
        self.listener.add(bytes);
        Part { group, bytes }
    }

    /// The client has taken a part, or does not want it any more.
    pub(super) fn leave(&self, part: &Part, now_us: impl FnOnce() -> u64) {
        self.listener.subtract(part.bytes);
        self.bytes.fetch_sub(part.bytes, Relaxed);
        let was_last = self.counts[part.group].fetch_sub(1, Relaxed) == 1;
        let older = self.older.load(Relaxed);
        if was_last && part.group == older && self.counts[1 - older].load(Relaxed) > 0 {
            self.older.store(1 - older, Relaxed);
            self.since_us.store(now_us(), Relaxed);
        }
    }

    /// Since when at least the oldest part waits; `None` if there is none.
    pub(super) fn since_us(&self) -> Option<u64> {
        let waits = self.counts.iter().any(|count| count.load(Relaxed) > 0);
        waits.then(|| self.since_us.load(Relaxed))
    }

    /// How much waits.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: usize = 1 << 20;

    #[test]
    fn oldest_part_has_waited_for_one_limit_at_least_and_two_at_most() {
        let backlog = Backlog::new(Arc::default());
        assert_eq!(backlog.since_us(), None);
        let first = backlog.join(1, 100);
        assert_eq!(backlog.since_us(), Some(100));
        let (second, third) = (backlog.join(1, 101), backlog.join(1, 150));
        backlog.leave(&third, || 160);
        assert_eq!(backlog.since_us(), Some(100), "what comes and goes meanwhile renews nothing");
        backlog.leave(&first, || 199);
        assert_eq!(backlog.since_us(), Some(199), "before 100 and a limit of 100 were over");
        let fourth = backlog.join(1, 200);
        backlog.leave(&fourth, || 250);
        assert_eq!(backlog.since_us(), Some(199), "so the second one, of 101, goes at 299");
        backlog.leave(&second, || 298);
        assert_eq!(backlog.since_us(), None);
        let fifth = backlog.join(1, 900);
        assert_eq!(backlog.since_us(), Some(900));
        backlog.leave(&fifth, || 901);
        assert_eq!((backlog.since_us(), backlog.bytes()), (None, 0));
    }

    #[tokio::test]
    async fn more_than_all_may_leave_is_told() {
        let listener = Arc::<Unread>::default();
        let backlogs = [Backlog::new(Arc::clone(&listener)), Backlog::new(Arc::clone(&listener))];
        let first = backlogs[0].join(64 * MB, 0);
        backlogs[0].leave(&first, || 1);
        backlogs[0].join(32 * MB, 2);
        backlogs[1].join(32 * MB, 2);
        let told = tokio::time::timeout(std::time::Duration::ZERO, listener.too_much()).await;
        assert!(told.is_err(), "as much as may be");
        backlogs[1].join(1, 3);
        listener.too_much().await;
        assert_eq!(backlogs.each_ref().map(Backlog::bytes), [32 * MB, 32 * MB + 1]);
    }

    #[test]
    fn those_with_little_stay() {
        assert_eq!(may_stay([0, 1, MB, 63 * MB - 1].into_iter()), usize::MAX, "no more than may be");
        assert_eq!(may_stay([0, 1, MB, 63 * MB].into_iter()), 3);
        assert_eq!(may_stay([0, 0, 20 * MB, 20 * MB, 30 * MB].into_iter()), 3, "half of it is kept");
        assert_eq!(may_stay([65 * MB].into_iter()), 0);
    }
}

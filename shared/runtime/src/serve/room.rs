//! Room for newcomers: where nearly as many connections are open as may be, those on which the client has kept us
//! waiting for longest are closed. A server may close an idle connection at any time (RFC 9112, section 9.6), and a
//! crowd of idle ones must not lock out clients that want something. nginx does the same with its reusable connections.
//!
//! Room in memory as well: where clients together leave too much of their answers with us, those with the most of it
//! are closed.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::activity::Activity;
use super::unread::may_stay;

/// Of the connections that may be open, one in so many is kept free.
const FREE_PART: usize = 16;
/// At most so many are closed for one newcomer, so that they need not be looked for each time.
const CLOSED_AT_ONCE: usize = 32;
/// Whoever was heard of since is left alone.
const WAITED_MIN: Duration = Duration::from_secs(1);
/// Looking at all connections takes its time, and is of no use again at once.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// The connections of one listener.
pub(super) struct Room {
    max: usize,
    connections: Vec<Known>,
    looked: Option<Instant>,
}

struct Known {
    task: AbortHandle,
    activity: Weak<Activity>,
}

impl Room {
    /// For so many connections.
    pub(super) fn new(max: usize) -> Self {
        Self { max, connections: Vec::new(), looked: None }
    }

    /// Notes a connection and the task that serves it.
    pub(super) fn note(&mut self, task: AbortHandle, activity: &Arc<Activity>) {
        if self.connections.len() >= 2 * self.max {
            self.forget_ended();
        }
        self.connections.push(Known { task, activity: Arc::downgrade(activity) });
    }

    /// Closes some if there is hardly any room beside so many open ones.
    pub(super) fn make(&mut self, open: usize) {
        let now = Instant::now();
        let looked_lately = self.looked.is_some_and(|looked| now - looked < LOOK_INTERVAL);
        if open + self.part() < self.max || looked_lately {
            return;
        }
        self.looked = Some(now);
        self.forget_ended();
        let mut waiting: Vec<(Instant, &AbortHandle)> = self.connections.iter().filter_map(Known::waiting).collect();
        waiting.retain(|(since, _)| now.saturating_duration_since(*since) >= WAITED_MIN);
        waiting.sort_unstable_by_key(|(since, _)| *since);
        let closed = self.part().min(CLOSED_AT_ONCE);
        for (_, task) in waiting.into_iter().take(closed) {
            task.abort();
        }
    }

    /// Closes those that have most unread, if all together have too much.
    pub(super) fn relieve(&mut self) {
        self.connections.sort_by_cached_key(Known::unread_bytes);
        let stay = may_stay(self.connections.iter().map(Known::unread_bytes));
        // A closed one takes some moments to let go, and is not counted again meanwhile.
        let closed = self.connections.split_off(stay.min(self.connections.len()));
        for connection in &closed {
            connection.task.abort();
        }
        if !closed.is_empty() {
            tracing::warn!(closed = closed.len(), "closed connections: their clients do not read what they ask for");
        }
    }

    fn part(&self) -> usize {
        (self.max / FREE_PART).max(1)
    }

    fn forget_ended(&mut self) {
        self.connections.retain(|connection| !connection.task.is_finished());
    }
}

impl Known {
    fn unread_bytes(&self) -> usize {
        self.activity.upgrade().map_or(0, |activity| activity.unread_bytes())
    }

    /// Since when we wait for the client, if we do.
    fn waiting(&self) -> Option<(Instant, &AbortHandle)> {
        let since = self.activity.upgrade()?.waiting_since()?;
        Some((since, &self.task))
    }
}

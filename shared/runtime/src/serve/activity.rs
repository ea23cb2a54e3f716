//! What one connection is waiting for, and since when: enough to tell a slow client from a busy us.
//!
//! hyper's own header timeout also runs while a connection is idle between requests, and arms a timer
//! for each request. Here a request only stores the time, and the connection's one timer looks at it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use super::unread::{Backlog, Part, Unread};
use crate::config::ServeConfig;

/// What the client still owes us, as one byte of [`Activity`].
mod phase {
    /// The first request: no request came yet.
    pub(super) const NEW: u8 = 0;
    /// The rest of a request's head.
    pub(super) const HEAD: u8 = 1;
    /// A next request, whenever it likes.
    pub(super) const IDLE: u8 = 2;
}

/// How long a client may make us wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    header: Duration,
    pub(super) idle: Duration,
    answer: Duration,
}

impl Patience {
    pub(super) fn of(config: &ServeConfig) -> Self {
        Self { header: config.header_timeout, idle: config.idle_timeout, answer: config.request_timeout }
    }
}

/// Written by the stream, the service and the answers of one connection, read by its timer. One thread at a time
/// touches it, in a process of one thread; the atomics are there because what holds it may move.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    phase: AtomicU8,
    in_flight: AtomicUsize,
    /// When the phase began, in microseconds from `opened`.
    since_us: AtomicU64,
    /// When a write first had to wait, in microseconds from `opened` and never 0; 0 when none waits.
    blocked_us: AtomicU64,
    /// What the client has not taken yet of its answers.
    backlog: Backlog,
}

impl Activity {
    pub(super) fn new(listener: Arc<Unread>) -> Self {
        Self {
            opened: Instant::now(),
            phase: AtomicU8::new(phase::NEW),
            in_flight: AtomicUsize::new(0),
            since_us: AtomicU64::new(0),
            blocked_us: AtomicU64::new(0),
            backlog: Backlog::new(listener),
        }
    }

    /// Bytes of the client were read. On an idle connection they begin a request's head.
    pub(super) fn bytes_came(&self) {
        if self.phase.load(Relaxed) == phase::IDLE && self.in_flight.load(Relaxed) == 0 {
            self.enter(phase::HEAD, self.elapsed_us());
        }
    }

    /// A write has to wait for the client to take what was written before.
    pub(super) fn write_blocked(&self) {
        if self.blocked_us.load(Relaxed) == 0 {
            self.blocked_us.store(self.elapsed_us().max(1), Relaxed);
        }
    }

    /// A write did not have to wait; where it is `part_of_answer`, the connection is not idle yet.
    pub(super) fn write_went_on(&self, part_of_answer: bool) {
        self.blocked_us.store(0, Relaxed);
        if part_of_answer && self.phase.load(Relaxed) == phase::IDLE {
            self.since_us.store(self.elapsed_us(), Relaxed);
        }
    }

    /// A request's head is complete: the client owes nothing until it is answered.
    pub(super) fn request_began(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    /// A request was given up.
    pub(super) fn request_ended(&self) {
        self.request_ended_at(self.elapsed_us());
    }

    /// A request was answered: now the client is to take so many bytes.
    pub(super) fn answered(&self, bytes: usize) -> Part {
        let now_us = self.elapsed_us();
        self.request_ended_at(now_us);
        self.backlog.join(bytes, now_us)
    }

    /// So many bytes of an answer wait for the client.
    pub(super) fn waits(&self, bytes: usize) -> Part {
        self.backlog.join(bytes, self.elapsed_us())
    }

    /// The client has taken a part of an answer, or does not want it any more.
    pub(super) fn taken(&self, part: &Part) {
        self.backlog.leave(part, || self.elapsed_us());
    }

    /// The bytes of answers that the client has not taken.
    pub(super) fn unread_bytes(&self) -> usize {
        self.backlog.bytes()
    }

    /// Whether not one request came: there is nothing to be finished.
    pub(super) fn is_new(&self) -> bool {
        self.phase.load(Relaxed) == phase::NEW && self.in_flight.load(Relaxed) == 0
    }

    /// When patience ends if the client does nothing more; `None` while we owe it an answer.
    pub(super) fn patience_ends(&self, patience: &Patience) -> Option<Instant> {
        if let Some(since_us) = self.not_taken_since_us() {
            return Some(self.opened + Duration::from_micros(since_us) + patience.answer);
        }
        if self.in_flight.load(Relaxed) > 0 {
            return None;
        }
        let allowed = match self.phase.load(Relaxed) {
            phase::IDLE => patience.idle,
            _ => patience.header,
        };
        Some(self.opened + Duration::from_micros(self.since_us.load(Relaxed)) + allowed)
    }

    /// Since when we have been waiting for the client to say or take something; `None` while we owe it an answer.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        if self.in_flight.load(Relaxed) > 0 {
            return None;
        }
        Some(self.opened + Duration::from_micros(self.since_us.load(Relaxed)))
    }

    /// Since when the client has not taken what it was given: HTTP/1 stops at the first write that waits, and HTTP/2
    /// keeps what its windows do not let through.
    fn not_taken_since_us(&self) -> Option<u64> {
        let blocked_us = Some(self.blocked_us.load(Relaxed)).filter(|blocked_us| *blocked_us > 0);
        blocked_us.into_iter().chain(self.backlog.since_us()).min()
    }

    fn request_ended_at(&self, now_us: u64) {
        if self.in_flight.fetch_sub(1, Relaxed) == 1 {
            self.enter(phase::IDLE, now_us);
        }
    }

    fn enter(&self, phase: u8, now_us: u64) {
        self.phase.store(phase, Relaxed);
        self.since_us.store(now_us, Relaxed);
    }

    fn elapsed_us(&self) -> u64 {
        // Does not overflow in half a million years.
        u64::try_from(self.opened.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

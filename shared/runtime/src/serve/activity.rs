//! What one connection is waiting for, and since when: enough to tell a slow client from a busy us.
//!
//! hyper's own header timeout also runs while a connection is idle between requests, and arms a timer
//! for each request. Here a request only stores the time, and the connection's one timer looks at it.

use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

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

/// Written by the stream and the service of one connection, read by its timer. One thread at a time
/// touches it; the atomics are there because an upgraded stream may move.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    phase: AtomicU8,
    in_flight: AtomicUsize,
    /// When the phase began, in microseconds from `opened`.
    since_us: AtomicU64,
    /// When a write first had to wait, in microseconds from `opened` and never 0; 0 when none waits.
    blocked_us: AtomicU64,
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            opened: Instant::now(),
            phase: AtomicU8::new(phase::NEW),
            in_flight: AtomicUsize::new(0),
            since_us: AtomicU64::new(0),
            blocked_us: AtomicU64::new(0),
        }
    }
}

impl Activity {
    /// Bytes of the client were read. On an idle connection they begin a request's head.
    pub(super) fn bytes_came(&self) {
        if self.phase.load(Relaxed) == phase::IDLE && self.in_flight.load(Relaxed) == 0 {
            self.enter(phase::HEAD);
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

    /// A request was answered, or given up.
    pub(super) fn request_ended(&self) {
        if self.in_flight.fetch_sub(1, Relaxed) == 1 {
            self.enter(phase::IDLE);
        }
    }

    /// Whether not one request came: there is nothing to be finished.
    pub(super) fn is_new(&self) -> bool {
        self.phase.load(Relaxed) == phase::NEW && self.in_flight.load(Relaxed) == 0
    }

    /// When patience ends if the client does nothing more; `None` while we owe it an answer.
    pub(super) fn patience_ends(&self, patience: &Patience) -> Option<Instant> {
        let blocked_us = self.blocked_us.load(Relaxed);
        if blocked_us > 0 {
            return Some(self.opened + Duration::from_micros(blocked_us) + patience.answer);
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

    fn enter(&self, phase: u8) {
        self.phase.store(phase, Relaxed);
        self.since_us.store(self.elapsed_us(), Relaxed);
    }

    fn elapsed_us(&self) -> u64 {
        // Does not overflow in half a million years.
        u64::try_from(self.opened.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

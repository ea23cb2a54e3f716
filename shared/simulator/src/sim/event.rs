//! What is to happen, and when.

use super::message::{Call, Reply};
use ledger::Reservation;
use placement::TransferId;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A thing that is to happen.
#[derive(Debug)]
pub(super) enum Event {
    /// A client sends its request, for the first time or again.
    Ask { request: usize },
    /// A client has waited long enough for the answer to that attempt.
    Patience { request: usize, attempt: u32 },
    /// A call reaches its node.
    Arrive(Call),
    /// An answer reaches whoever asked.
    Answered(Reply),
    /// A lane goes on; only with the ticket that it gave out last.
    Lane { node: usize, lane: usize, ticket: u64 },
    /// The server ends a transaction whose connection is gone.
    EndDoubt { shard: usize, transaction: u64, is_committed: bool },
    /// A node looks for messages to send again.
    SweepOutbox { node: usize, incarnation: u64 },
    /// A node marks messages that it has claimed as voiding, and sends them.
    BeginToVoid { node: usize, incarnation: u64, claimed: Vec<Reservation> },
    /// A node looks for what has expired.
    SweepHeld { node: usize, incarnation: u64 },
    /// Somebody has waited for a transfer for as long as he wanted.
    WaitOver { node: usize, incarnation: u64, transfer: TransferId, waiting: u64 },
    /// Something breaks.
    Strike,
    /// A node starts.
    StartNode { node: usize },
    /// A server starts.
    StartStore { shard: usize },
    /// A partition ends.
    Mend { from: usize, to: usize },
    /// Nothing breaks any more.
    Heal,
    /// Every request is sent once more.
    AskAllAgain,
}

#[derive(Debug)]
struct Scheduled {
    at: i64,
    number: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    /// The earliest is the greatest, and of two at the same time the one that was scheduled first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

/// All that is to happen.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    events: BinaryHeap<Scheduled>,
    number: u64,
}

impl Agenda {
    /// At a time, in microseconds from the beginning.
    pub fn put(&mut self, at: i64, event: Event) {
        self.number += 1;
        self.events.push(Scheduled { at, number: self.number, event });
    }

    /// The next.
    pub fn take(&mut self) -> Option<(i64, Event)> {
        self.events.pop().map(|scheduled| (scheduled.at, scheduled.event))
    }

    /// How many were put.
    pub fn count(&self) -> u64 {
        self.number
    }
}

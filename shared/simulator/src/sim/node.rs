//! A shard-node: a process with lanes, and nothing in its memory that may not be lost.

use super::message::Asker;
use super::store::Saving;
use ledger::{Command, Stamped};
use placement::{AccountId, TransferId};
use std::collections::{BTreeMap, VecDeque};

/// The lanes of each node.
pub(super) const LANES: usize = 2;

/// A process.
#[derive(Debug)]
pub(super) struct Node {
    /// The shard that it serves.
    pub shard: usize,
    /// How often it was started; what was meant for an earlier one is lost.
    pub incarnation: u64,
    pub is_up: bool,
    /// How far its clock is off, in microseconds.
    pub clock_offset: i64,
    pub lanes: [Lane; LANES],
    /// Who waits for which transfer.
    pub waiting: BTreeMap<TransferId, Vec<Waiting>>,
    /// Whose message is on its way, by the number of the delivery.
    pub deliveries: BTreeMap<u64, Delivery>,
}

/// Somebody who waits for the end of a transfer.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub number: u64,
    pub asker: Asker,
}

/// A message sent and not answered yet.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub transfer: TransferId,
    pub debit_account_id: AccountId,
}

/// One writer.
#[derive(Debug)]
pub(super) struct Lane {
    pub queue: VecDeque<Task>,
    pub work: Work,
    /// What it waits for; an older event is none of its business.
    pub ticket: u64,
}

/// What a lane is at.
#[derive(Debug)]
pub(super) enum Work {
    /// It has no connection, and perhaps a batch that it must run again.
    Down { unfinished: Vec<Task>, pause: i64 },
    /// It has nothing to do.
    Idle,
    /// A batch is to be loaded and decided.
    Loading { batch: Vec<Task>, attempt: u32, since: i64 },
    /// A batch is decided; the server is about to commit it.
    Saving { batch: Vec<Task>, stamped: Vec<Stamped>, saving: Saving, attempt: u32 },
    /// A batch is committed; the lane is about to hear of it.
    Committed { batch: Vec<Task>, stamped: Vec<Stamped>, saving: Saving },
}

/// A command on its way through a lane.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub command: Command,
    /// `None` for the node's own commands.
    pub asker: Option<Asker>,
    pub deadline: i64,
    pub wait_until: i64,
}

impl Node {
    /// A process that is about to connect.
    pub fn new(shard: usize, clock_offset: i64) -> Node {
        let lane = || Lane { queue: VecDeque::new(), work: Work::down(Vec::new()), ticket: 0 };
        Node {
            shard,
            incarnation: 0,
            is_up: false,
            clock_offset,
            lanes: [lane(), lane()],
            waiting: BTreeMap::new(),
            deliveries: BTreeMap::new(),
        }
    }
}

impl Work {
    /// Without a connection.
    pub fn down(unfinished: Vec<Task>) -> Work {
        Work::Down { unfinished, pause: super::RECONNECT_AFTER }
    }
}

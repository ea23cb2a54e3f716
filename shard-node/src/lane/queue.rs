//! The bounded queues before the lanes.

use ledger::{Command, Stamped};
use placement::{Slot, TransferId};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;
use tokio::time::Instant;
use wire::answer::Answer;
use wire::link::Replier;
use wire::operation::CallContext;

/// A command on its way through a lane.
#[derive(Debug)]
pub struct Task {
    /// The command, with ids to be stamped by the lane.
    pub stamped: Stamped,
    /// Where it came from.
    pub origin: Origin,
}

/// Where a command came from, and how it is answered.
#[derive(Debug)]
pub struct Origin {
    /// For logs, and for messages that follow from it.
    pub context: CallContext,
    /// How long to wait for a saga, in milliseconds.
    pub wait_ms: u32,
    /// When it arrived here.
    pub received: Instant,
    /// The way back; `None` for the node's own commands.
    pub replier: Option<Replier>,
    /// Whether a batch that broke off had decided it anew: what looks like a repeat afterwards is then its own
    /// first run.
    pub decided_before: bool,
}

impl Origin {
    /// Whether whoever asked has stopped waiting.
    pub fn is_expired(&self) -> bool {
        self.received.elapsed().as_millis() >= u128::from(self.context.remaining_ms)
    }

    /// Answers, if anybody waits.
    pub fn reply(self, answer: Answer) {
        if let Some(replier) = self.replier {
            replier.reply(answer);
        }
    }
}

impl Task {
    /// A task for a command, received now.
    pub fn new(command: Command, context: CallContext, wait_ms: u32, replier: Option<Replier>) -> Task {
        let (region, locality) = command.home();
        let fresh_id = TransferId::new(0, region, locality, 0);
        let stamped = Stamped { command, fresh_id, fresh_discriminator: 0 };
        Task { stamped, origin: Origin { context, wait_ms, received: Instant::now(), replier, decided_before: false } }
    }
}

/// The entrances of all lanes of this node. A slot always goes through the same one.
#[derive(Debug, Clone)]
pub struct Lanes(Arc<[Entrance]>);

#[derive(Debug)]
struct Entrance {
    queue: mpsc::Sender<Task>,
    is_up: Arc<AtomicBool>,
}

/// A lane's own end of its queue.
#[derive(Debug)]
pub struct Exit {
    pub(super) queue: mpsc::Receiver<Task>,
    pub(super) is_up: Arc<AtomicBool>,
}

impl Lanes {
    /// The entrances, and the exits for the lanes to be.
    pub fn new(count: u16, queue_max: usize) -> (Lanes, Vec<Exit>) {
        let pairs = (0..count).map(|_| {
            let (sender, receiver) = mpsc::channel(queue_max);
            let is_up = Arc::new(AtomicBool::new(false));
            (Entrance { queue: sender, is_up: is_up.clone() }, Exit { queue: receiver, is_up })
        });
        let (entrances, exits): (Vec<_>, Vec<_>) = pairs.unzip();
        (Lanes(entrances.into()), exits)
    }

    /// Queues a task, or answers at once that it cannot be: a full queue is overload, a lane without its
    /// PostgreSQL is unavailable.
    pub fn submit(&self, task: Task) -> Result<(), Refused> {
        let entrance = self.entrance(task.stamped.command.slot());
        if !entrance.is_up.load(Ordering::Relaxed) {
            task.origin.reply(Answer::Unavailable);
            return Err(Refused::Down);
        }
        match entrance.queue.try_send(task) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(task) | mpsc::error::TrySendError::Closed(task)) => {
                task.origin.reply(Answer::Overloaded { retry_after_ms: 1_000 });
                Err(Refused::Full)
            }
        }
    }

    fn entrance(&self, slot: Slot) -> &Entrance {
        &self.0[slot.index() % self.0.len()]
    }

    /// Whether every lane has its connection.
    pub fn are_up(&self) -> bool {
        self.0.iter().all(|entrance| entrance.is_up.load(Ordering::Relaxed))
    }

    /// How many tasks wait in each lane.
    pub fn depths(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|entrance| entrance.queue.max_capacity() - entrance.queue.capacity())
    }
}

/// Why a task was not queued; it has been answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The queue is full.
    Full,
    /// The lane has no connection.
    Down,
}

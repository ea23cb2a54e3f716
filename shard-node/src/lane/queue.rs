//! The bounded queues before the lanes.

use super::wait_bound::Allowed;
use crate::config::LanesConfig;
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

    /// Whether the way back is gone, with whoever asked: it will ask again, if it still wants to know.
    pub fn is_abandoned(&self) -> bool {
        self.replier.as_ref().is_some_and(Replier::is_gone)
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
    first: mpsc::Sender<Task>,
    is_up: Arc<AtomicBool>,
    allowed: Arc<Allowed>,
}

/// A lane's own end of its queue.
#[derive(Debug)]
pub struct Exit {
    queue: mpsc::Receiver<Task>,
    /// What is taken before the queue.
    first: mpsc::Receiver<Task>,
    pub(super) is_up: Arc<AtomicBool>,
    pub(super) allowed: Arc<Allowed>,
}

impl Lanes {
    /// The entrances, and the exits for the lanes to be.
    pub fn new(config: &LanesConfig) -> (Lanes, Vec<Exit>) {
        let pairs = (0..config.count).map(|_| {
            let (sender, receiver) = mpsc::channel(config.queue_max);
            let (first_sender, first) = mpsc::channel(config.queue_max);
            let is_up = Arc::new(AtomicBool::new(false));
            // Until the rate is known: what one batch takes.
            let allowed = Arc::new(Allowed::new(config.batch_max));
            let (is_up_too, allowed_too) = (is_up.clone(), allowed.clone());
            let entrance = Entrance { queue: sender, first: first_sender, is_up: is_up_too, allowed: allowed_too };
            (entrance, Exit { queue: receiver, first, is_up, allowed })
        });
        let (entrances, exits): (Vec<_>, Vec<_>) = pairs.unzip();
        (Lanes(entrances.into()), exits)
    }

    /// Queues a task, or answers at once that it cannot be: a wait that is too long is overload, a lane without its
    /// PostgreSQL is unavailable. What brings a saga to its end goes first, and is let in as long as it can be held: what
    /// was begun is finished before more is begun.
    pub fn submit(&self, task: Task) -> Result<(), Refused> {
        let entrance = self.entrance(task.stamped.command.slot());
        if !entrance.is_up.load(Ordering::Relaxed) {
            task.origin.reply(Answer::Unavailable);
            return Err(Refused::Down);
        }
        let goes_first = ends_a_saga(&task.stamped.command);
        if !goes_first && !entrance.allowed.admits(entrance.waiting()) {
            task.origin.reply(Answer::Overloaded { retry_after_ms: RETRY_AFTER_MS });
            return Err(Refused::Wait);
        }
        let queue = if goes_first { &entrance.first } else { &entrance.queue };
        match queue.try_send(task) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(task) | mpsc::error::TrySendError::Closed(task)) => {
                task.origin.reply(Answer::Overloaded { retry_after_ms: RETRY_AFTER_MS });
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
        self.0.iter().map(Entrance::waiting)
    }
}

impl Entrance {
    fn waiting(&self) -> usize {
        let queues = [&self.queue, &self.first];
        queues.iter().map(|queue| queue.max_capacity() - queue.capacity()).sum()
    }
}

impl Exit {
    /// Waits until there is something, and takes it; nothing once the entrance is closed and all is taken.
    pub(super) async fn take(&mut self, tasks: &mut Vec<Task>, max: usize) {
        let task = tokio::select! {
            biased;
            task = self.first.recv() => task,
            task = self.queue.recv() => task,
        };
        // None: they are closed, both of them, but one may still hold something.
        tasks.extend(task);
        self.take_more(tasks, max);
    }

    /// Takes what is there, up to so many in all.
    pub(super) fn take_more(&mut self, tasks: &mut Vec<Task>, max: usize) {
        while tasks.len() < max
            && let Ok(task) = self.first.try_recv().or_else(|_| self.queue.try_recv())
        {
            tasks.push(task);
        }
    }
}

/// After which time a refused command may be sent again. Queues are far shorter than that.
pub(super) const RETRY_AFTER_MS: u32 = 1_000;

/// Messages of sagas and what follows from their answers; none of them begins anything.
fn ends_a_saga(command: &Command) -> bool {
    match command {
        Command::Credit(_) | Command::Void(_) | Command::Settle(_) | Command::Expire(_) => true,
        Command::Transfer(_)
        | Command::Reserve(_)
        | Command::Commit(_)
        | Command::Release(_)
        | Command::Deposit(_)
        | Command::Withdraw(_)
        | Command::CreateAccount(_)
        | Command::SetStatus(_) => false,
    }
}

/// Why a task was not queued; it has been answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It would have waited too long.
    Wait,
    /// The queue is full.
    Full,
    /// The lane has no connection.
    Down,
}

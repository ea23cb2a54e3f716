//! The bounded queues before the lanes.

use super::wait_bound::Allowed;
use crate::config::LanesConfig;
use ledger::{Command, Stamped};
use placement::{Slot, TransferId};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
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
    /// Its place among the few of its kind that may wait, until it is taken.
    place: Option<OwnedSemaphorePermit>,
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
        let origin = Origin { context, wait_ms, received: Instant::now(), replier, decided_before: false };
        Task { stamped, origin, place: None }
    }
}

/// The entrances of all lanes of this node. A slot always goes through the same one.
#[derive(Debug, Clone)]
pub struct Lanes(Arc<[Entrance]>);

#[derive(Debug)]
struct Entrance {
    queue: mpsc::Sender<Task>,
    first: mpsc::Sender<Task>,
    /// Places in the queue for expiries.
    expiries: Arc<Semaphore>,
    expiries_max: usize,
    is_up: Arc<AtomicBool>,
    allowed: Arc<Allowed>,
}

/// A lane's own end of its queue.
#[derive(Debug)]
pub struct Exit {
    queue: mpsc::Receiver<Task>,
    /// What is taken before the queue, but for the queue's share.
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
            let expiries_max = share(config.batch_max).max(1);
            let entrance = Entrance {
                queue: sender,
                first: first_sender,
                expiries: Arc::new(Semaphore::new(expiries_max)),
                expiries_max,
                is_up: is_up.clone(),
                allowed: allowed.clone(),
            };
            (entrance, Exit { queue: receiver, first, is_up, allowed })
        });
        let (entrances, exits): (Vec<_>, Vec<_>) = pairs.unzip();
        (Lanes(entrances.into()), exits)
    }

    /// Queues a task, or answers at once that it cannot be: a wait that is too long is overload, a lane without its
    /// PostgreSQL is unavailable. What brings a saga to its end goes first, and is let in as long as it can be held: what
    /// was begun is finished before more is begun. Few expiries may wait, for however many are due: the others lose
    /// nothing, and the next sweep brings them.
    pub fn submit(&self, mut task: Task) -> Result<(), Refused> {
        let entrance = self.entrance(task.stamped.command.slot());
        if !entrance.is_up.load(Ordering::Relaxed) {
            task.origin.reply(Answer::Unavailable);
            return Err(Refused::Down);
        }
        let queue = match Way::of(&task.stamped.command) {
            Way::First => &entrance.first,
            Way::Few => {
                task.place = Some(entrance.expiries.clone().try_acquire_owned().map_err(|_| Refused::Wait)?);
                &entrance.queue
            }
            Way::Usual if entrance.allowed.admits(entrance.ahead()) => &entrance.queue,
            Way::Usual => {
                task.origin.reply(Answer::Overloaded { retry_after_ms: RETRY_AFTER_MS });
                return Err(Refused::Wait);
            }
        };
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
        length(&self.queue) + length(&self.first)
    }

    /// How many commands are decided before one that is queued now, expiries aside: however much goes first, the queue has
    /// its share of each batch.
    fn ahead(&self) -> usize {
        let expiries = self.expiries_max.saturating_sub(self.expiries.available_permits());
        let queued = length(&self.queue).saturating_sub(expiries);
        (queued + length(&self.first)).min(queued * SHARES)
    }
}

fn length(queue: &mpsc::Sender<Task>) -> usize {
    queue.max_capacity() - queue.capacity()
}

/// One share of a batch is the queue's, whatever goes first; and as many expiries may wait.
const SHARES: usize = 4;

fn share(batch: usize) -> usize {
    batch / SHARES
}

impl Exit {
    /// Waits until there is something, and takes it; nothing once the entrance is closed and all is taken. Who stops waiting
    /// has taken nothing.
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

    /// Takes what is there, up to so many in all: what goes first, but for the queue's share, and then the queue.
    pub(super) fn take_more(&mut self, tasks: &mut Vec<Task>, max: usize) {
        let for_queue = self.queue.len().min(share(max));
        while tasks.len() < max - for_queue
            && let Ok(task) = self.first.try_recv()
        {
            tasks.push(task);
        }
        while tasks.len() < max
            && let Ok(task) = self.queue.try_recv()
        {
            tasks.push(task);
        }
    }
}

/// After which time a refused command may be sent again. Queues are far shorter than that.
pub(super) const RETRY_AFTER_MS: u32 = 1_000;

/// How a command comes to its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Before others: messages of sagas and what follows from their answers. None of them begins anything.
    First,
    /// As others do, a few at a time: nobody waits for them.
    Few,
    /// If the wait is short enough.
    Usual,
}

impl Way {
    fn of(command: &Command) -> Way {
        match command {
            Command::Credit(_) | Command::Void(_) | Command::Settle(_) => Way::First,
            Command::Expire(_) => Way::Few,
            Command::Transfer(_)
            | Command::Reserve(_)
            | Command::Commit(_)
            | Command::Release(_)
            | Command::Deposit(_)
            | Command::Withdraw(_)
            | Command::CreateAccount(_)
            | Command::SetStatus(_) => Way::Usual,
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::saga::Decision;
    use ledger::{ExpireTransfer, Settle, VoidMessage};
    use placement::{AccountId, ShardId};
    use std::time::Duration;
    use wire::trace::TraceContext;

    const BATCH_MAX: usize = 64;

    /// One lane that is up, and admits a batch.
    fn lane() -> (Lanes, Exit) {
        let config = LanesConfig {
            count: 1,
            queue_max: 1_000,
            wait_max: Duration::from_millis(250),
            batch_max: BATCH_MAX,
            linger: Duration::ZERO,
        };
        let (lanes, mut exits) = Lanes::new(&config);
        let exit = exits.pop().expect("one");
        exit.is_up.store(true, Ordering::Relaxed);
        (lanes, exit)
    }

    fn account() -> AccountId {
        AccountId::MIN
    }

    fn id() -> TransferId {
        TransferId::new(0, account().region(), account().locality(), 0)
    }

    fn shard() -> ShardId {
        ShardId::try_from(1).expect("a shard")
    }

    /// Stands for whatever a customer wants.
    fn release() -> Command {
        let caller = "nick".parse().expect("a user");
        Command::Release(ledger::ReleaseTransfer { caller, transfer_id: id() })
    }

    fn expire() -> Command {
        Command::Expire(ExpireTransfer { transfer_id: id(), debit_account_id: account() })
    }

    fn settle() -> Command {
        let decision = Decision::Voided;
        Command::Settle(Settle { transfer_id: id(), debit_account_id: account(), credit_shard: shard(), decision })
    }

    fn void() -> Command {
        Command::Void(VoidMessage { transfer_id: id(), debit_shard: shard(), credit_account_id: account() })
    }

    /// How many of so many were let in.
    fn submit(lanes: &Lanes, count: usize, command: impl Fn() -> Command) -> usize {
        let context = CallContext { request_id: 0, trace: TraceContext::begin(1, 1), remaining_ms: 1_000 };
        let task = || Task::new(command(), context, 0, None);
        (0..count).filter(|_| lanes.submit(task()).is_ok()).count()
    }

    /// The next batch: its size, and how many customers and expiries are in it.
    fn batch(exit: &mut Exit) -> (usize, usize, usize) {
        let mut tasks = Vec::new();
        exit.take_more(&mut tasks, BATCH_MAX);
        let count = |wanted: fn(&Command) -> bool| tasks.iter().filter(|task| wanted(&task.stamped.command)).count();
        let customers = count(|command| matches!(command, Command::Release(_)));
        (tasks.len(), customers, count(|command| matches!(command, Command::Expire(_))))
    }

    #[test]
    fn backlog_of_expiries_takes_a_share_and_keeps_nobody_out() {
        let (lanes, mut exit) = lane();
        assert_eq!(submit(&lanes, 1_000, expire), BATCH_MAX / 4);
        assert_eq!(submit(&lanes, 1_000, release), BATCH_MAX, "as many as without them");
        assert_eq!(batch(&mut exit), (BATCH_MAX, BATCH_MAX * 3 / 4, BATCH_MAX / 4));
        assert_eq!(submit(&lanes, 1_000, expire), BATCH_MAX / 4, "those that were taken have made room");
        assert_eq!(batch(&mut exit), (BATCH_MAX / 2, BATCH_MAX / 4, BATCH_MAX / 4));
    }

    #[test]
    fn what_ends_sagas_goes_first_and_leaves_a_share_of_each_batch() {
        let (lanes, mut exit) = lane();
        assert_eq!(submit(&lanes, 40, release), 40);
        assert_eq!(submit(&lanes, 100, settle) + submit(&lanes, 100, void), 200);
        assert_eq!(batch(&mut exit), (BATCH_MAX, BATCH_MAX / 4, 0));
        assert_eq!(batch(&mut exit), (BATCH_MAX, BATCH_MAX / 4, 0));
        assert_eq!(batch(&mut exit), (BATCH_MAX, 8, 0), "no more than there is");
        assert_eq!(batch(&mut exit), (200 - 2 * BATCH_MAX * 3 / 4 - (BATCH_MAX - 8), 0, 0));
    }

    #[test]
    fn customers_are_let_in_to_their_share_however_much_goes_first() {
        let (lanes, mut exit) = lane();
        submit(&lanes, 1_000, settle);
        assert_eq!(submit(&lanes, 100, release), BATCH_MAX / 4, "what the share decides in the time allowed");
        assert_eq!(batch(&mut exit), (BATCH_MAX, BATCH_MAX / 4, 0));
        assert_eq!(submit(&lanes, 100, release), BATCH_MAX / 4);
    }

    #[test]
    fn customers_are_let_in_behind_the_little_that_goes_first() {
        let (lanes, mut exit) = lane();
        submit(&lanes, 10, settle);
        assert_eq!(submit(&lanes, 100, release), BATCH_MAX - 10);
        assert_eq!(batch(&mut exit), (BATCH_MAX, BATCH_MAX - 10, 0));
    }

    #[test]
    fn everything_is_taken_when_everything_is_asked_for() {
        let (lanes, mut exit) = lane();
        submit(&lanes, 300, settle);
        submit(&lanes, 10, release);
        let mut tasks = Vec::new();
        exit.take_more(&mut tasks, usize::MAX);
        assert_eq!(tasks.len(), 310);
    }
}

//! A lane's life, as in `shard-node/src/lane/run.rs`: take what has queued up, decide it, commit it, answer it; and if
//! nobody knows whether it is committed, connect again and run it again. Left out: the bound of the queue by time, that what
//! ends a saga goes first, and the shares of a batch; they only choose what is refused and when, and any order of arrival is
//! drawn here. Also the gate before the first command and the barrier commit of a new connection: they are about another
//! server, or an older one, behind the same address, and here a store is always itself. Both are hurt by `loadtest faults`.

use super::event::Event;
use super::message::Answer;
use super::node::{LANES, Task, Work};
use super::simulation::Simulation;
use super::store::Saving;
use super::{BATCH_MAX, BATCH_TIMEOUT, QUEUE_MAX, RECONNECT_AFTER, RECONNECT_AFTER_MAX};
use crate::Bug;
use ledger::{Command, Rejection, Reservation, Stamped};
use placement::TransferId;
use std::collections::BTreeMap;

/// How often a batch is run again because others were faster.
const ATTEMPTS_MAX: u32 = 10;

/// How a connection breaks in the middle of a batch.
#[derive(Debug, Clone, Copy)]
enum Break {
    /// Before the server has got the commit.
    BeforeCommit,
    /// After the commit, before its answer.
    AfterCommit,
    /// The server has the commit, and carries it out later or never.
    InDoubt,
}

impl Simulation {
    /// Queues a task, or says at once that it cannot be.
    pub(super) fn submit(&mut self, node: usize, task: Task) {
        let lane = task.command.slot().index() % LANES;
        let entrance = &mut self.nodes[node].lanes[lane];
        let refusal = match &entrance.work {
            Work::Down { .. } => Some(Answer::Unavailable),
            _ if entrance.queue.len() >= QUEUE_MAX => Some(Answer::Overloaded),
            _ => None,
        };
        if let Some(answer) = refusal {
            return self.answer(node, task.asker, answer);
        }
        entrance.queue.push_back(task);
        if matches!(entrance.work, Work::Idle) {
            self.wake(node, lane, 0);
        }
    }

    /// The lane goes on after so many microseconds, and nothing earlier counts any more.
    pub(super) fn wake(&mut self, node: usize, lane: usize, after: i64) {
        self.tickets += 1;
        self.nodes[node].lanes[lane].ticket = self.tickets;
        self.agenda.put(self.now + after, Event::Lane { node, lane, ticket: self.tickets });
    }

    pub(super) fn go_on(&mut self, node: usize, lane: usize) {
        match std::mem::replace(&mut self.nodes[node].lanes[lane].work, Work::Idle) {
            Work::Down { unfinished, pause } => self.connect(node, lane, unfinished, pause),
            Work::Idle => self.collect(node, lane),
            Work::Loading { batch, attempt, since } => self.load(node, lane, batch, attempt, since),
            Work::Saving { batch, stamped, saving, attempt } => {
                self.save(node, lane, batch, stamped, saving, attempt);
            }
            Work::Committed { batch, stamped, saving } => {
                self.finish_batch(node, batch, stamped, saving);
                self.wake(node, lane, 0);
            }
        }
    }

    fn connect(&mut self, node: usize, lane: usize, unfinished: Vec<Task>, pause: i64) {
        let shard = self.nodes[node].shard;
        if self.stores[shard].is_up {
            let batch: Vec<Task> = unfinished;
            return self.begin(node, lane, batch, 0);
        }
        let waiting: Vec<Task> = self.nodes[node].lanes[lane].queue.drain(..).collect();
        for task in waiting {
            self.answer(node, task.asker, Answer::Unavailable);
        }
        let next = (pause * 2).min(RECONNECT_AFTER_MAX);
        self.nodes[node].lanes[lane].work = Work::Down { unfinished, pause: next };
        self.wake(node, lane, pause);
    }

    fn collect(&mut self, node: usize, lane: usize) {
        let queue = &mut self.nodes[node].lanes[lane].queue;
        let count = queue.len().min(BATCH_MAX);
        let tasks: Vec<Task> = queue.drain(..count).collect();
        let (batch, late): (Vec<Task>, Vec<Task>) = tasks.into_iter().partition(|task| task.deadline > self.now);
        for task in late {
            self.answer(node, task.asker, Answer::Overloaded);
        }
        self.begin(node, lane, batch, 0);
    }

    /// An attempt at a batch, or the next one if this is empty.
    fn begin(&mut self, node: usize, lane: usize, batch: Vec<Task>, attempt: u32) {
        if attempt >= ATTEMPTS_MAX {
            for task in batch {
                self.answer(node, task.asker, Answer::Unavailable);
            }
            return self.wake(node, lane, 0);
        }
        if batch.is_empty() {
            self.nodes[node].lanes[lane].work = Work::Idle;
            if !self.nodes[node].lanes[lane].queue.is_empty() {
                self.wake(node, lane, 0);
            }
            return;
        }
        let trip = self.trip_to_store(node);
        self.nodes[node].lanes[lane].work = Work::Loading { batch, attempt, since: self.now };
        self.wake(node, lane, trip);
    }

    fn load(&mut self, node: usize, lane: usize, batch: Vec<Task>, attempt: u32, since: i64) {
        if self.dice.in_thousand(self.weather.breaks) || self.now - since > BATCH_TIMEOUT {
            return self.break_off(node, lane, batch);
        }
        let stamped = self.stamp(node, &batch);
        let shard = self.nodes[node].shard;
        let mut time = self.stores[shard].time(self.now);
        if self.options.bug == Some(Bug::ExpiryByNodeClock) && batch.iter().any(|task| is_expiry(&task.command)) {
            time.0 = super::EPOCH.0 + self.now + self.nodes[node].clock_offset;
        }
        let Ok(saving) = self.stores[shard].load(&stamped, time, &self.cast.currencies) else {
            self.tally.waits += 1;
            self.nodes[node].lanes[lane].work = Work::Loading { batch, attempt, since };
            let pause = self.dice.between(500, 3_000);
            return self.wake(node, lane, pause);
        };
        if saving.writes.is_empty() {
            self.stores[shard].roll_back(saving.transaction);
            self.finish_batch(node, batch, stamped, saving);
            return self.wake(node, lane, 0);
        }
        if self.options.bug == Some(Bug::AnswerBeforeCommit) {
            self.answer_outcomes(node, &batch, &saving.outcomes);
        }
        let trip = self.trip_to_store(node);
        self.nodes[node].lanes[lane].work = Work::Saving { batch, stamped, saving, attempt };
        self.wake(node, lane, trip);
    }

    fn save(
        &mut self,
        node: usize,
        lane: usize,
        batch: Vec<Task>,
        stamped: Vec<Stamped>,
        saving: Saving,
        attempt: u32,
    ) {
        let shard = self.nodes[node].shard;
        if self.dice.in_thousand(self.weather.breaks) {
            return self.break_during_commit(node, lane, batch, saving);
        }
        if !self.commit(shard, &saving) {
            return self.begin(node, lane, batch, attempt + 1);
        }
        let trip = self.trip_to_store(node);
        self.nodes[node].lanes[lane].work = Work::Committed { batch, stamped, saving };
        self.wake(node, lane, trip);
    }

    fn break_during_commit(&mut self, node: usize, lane: usize, batch: Vec<Task>, saving: Saving) {
        let shard = self.nodes[node].shard;
        match *self.dice.pick(&[Break::BeforeCommit, Break::AfterCommit, Break::InDoubt]) {
            Break::BeforeCommit => self.stores[shard].roll_back(saving.transaction),
            Break::AfterCommit => {
                self.commit(shard, &saving);
            }
            Break::InDoubt => self.leave_in_doubt(shard, saving),
        }
        self.break_off(node, lane, batch);
    }

    /// The server holds the rows until it has made up its mind.
    pub(super) fn leave_in_doubt(&mut self, shard: usize, saving: Saving) {
        let (transaction, is_committed) = (saving.transaction, self.dice.in_thousand(500));
        let after = self.dice.between(0, 3_000_000);
        self.stores[shard].leave_in_doubt(saving);
        self.agenda.put(self.now + after, Event::EndDoubt { shard, transaction, is_committed });
    }

    pub(super) fn end_doubt(&mut self, shard: usize, transaction: u64, is_committed: bool) {
        let Some(saving) = self.stores[shard].take_doubtful(transaction) else {
            return;
        };
        if is_committed {
            self.tally.committed_late += 1;
            self.commit(shard, &saving);
        }
        self.stores[shard].roll_back(transaction);
    }

    /// The connection is gone. What may be run again will be, and its askers wait; the others are told to ask again.
    pub(super) fn break_off(&mut self, node: usize, lane: usize, batch: Vec<Task>) {
        self.tally.broken_off += u64::from(!batch.is_empty());
        let mut unfinished = Vec::new();
        for task in batch {
            let is_safe = !matches!(task.command, Command::SetStatus(_));
            if self.options.bug == Some(Bug::UnknownTakenForRefusal) {
                self.answer(node, task.asker, Answer::Rejected(Rejection::AccountFrozen, None));
            } else if is_safe && task.deadline > self.now {
                unfinished.push(task);
            } else {
                self.answer(node, task.asker, Answer::Unavailable);
            }
        }
        self.nodes[node].lanes[lane].work = Work::down(unfinished);
        self.wake(node, lane, RECONNECT_AFTER);
    }

    fn finish_batch(&mut self, node: usize, batch: Vec<Task>, stamped: Vec<Stamped>, saving: Saving) {
        let to_send: BTreeMap<TransferId, Reservation> =
            saving.writes.to_send().map(|reservation| (reservation.credit.transfer_id, reservation.clone())).collect();
        if self.options.bug != Some(Bug::AnswerBeforeCommit) || saving.writes.is_empty() {
            self.answer_outcomes(node, &batch, &saving.outcomes);
        }
        for stamped in stamped {
            if let Some(reservation) = to_send.get(&transfer_of(&stamped)) {
                self.deliver(node, reservation.clone());
            }
        }
    }

    fn answer_outcomes(&mut self, node: usize, batch: &[Task], outcomes: &[ledger::Outcome]) {
        for (task, outcome) in batch.iter().zip(outcomes) {
            self.finish(node, task, outcome.clone());
        }
    }

    /// By the node's clock, which decides nothing.
    fn stamp(&mut self, node: usize, batch: &[Task]) -> Vec<Stamped> {
        let time = ledger::Timestamp(super::EPOCH.0 + self.now + self.nodes[node].clock_offset);
        let stamp = |task: &Task| {
            let (region, locality) = task.command.home();
            let fresh_id = TransferId::new(time.unix_ms(), region, locality, self.dice.bits());
            Stamped { command: task.command.clone(), fresh_id, fresh_discriminator: 1 }
        };
        batch.iter().map(stamp).collect()
    }

    fn trip_to_store(&mut self, node: usize) -> i64 {
        let slow = if self.is_slow[self.nodes[node].shard] { 100 } else { 1 };
        self.dice.between(200, 2_000) * slow
    }
}

fn is_expiry(command: &Command) -> bool {
    matches!(command, Command::Expire(_))
}

/// The transfer that a command makes, or goes on with.
fn transfer_of(stamped: &Stamped) -> TransferId {
    match &stamped.command {
        Command::Commit(commit) => commit.transfer_id,
        _ => stamped.fresh_id,
    }
}

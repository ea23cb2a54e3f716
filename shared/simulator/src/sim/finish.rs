//! From outcomes to answers, as in `shard-node/src/lane/finish.rs` and `saga/follow.rs`.

use super::event::Event;
use super::message::{Answer, Asker};
use super::node::{Task, Waiting};
use super::present;
use super::simulation::Simulation;
use ledger::{Command, Decided, Outcome, Rejection, Transfer, TransferState};
use placement::TransferId;

/// Nothing can be read just now.
struct StoreDown;

impl Simulation {
    pub(super) fn finish(&mut self, node: usize, task: &Task, outcome: Outcome) {
        let answer = match outcome {
            Outcome::Decided(Decided::Transfer(transfer)) => return self.finish_transfer(node, task, transfer),
            Outcome::ReplayedTransfer(id) => return self.finish_replayed(node, task, id),
            Outcome::NotReserved(id) => self.not_reserved(node, id, &task.command),
            Outcome::Decided(Decided::Rejected { rejection, transfer_id }) => Answer::Rejected(rejection, transfer_id),
            Outcome::ReplayedRejection { rejection, transfer_id } => Answer::Rejected(rejection, transfer_id),
            Outcome::Decided(Decided::Decision(decision)) => {
                Answer::Decision(decision, self.stores[self.nodes[node].shard].shard)
            }
            Outcome::Decided(Decided::Account(_) | Decided::AlreadySettled) | Outcome::ReplayedAccount(_) => {
                Answer::Done
            }
            Outcome::NotFound | Outcome::AccountIsClosed | Outcome::AccountNotEmpty => Answer::NotFound,
            Outcome::Moved(_) => Answer::Moved,
            Outcome::Unresolved => Answer::Unavailable,
            Outcome::Contradiction => {
                self.breach(super::check::Breach::of("no two decisions contradict each other", transfer_of(task)));
                Answer::Internal
            }
        };
        self.answer(node, task.asker, answer);
    }

    fn finish_transfer(&mut self, node: usize, task: &Task, transfer: Transfer) {
        if transfer.state == TransferState::Pending {
            return self.follow(node, task, transfer.id, Some(transfer));
        }
        if transfer.state.is_terminal() {
            self.tell_waiting(node, &transfer);
        }
        self.answer(node, task.asker, Answer::Transfer(transfer));
    }

    fn finish_replayed(&mut self, node: usize, task: &Task, id: TransferId) {
        if !matches!(task.command, Command::Reserve(_)) {
            return self.follow(node, task, id, None);
        }
        let answer = match self.read(node, id) {
            Ok(found) => found.map_or(Answer::NotFound, |transfer| Answer::Transfer(transfer.as_reserved())),
            Err(StoreDown) => Answer::Unavailable,
        };
        self.answer(node, task.asker, answer);
    }

    fn not_reserved(&self, node: usize, id: TransferId, command: &Command) -> Answer {
        let caller = match command {
            Command::Commit(commit) => Some(&commit.caller),
            Command::Release(release) => Some(&release.caller),
            _ => None,
        };
        let transfer = match self.read(node, id) {
            Ok(Some(transfer)) if transfer.debit_user_id.as_ref() == caller => transfer,
            Ok(_) => return Answer::NotFound,
            Err(StoreDown) => return Answer::Unavailable,
        };
        let is_released = transfer.reason == Some(Rejection::ReleasedByClient);
        match command {
            Command::Release(_) if is_released => Answer::Transfer(transfer),
            _ => Answer::NotReserved(transfer),
        }
    }

    /// Answers once the transfer is terminal, or as it is when the wait is over.
    fn follow(&mut self, node: usize, task: &Task, id: TransferId, present: Option<Transfer>) {
        let Some(asker) = task.asker else {
            return;
        };
        let present = match present {
            Some(transfer) => transfer,
            None => match self.read(node, id) {
                Ok(Some(transfer)) => transfer,
                Ok(None) => return self.answer(node, task.asker, Answer::NotFound),
                Err(StoreDown) => return self.answer(node, task.asker, Answer::Unavailable),
            },
        };
        if present.state.is_terminal() || task.wait_until <= self.now {
            return self.answer(node, task.asker, Answer::Transfer(present));
        }
        self.tickets += 1;
        let (number, incarnation) = (self.tickets, self.nodes[node].incarnation);
        self.nodes[node].waiting.entry(id).or_default().push(Waiting { number, asker });
        self.agenda.put(task.wait_until, Event::WaitOver { node, incarnation, transfer: id, waiting: number });
    }

    fn tell_waiting(&mut self, node: usize, transfer: &Transfer) {
        for waiting in self.nodes[node].waiting.remove(&transfer.id).unwrap_or_default() {
            self.answer(node, Some(waiting.asker), Answer::Transfer(transfer.clone()));
        }
    }

    pub(super) fn wait_over(&mut self, node: usize, id: TransferId, number: u64) {
        let Some(all) = self.nodes[node].waiting.get_mut(&id) else {
            return;
        };
        let Some(at) = all.iter().position(|waiting| waiting.number == number) else {
            return;
        };
        let asker: Asker = all.remove(at).asker;
        let answer = match self.read(node, id) {
            Ok(found) => found.map_or(Answer::NotFound, Answer::Transfer),
            Err(StoreDown) => Answer::Unavailable,
        };
        self.answer(node, Some(asker), answer);
    }

    fn read(&self, node: usize, id: TransferId) -> Result<Option<Transfer>, StoreDown> {
        let store = &self.stores[self.nodes[node].shard];
        match store.is_up {
            true => Ok(present::transfer(&store.rows, id)),
            false => Err(StoreDown),
        }
    }
}

fn transfer_of(task: &Task) -> Option<TransferId> {
    match &task.command {
        Command::Credit(credit) => Some(credit.transfer_id),
        Command::Void(void) => Some(void.transfer_id),
        Command::Settle(settle) => Some(settle.transfer_id),
        Command::Commit(commit) => Some(commit.transfer_id),
        Command::Release(release) => Some(release.transfer_id),
        Command::Expire(expire) => Some(expire.transfer_id),
        _ => None,
    }
}

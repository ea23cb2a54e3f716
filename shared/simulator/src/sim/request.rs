//! Clients: what they want, how they ask for it until they know, and what they were told.

use super::cast::{FIRST_DEPOSIT, Holder};
use super::check::Breach;
use super::event::Event;
use super::message::{Answer, Asker, Call};
use super::planted::COMMIT_KEYS;
use super::simulation::Simulation;
use ledger::{
    Amount, Command, CommitTransfer, CreditTarget, ExternalMove, KeyClaim, KeyHash, Rejection, ReleaseTransfer,
    RequestFingerprint, ReserveTransfer, SetStatus, StatusChange, TransferCommand, TransferState,
};
use placement::{AccountId, Locality, TransferId};

/// The moments at which most requests are made.
const BURSTS: usize = 8;

/// A request, asked as often as it takes with one key.
#[derive(Debug)]
pub(super) struct Request {
    pub command: Command,
    pub attempts: u32,
    pub told: Option<Told>,
    /// Its client has lost interest for now.
    pub is_given_up: bool,
    /// The transfer that it is about, as far as its client knows.
    pub transfer: Option<TransferId>,
}

/// A final answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Posted(TransferId),
    Reserved(TransferId),
    Released(TransferId, Rejection),
    Rejected(Rejection),
    NotReserved,
    Done,
}

impl Simulation {
    /// Who wants what, and when: mostly at the same moments as others, so that batches and races come about.
    pub(super) fn plan_requests(&mut self, until: i64) {
        let bursts: Vec<i64> = (0..BURSTS).map(|_| self.dice.between(0, until * 2 / 3)).collect();
        let mut holder = self.dice.pick(&self.cast.holders).clone();
        for number in 0..self.options.requests {
            let number = u128::try_from(number).unwrap_or(u128::MAX);
            // Now and then a client uses a key for two different requests.
            let is_reused = number > 0 && self.dice.in_thousand(20);
            if !is_reused {
                holder = self.dice.pick(&self.cast.holders).clone();
            }
            let hash = KeyHash(if is_reused { number - 1 } else { number });
            let command = self.wish(KeyClaim { hash, fingerprint: RequestFingerprint(number) }, &holder);
            let at = *self.dice.pick(&bursts) + self.dice.between(0, 20_000);
            self.want(at, command);
        }
    }

    fn want(&mut self, at: i64, command: Command) {
        let request = self.requests.len();
        let transfer = match &command {
            Command::Commit(commit) => Some(commit.transfer_id),
            Command::Release(release) => Some(release.transfer_id),
            _ => None,
        };
        self.requests.push(Request { command, attempts: 0, told: None, is_given_up: false, transfer });
        self.agenda.put(at, Event::Ask { request });
    }

    fn wish(&mut self, key: KeyClaim, holder: &Holder) -> Command {
        let amount = Amount(self.dice.between(1, FIRST_DEPOSIT * 2 / 3));
        match self.dice.between(0, 99) {
            0..45 => Command::Transfer(self.transfer(key, holder, amount)),
            45..83 => {
                let expires_in_seconds = u32::try_from(self.dice.between(1, 20)).unwrap_or(1);
                let transfer = self.transfer(key, holder, amount);
                Command::Reserve(ReserveTransfer { transfer, expires_in_seconds })
            }
            83..89 => Command::Deposit(ExternalMove { key, account_id: holder.account_id, amount, reference: None }),
            89..95 => Command::Withdraw(ExternalMove { key, account_id: holder.account_id, amount, reference: None }),
            _ => {
                let change = *self.dice.pick(&[StatusChange::Freeze, StatusChange::Unfreeze, StatusChange::Unfreeze]);
                Command::SetStatus(SetStatus { account_id: holder.account_id, change })
            }
        }
    }

    fn transfer(&mut self, key: KeyClaim, holder: &Holder, amount: Amount) -> TransferCommand {
        let other = self.dice.pick(&self.cast.holders).account_id;
        let nobody = AccountId::new(other.region(), Locality::of_user("nobody"), 1);
        let credit = if self.dice.in_thousand(30) { nobody } else { other };
        TransferCommand {
            key,
            caller: holder.user_id.clone(),
            debit_account_id: holder.account_id,
            credit: CreditTarget::Account(credit),
            amount: if self.dice.in_thousand(20) { Amount(100_000) } else { amount },
            message: None,
            reference: None,
        }
    }

    /// Through any entrance.
    pub(super) fn ask(&mut self, number: usize) {
        let request = &mut self.requests[number];
        request.attempts += 1;
        let (attempt, command) = (request.attempts, request.command.clone());
        let to = self.entrance_of(&command);
        let deadline = self.now + 5_000_000;
        let wait_until = self.now + self.dice.between(0, 2_000_000);
        self.send(Call { asker: Asker::Client { request: number, attempt }, to, command, deadline, wait_until });
        let patience = self.dice.between(500_000, 5_000_000);
        self.agenda.put(self.now + patience, Event::Patience { request: number, attempt });
    }

    pub(super) fn lose_patience(&mut self, number: usize, attempt: u32) {
        let request = &self.requests[number];
        let is_status = matches!(request.command, Command::SetStatus(_));
        if request.told.is_some() || request.attempts != attempt || is_status {
            return;
        }
        if !self.is_healed && self.dice.in_thousand(100) {
            self.requests[number].is_given_up = true;
            return;
        }
        let after = self.dice.between(0, 1_000_000);
        self.agenda.put(self.now + after, Event::Ask { request: number });
    }

    /// An answer has come, to whichever attempt.
    pub(super) fn told(&mut self, number: usize, answer: Answer) {
        let id = match &answer {
            Answer::Transfer(transfer) | Answer::NotReserved(transfer) => Some(transfer.id),
            _ => None,
        };
        let before = self.requests[number].transfer;
        if before.is_some() && id.is_some() && before != id {
            return self.breach(Breach {
                promise: "a key leads to one transfer",
                transfer: id,
                requests: vec![number],
            });
        }
        self.requests[number].transfer = before.or(id);
        match final_answer(answer) {
            Ok(Some(told)) => self.remember(number, told),
            Ok(None) => {}
            Err(promise) => {
                self.breach(Breach { promise, transfer: self.requests[number].transfer, requests: vec![number] });
            }
        }
    }

    fn remember(&mut self, number: usize, told: Told) {
        if let Some(before) = self.requests[number].told {
            if before != told {
                let (promise, transfer) = ("the same key gets the same answer", self.requests[number].transfer);
                self.breach(Breach { promise, transfer, requests: vec![number] });
            }
            return;
        }
        self.requests[number].told = Some(told);
        if self.is_healed {
            return;
        }
        if self.dice.in_thousand(400) {
            let at = self.now + self.dice.between(0, 10_000_000);
            self.agenda.put(at, Event::Ask { request: number });
        }
        if let Told::Reserved(id) = told {
            self.go_on_with(number, id);
        }
    }

    /// What clients do with what they hold: nothing, one thing, or several at once.
    fn go_on_with(&mut self, number: usize, id: TransferId) {
        let Command::Reserve(reserve) = self.requests[number].command.clone() else {
            return;
        };
        let until = i64::from(reserve.expires_in_seconds) * 1_100_000;
        let mut after = self.dice.between(0, until);
        for _ in 0..self.dice.between(0, 3) {
            let caller = reserve.transfer.caller.clone();
            let key = COMMIT_KEYS + u128::try_from(self.requests.len()).unwrap_or(u128::MAX);
            let key = KeyClaim { hash: KeyHash(key), fingerprint: RequestFingerprint(key) };
            let part = Amount(self.dice.between(1, reserve.transfer.amount.0.max(1)));
            let amount = *self.dice.pick(&[None, None, Some(part), Some(Amount(reserve.transfer.amount.0 + 1))]);
            let command = match self.dice.in_thousand(700) {
                true => Command::Commit(CommitTransfer { key, caller, transfer_id: id, amount }),
                false => Command::Release(ReleaseTransfer { caller, transfer_id: id }),
            };
            self.want(self.now + after, command);
            if self.dice.in_thousand(300) {
                after = self.dice.between(0, until);
            }
        }
    }

    /// All who had an answer must get it again, and all others one at last.
    pub(super) fn ask_all_again(&mut self) {
        for request in 0..self.requests.len() {
            if !matches!(self.requests[request].command, Command::SetStatus(_)) {
                self.requests[request].is_given_up = false;
                self.agenda.put(self.now, Event::Ask { request });
            }
        }
    }
}

/// What may be relied on; `None` if the answer is not final; or what an answer breaks by being given at all.
fn final_answer(answer: Answer) -> Result<Option<Told>, &'static str> {
    Ok(Some(match answer {
        Answer::Transfer(transfer) => match (transfer.state, transfer.reason) {
            (TransferState::Posted, _) => Told::Posted(transfer.id),
            (TransferState::Reserved, _) => Told::Reserved(transfer.id),
            (TransferState::Released | TransferState::Rejected, Some(reason)) => Told::Released(transfer.id, reason),
            (TransferState::Pending, _) | (TransferState::Released | TransferState::Rejected, None) => return Ok(None),
        },
        Answer::Rejected(rejection, _) => Told::Rejected(rejection),
        Answer::NotReserved(_) => Told::NotReserved,
        Answer::Done => Told::Done,
        Answer::Moved | Answer::Unavailable | Answer::Overloaded => return Ok(None),
        Answer::NotFound => return Err("what was told of is found"),
        Answer::Internal | Answer::Decision(..) => return Err("nobody is told of a contradiction"),
    }))
}

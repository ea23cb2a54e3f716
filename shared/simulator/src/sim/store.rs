//! One shard's PostgreSQL: its rows, its locks, its transactions and its clock.

use super::planted;
use super::rows::{Rows, SagaTimes, reservation_of};
use crate::Bug;
use ledger::{
    Account, Amount, Books, Command, CurrencyRules, Outcome, Ownership, Reservation, Stamped, Timestamp, Writes,
};
use placement::{AccountId, ShardId, TransferId};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A database server.
#[derive(Debug)]
pub(super) struct Store {
    pub shard: ShardId,
    pub ownership: Ownership,
    pub rows: Rows,
    pub is_up: bool,
    /// How far its clock is off, in microseconds.
    pub clock_offset: i64,
    pub times: SagaTimes,
    locks: BTreeMap<Lock, u64>,
    /// Commits that the server has got and not carried out yet, and whose connection is gone.
    in_doubt: BTreeMap<u64, Saving>,
    transactions: u64,
    bug: Option<Bug>,
}

/// A row that one transaction at a time may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Lock {
    Account(AccountId),
    Reservation(TransferId),
}

/// A batch that is decided and not committed.
#[derive(Debug)]
pub(super) struct Saving {
    pub transaction: u64,
    pub outcomes: Vec<Outcome>,
    pub writes: Writes,
    pub accounts: HashMap<AccountId, Account>,
    pub now: Timestamp,
}

/// Another transaction holds one of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Locked;

impl Store {
    pub fn new(shard: ShardId, ownership: Ownership, clock_offset: i64, times: SagaTimes, bug: Option<Bug>) -> Store {
        Store {
            shard,
            ownership,
            rows: Rows::default(),
            is_up: true,
            clock_offset,
            times,
            locks: BTreeMap::new(),
            in_doubt: BTreeMap::new(),
            transactions: 0,
            bug,
        }
    }

    /// The time by this server's clock; only this one decides anything.
    pub fn time(&self, now: i64) -> Timestamp {
        Timestamp(super::EPOCH.0 + now + self.clock_offset)
    }

    /// Begins a transaction, locks and reads the rows of a batch, and decides it.
    pub fn load(&mut self, batch: &[Stamped], now: Timestamp, currencies: &[CurrencyRules]) -> Result<Saving, Locked> {
        let locks = self.locks_of(batch);
        self.transactions += 1;
        let transaction = self.transactions;
        if self.bug != Some(Bug::RowsNotLocked) {
            if locks.iter().any(|lock| self.locks.contains_key(lock)) {
                return Err(Locked);
            }
            self.locks.extend(locks.into_iter().map(|lock| (lock, transaction)));
        }
        let mut books = Books {
            shard: self.shard,
            now,
            ownership: &self.ownership,
            currencies,
            accounts: HashMap::new(),
            keys: HashMap::new(),
            reservations: HashMap::new(),
            inbox: HashMap::new(),
            neighbourhoods: HashMap::new(),
        };
        for Stamped { command, .. } in batch {
            self.rows.load_for(command, &mut books);
        }
        planted::misread(self.bug, batch, &mut books);
        let (outcomes, mut writes) = ledger::decide(&mut books, batch);
        let accounts = std::mem::take(&mut books.accounts);
        planted::spoil(self.bug, &mut writes);
        Ok(Saving { transaction, outcomes, writes, accounts, now })
    }

    fn locks_of(&self, batch: &[Stamped]) -> BTreeSet<Lock> {
        let of = |command: &Command| {
            let accounts = self.rows.accounts_of(command).into_iter().map(Lock::Account);
            accounts.chain(reservation_of(command).map(Lock::Reservation)).collect::<Vec<_>>()
        };
        batch.iter().flat_map(|stamped| of(&stamped.command)).collect()
    }

    /// Stores a batch and ends its transaction; `false` if a unique index has a row of it already, for then another
    /// node was faster, and nothing is stored.
    pub fn commit(&mut self, saving: &Saving) -> bool {
        self.roll_back(saving.transaction);
        let checks_indexes = !matches!(self.bug, Some(Bug::NoUniqueIndex | Bug::CreditAgainOnRepeat));
        if checks_indexes && self.rows.conflicts(&saving.writes) {
            return false;
        }
        self.rows.save(&saving.writes, &saving.accounts, saving.now, self.times);
        true
    }

    /// Ends a transaction without a trace.
    pub fn roll_back(&mut self, transaction: u64) {
        self.locks.retain(|_, holder| *holder != transaction);
    }

    /// The server goes on with a commit whose connection is gone.
    pub fn leave_in_doubt(&mut self, saving: Saving) {
        self.in_doubt.insert(saving.transaction, saving);
    }

    /// What had been left in doubt, if the server has not forgotten it in a crash.
    pub fn take_doubtful(&mut self, transaction: u64) -> Option<Saving> {
        self.in_doubt.remove(&transaction)
    }

    /// Everything that is not committed is gone.
    pub fn crash(&mut self) {
        self.is_up = false;
        self.locks.clear();
        self.in_doubt.clear();
    }

    /// From now on `void` is sent for these, unless they are settled; another transaction may hold the row just now.
    pub fn begin_to_void(&mut self, ids: &[TransferId]) -> Result<(), Locked> {
        use ledger::saga::DebitState::{Crediting, Voiding};
        if ids.iter().any(|id| self.locks.contains_key(&Lock::Reservation(*id))) {
            return Err(Locked);
        }
        for id in ids {
            if let Some(held) = self.rows.reservations.get_mut(id).filter(|held| held.reservation.state == Crediting) {
                held.reservation.state = Voiding;
            }
        }
        Ok(())
    }

    /// Gives a reservation back as no code may: without a decision.
    pub fn release_unasked(&mut self, id: TransferId, now: Timestamp) {
        let Some(held) = self.rows.reservations.remove(&id) else {
            return;
        };
        self.rows.outbox.remove(&id);
        let reservation: Reservation = held.reservation;
        let debit = reservation.credit.debit_account_id;
        if let Some(account) = self.rows.accounts.get_mut(&debit) {
            account.reserved = Amount(account.reserved.0 - reservation.credit.amount.0);
        }
        let transfer = ledger::Transfer {
            state: ledger::TransferState::Released,
            reason: Some(ledger::Rejection::Voided),
            decided_at: Some(now),
            ..super::present::open(&reservation)
        };
        let row = ledger::PostedTransfer { transfer, debit: None, credit: None, remote_user_id: None };
        self.rows.transfers.insert(id, row);
    }
}

//! The tables of one shard's PostgreSQL, and what its schema refuses.

use ledger::saga::Decision;
use ledger::{
    Account, Amount, Books, Command, CommitTransfer, Counterpart, CreditTarget, Currency, KeyHash, KeyRecord,
    Neighbourhood, PostedTransfer, RecordedKey, ReleaseTransfer, Reservation, ReserveTransfer, Timestamp,
    TransferCommand, Writes,
};
use placement::{AccountId, Slot, TransferId};
use std::collections::{BTreeMap, HashMap};

/// The tables.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Rows {
    pub accounts: BTreeMap<AccountId, Account>,
    pub keys: BTreeMap<(Slot, KeyHash), KeyRecord>,
    pub reservations: BTreeMap<TransferId, Held>,
    pub outbox: BTreeMap<TransferId, Outgoing>,
    pub inbox: BTreeMap<TransferId, Decision>,
    pub transfers: BTreeMap<TransferId, PostedTransfer>,
    pub totals: BTreeMap<(Counterpart, Currency), i128>,
}

/// A row of `reservations`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Held {
    pub reservation: Reservation,
    /// When the debit shard's patience ends; of a held one, counted from its commit.
    pub void_after: Timestamp,
}

/// A row of `outbox`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Outgoing {
    pub next_attempt_at: Timestamp,
    pub attempts: u32,
}

/// Times of sagas, in microseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct SagaTimes {
    pub void_after: i64,
    pub lease: i64,
}

impl Rows {
    /// The accounts whose rows a batch locks.
    pub fn accounts_of(&self, command: &Command) -> Vec<AccountId> {
        match command {
            Command::Transfer(transfer) | Command::Reserve(ReserveTransfer { transfer, .. }) => named(transfer),
            Command::Deposit(external) | Command::Withdraw(external) => vec![external.account_id],
            Command::SetStatus(set) => vec![set.account_id],
            Command::Credit(credit) => vec![credit.credit_account_id],
            Command::Settle(settle) => vec![settle.debit_account_id],
            Command::Expire(expire) => vec![expire.debit_account_id],
            Command::Commit(CommitTransfer { transfer_id, .. })
            | Command::Release(ReleaseTransfer { transfer_id, .. }) => {
                let message = self.reservations.get(transfer_id).map(|held| &held.reservation.credit);
                message.map_or(vec![], |message| vec![message.debit_account_id, message.credit_account_id])
            }
            Command::CreateAccount(_) | Command::Void(_) => vec![],
        }
    }

    /// Adds the rows that a command needs to the books.
    pub fn load_for(&self, command: &Command, books: &mut Books<'_>) {
        self.load_key(command, books);
        for id in self.accounts_of(command) {
            books.accounts.extend(self.accounts.get(&id).map(|account| (id, account.clone())));
        }
        match command {
            Command::Credit(credit) => self.load_decision(credit.transfer_id, books),
            Command::Void(void) => self.load_decision(void.transfer_id, books),
            Command::CreateAccount(create) => {
                let around = books.neighbourhoods.entry((create.region, create.locality)).or_default();
                self.load_neighbours(AccountId::locality_range(create.region, create.locality), around);
            }
            other => {
                let held = reservation_of(other).and_then(|id| self.reservations.get(&id).map(|held| (id, held)));
                books.reservations.extend(held.map(|(id, held)| (id, held.reservation.clone())));
            }
        }
    }

    pub fn load_key(&self, command: &Command, books: &mut Books<'_>) {
        if let Some(key) = command.key()
            && let Some(row) = self.keys.get(&(command.slot(), key.hash))
        {
            let KeyRecord { fingerprint, transfer_id, account_id, rejection, .. } = *row;
            books.keys.insert(key.hash, RecordedKey { fingerprint, transfer_id, account_id, rejection });
        }
    }

    fn load_decision(&self, id: TransferId, books: &mut Books<'_>) {
        books.inbox.extend(self.inbox.get(&id).map(|decision| (id, decision.clone())));
    }

    fn load_neighbours(&self, range: std::ops::RangeInclusive<AccountId>, around: &mut Neighbourhood) {
        for (id, account) in self.accounts.range(range) {
            around.taken.insert(id.discriminator());
            *around.accounts_of.entry(account.user_id.clone()).or_default() += 1;
        }
    }

    /// Whether a unique index would fail the batch.
    pub fn conflicts(&self, writes: &Writes) -> bool {
        writes.keys.iter().any(|key| self.keys.contains_key(&(key.slot, key.hash)))
            || writes.inbox.iter().any(|row| self.inbox.contains_key(&row.transfer_id))
            || writes.transfers.iter().any(|row| self.transfers.contains_key(&row.transfer.id))
            || writes.created.iter().any(|account| self.accounts.contains_key(&account.id))
    }

    /// Stores a batch, whole.
    pub fn save(&mut self, writes: &Writes, decided: &HashMap<AccountId, Account>, now: Timestamp, times: SagaTimes) {
        for id in &writes.changed {
            self.accounts.extend(decided.get(id).map(|account| (*id, account.clone())));
        }
        self.accounts.extend(writes.created.iter().map(|account| (account.id, account.clone())));
        self.keys.extend(writes.keys.iter().map(|key| ((key.slot, key.hash), key.clone())));
        self.transfers.extend(writes.transfers.iter().map(|row| (row.transfer.id, row.clone())));
        self.inbox.extend(writes.inbox.iter().map(|row| (row.transfer_id, row.decision.clone())));
        self.save_reservations(writes, now, times);
        for (total, change) in &writes.totals {
            *self.totals.entry(*total).or_default() += i128::from(change.0);
        }
    }

    fn save_reservations(&mut self, writes: &Writes, now: Timestamp, times: SagaTimes) {
        let void_after = Timestamp(now.0 + times.void_after);
        for reservation in writes.reserved.iter().chain(&writes.committing) {
            let held = Held { reservation: reservation.clone(), void_after };
            self.reservations.insert(reservation.credit.transfer_id, held);
        }
        let next_attempt_at = Timestamp(now.0 + times.lease);
        for sent in writes.to_send() {
            self.outbox.insert(sent.credit.transfer_id, Outgoing { next_attempt_at, attempts: 0 });
        }
        for id in &writes.settled {
            self.reservations.remove(id);
            self.outbox.remove(id);
        }
    }

    /// The sum of all that belongs to customers, external and clearing, in each currency.
    pub fn sums(&self) -> BTreeMap<Currency, i128> {
        let mut sums: BTreeMap<Currency, i128> = BTreeMap::new();
        for account in self.accounts.values() {
            *sums.entry(account.currency).or_default() += i128::from(account.balance.0);
        }
        for ((_, currency), total) in &self.totals {
            *sums.entry(*currency).or_default() += total;
        }
        sums
    }

    /// What is reserved on an account, from its reservations.
    pub fn reserved_on(&self, account: AccountId) -> Amount {
        let held = self.reservations.values().map(|held| &held.reservation.credit);
        Amount(held.filter(|credit| credit.debit_account_id == account).map(|credit| credit.amount.0).sum())
    }
}

fn named(transfer: &TransferCommand) -> Vec<AccountId> {
    let credit = match transfer.credit {
        CreditTarget::Account(id) => Some(id),
        CreditTarget::NoSuchAccount | CreditTarget::NoSuchUser | CreditTarget::Unresolved => None,
    };
    std::iter::once(transfer.debit_account_id).chain(credit).collect()
}

/// The reservation whose row a command locks.
pub(super) fn reservation_of(command: &Command) -> Option<TransferId> {
    match command {
        Command::Settle(settle) => Some(settle.transfer_id),
        Command::Expire(expire) => Some(expire.transfer_id),
        Command::Commit(CommitTransfer { transfer_id, .. }) | Command::Release(ReleaseTransfer { transfer_id, .. }) => {
            Some(*transfer_id)
        }
        Command::Transfer(_) | Command::Reserve(_) | Command::Deposit(_) | Command::Withdraw(_) => None,
        Command::CreateAccount(_) | Command::SetStatus(_) | Command::Credit(_) | Command::Void(_) => None,
    }
}

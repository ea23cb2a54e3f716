//! What must hold: after each commit for what it touched, and at the end for everything.

use super::planted::COMMIT_KEYS;
use super::request::Told;
use super::simulation::Simulation;
use super::store::Saving;
use ledger::saga::Decision;
use ledger::{Account, Command, Counterpart, Currency, KeyHash, PostedTransfer, Rejection, TransferState};
use placement::{AccountId, TransferId};
use std::collections::BTreeMap;

/// A promise that was broken, and where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// What should have held.
    pub promise: &'static str,
    /// The transfer concerned, if it is one.
    pub transfer: Option<TransferId>,
    /// The requests concerned.
    pub requests: Vec<usize>,
}

impl Breach {
    pub(super) fn of(promise: &'static str, transfer: Option<TransferId>) -> Breach {
        Breach { promise, transfer, requests: Vec::new() }
    }
}

type Checked = Result<(), Breach>;

fn hold(is_so: bool, promise: &'static str, transfer: Option<TransferId>) -> Checked {
    if is_so { Ok(()) } else { Err(Breach::of(promise, transfer)) }
}

impl Simulation {
    /// What a commit has touched.
    pub(super) fn check_commit(&mut self, shard: usize, saving: &Saving) {
        if let Err(breach) = self.committed(shard, saving) {
            self.breach(breach);
        }
    }

    fn committed(&self, shard: usize, saving: &Saving) -> Checked {
        let store = &self.stores[shard];
        let touched = saving.writes.transfers.first().map(|row| row.transfer.id);
        for id in &saving.writes.changed {
            if let Some(account) = store.rows.accounts.get(id) {
                let (balance, reserved) = (account.balance, account.reserved);
                hold(0 <= reserved.0 && reserved <= balance, "0 <= reserved <= balance", touched)?;
                let is_explained = reserved == store.rows.reserved_on(*id);
                hold(is_explained, "what is reserved is the sum of the reservations", touched)?;
            }
        }
        hold(store.rows.sums().values().all(|sum| *sum == 0), "the books of every shard come to 0", touched)?;
        for row in &saving.writes.transfers {
            let is_expired = row.transfer.reason == Some(Rejection::Expired);
            let is_due = row.transfer.hold.is_some_and(|hold| hold.expires_at <= store.time(self.now));
            hold(!is_expired || is_due, "nothing expires before its time", Some(row.transfer.id))?;
        }
        match saving.writes.totals.is_empty() {
            true => Ok(()),
            false => hold(self.clearing() == self.credited_only(), "clearing is credited and not debited", touched),
        }
    }

    /// What stands in clearing on all shards together.
    fn clearing(&self) -> BTreeMap<Currency, i128> {
        let mut sums: BTreeMap<Currency, i128> = BTreeMap::new();
        for ((counterpart, currency), total) in self.stores.iter().flat_map(|store| &store.rows.totals) {
            if matches!(counterpart, Counterpart::Clearing(_)) {
                *sums.entry(*currency).or_default() += total;
            }
        }
        sums.retain(|_, sum| *sum != 0);
        sums
    }

    /// What is posted on the credit side and still set aside on the debit side, negative.
    fn credited_only(&self) -> BTreeMap<Currency, i128> {
        let mut sums: BTreeMap<Currency, i128> = BTreeMap::new();
        for held in self.stores.iter().flat_map(|store| store.rows.reservations.values()) {
            let credit = &held.reservation.credit;
            let account = credit.credit_account_id;
            let rows = &self.stores[super::cast::shard_of(account.region(), account.slot())].rows;
            if rows.transfers.get(&credit.transfer_id).is_some_and(|row| row.credit.is_some()) {
                *sums.entry(credit.currency).or_default() -= i128::from(credit.amount.0);
            }
        }
        sums
    }

    /// Everything, once all is quiet.
    pub(super) fn check_end(&mut self) {
        if let Err(breach) = self.ended() {
            self.breach(breach);
        }
    }

    fn ended(&self) -> Checked {
        self.nothing_is_open()?;
        self.books_agree()?;
        self.histories_explain_balances()?;
        self.keys_are_used_once()?;
        self.answers_are_true()
    }

    fn nothing_is_open(&self) -> Checked {
        for store in &self.stores {
            let open = store.rows.reservations.keys().next().copied();
            hold(open.is_none(), "every transfer comes to its end", open)?;
            let unsent = store.rows.outbox.keys().next().copied();
            hold(unsent.is_none(), "every message is answered", unsent)?;
            let mut accounts = store.rows.accounts.values();
            hold(accounts.all(|account| account.reserved.0 == 0), "nothing stays reserved", None)?;
            hold(store.rows.sums().values().all(|sum| *sum == 0), "the books of every shard come to 0", None)?;
        }
        hold(self.clearing().is_empty(), "nothing stays in clearing", None)
    }

    /// Each decision has the same end on the other side, and each end between shards its decision.
    fn books_agree(&self) -> Checked {
        for (shard, store) in self.stores.iter().enumerate() {
            for (id, decision) in &store.rows.inbox {
                let credit_side = store.rows.transfers.get(id);
                let debit_side = self.stores[home(*id)].rows.transfers.get(id);
                hold(agree(decision, debit_side, credit_side), "both sides come to the same end", Some(*id))?;
            }
            for (id, row) in &store.rows.transfers {
                let is_begun_here = home(*id) == shard;
                let is_decided = row.transfer.credit_account_id.is_some_and(|credit| self.is_decided(*id, credit));
                let needs_decision = match (row.transfer.state, row.transfer.reason) {
                    (TransferState::Posted, _) => is_between(row),
                    (TransferState::Released, Some(Rejection::ReleasedByClient | Rejection::Expired)) => false,
                    (TransferState::Released, _) => is_between(row),
                    (TransferState::Pending | TransferState::Reserved | TransferState::Rejected, _) => false,
                };
                let promise = "what ends between shards is decided";
                hold(!needs_decision || is_decided, promise, Some(*id))?;
                hold(is_begun_here || is_decided, promise, Some(*id))?;
            }
        }
        Ok(())
    }

    fn is_decided(&self, id: TransferId, credit: AccountId) -> bool {
        self.stores[super::cast::shard_of(credit.region(), credit.slot())].rows.inbox.contains_key(&id)
    }

    /// Entries 1, 2, 3 without a gap, each with the balance that it leaves, and time that does not go back.
    fn histories_explain_balances(&self) -> Checked {
        for store in &self.stores {
            for account in store.rows.accounts.values() {
                let mut entries: Vec<(i64, i64, i64, i64, TransferId)> =
                    store.rows.transfers.values().flat_map(|row| entries_of(row, account)).collect();
                entries.sort_unstable();
                let (mut balance, mut last) = (0, i64::MIN);
                for (expected, (number, after, change, at, id)) in (1..).zip(entries.iter().copied()) {
                    balance += change;
                    hold(number == expected, "entries are numbered without a gap", Some(id))?;
                    hold(after == balance, "each entry leaves its balance", Some(id))?;
                    hold(at >= last, "time does not go back along entries", Some(id))?;
                    last = at;
                }
                let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
                let is_explained = balance == account.balance.0 && count == account.entry_count;
                hold(is_explained, "history explains the balance", entries.last().map(|entry| entry.4))?;
            }
        }
        Ok(())
    }

    /// Every transfer came of one key, and every key leads to its transfer.
    fn keys_are_used_once(&self) -> Checked {
        for (shard, store) in self.stores.iter().enumerate() {
            let mut uses: BTreeMap<TransferId, usize> = BTreeMap::new();
            let begins = store.rows.keys.values().filter(|record| record.hash < KeyHash(COMMIT_KEYS));
            for id in begins.filter_map(|record| record.transfer_id) {
                *uses.entry(id).or_default() += 1;
                hold(store.rows.transfers.contains_key(&id), "a key leads to its transfer", Some(id))?;
            }
            for id in store.rows.transfers.keys().filter(|id| home(**id) == shard) {
                hold(uses.get(id) == Some(&1), "a key begins one transfer", Some(*id))?;
            }
        }
        Ok(())
    }

    fn answers_are_true(&self) -> Checked {
        for (number, request) in self.requests.iter().enumerate() {
            let is_status = matches!(request.command, Command::SetStatus(_));
            let failed = |promise| Breach { promise, transfer: request.transfer, requests: vec![number] };
            let Some(told) = request.told else {
                if is_status {
                    continue;
                }
                return Err(failed("everybody is answered at last"));
            };
            if !self.is_true(&request.command, told) {
                return Err(failed("what a client was told stays so"));
            }
        }
        Ok(())
    }

    fn is_true(&self, command: &Command, told: Told) -> bool {
        let store = &self.stores[super::cast::shard_of(command.region(), command.slot())];
        let row = |id: TransferId| store.rows.transfers.get(&id).map(|row| &row.transfer);
        let record = command.key().and_then(|key| store.rows.keys.get(&(command.slot(), key.hash)));
        match told {
            Told::Posted(id) => row(id).is_some_and(|transfer| transfer.state == TransferState::Posted),
            Told::Reserved(id) => row(id).is_some_and(|transfer| transfer.hold.is_some()),
            Told::Released(id, reason) => row(id).is_some_and(|transfer| transfer.reason == Some(reason)),
            Told::Rejected(Rejection::IdempotencyKeyReused) => record.is_some(),
            Told::Rejected(rejection) => record.is_some_and(|record| record.rejection == Some(rejection)),
            Told::NotReserved => record.is_none(),
            Told::Done => true,
        }
    }
}

/// The shard that a transfer began on.
fn home(id: TransferId) -> usize {
    super::cast::shard_of(id.region(), id.slot())
}

/// Whether the two accounts are on different shards.
fn is_between(row: &PostedTransfer) -> bool {
    let shard = |account: AccountId| super::cast::shard_of(account.region(), account.slot());
    match (row.transfer.debit_account_id, row.transfer.credit_account_id) {
        (Some(debit), Some(credit)) => shard(debit) != shard(credit),
        _ => false,
    }
}

fn agree(decision: &Decision, debit_side: Option<&PostedTransfer>, credit_side: Option<&PostedTransfer>) -> bool {
    let Some(debit_side) = debit_side else {
        return false;
    };
    let (transfer, is_debited) = (&debit_side.transfer, debit_side.debit.is_some());
    match decision {
        Decision::Credited { credit_user_id } => credit_side.is_some_and(|credit_side| {
            transfer.state == TransferState::Posted
                && is_debited
                && credit_side.credit.is_some()
                && credit_side.transfer.amount == transfer.amount
                && transfer.credit_user_id.as_ref() == Some(credit_user_id)
        }),
        Decision::Refused(reason) => {
            transfer.state == TransferState::Released && transfer.reason == Some(*reason) && credit_side.is_none()
        }
        Decision::Voided => {
            let is_voided = transfer.reason == Some(Rejection::Voided);
            transfer.state == TransferState::Released && is_voided && credit_side.is_none()
        }
    }
}

/// Number, balance after, change, time and transfer of an account's entries in a row.
fn entries_of(row: &PostedTransfer, account: &Account) -> impl Iterator<Item = (i64, i64, i64, i64, TransferId)> {
    let transfer = &row.transfer;
    let (amount, at, id) = (transfer.amount.0, transfer.decided_at.map_or(i64::MAX, |at| at.0), transfer.id);
    let debit = row.debit.filter(|_| transfer.debit_account_id == Some(account.id)).map(|entry| (entry, -amount));
    let credit = row.credit.filter(|_| transfer.credit_account_id == Some(account.id)).map(|entry| (entry, amount));
    let both = debit.into_iter().chain(credit);
    both.map(move |(entry, change)| (entry.number, entry.balance_after.0, change, at, id))
}

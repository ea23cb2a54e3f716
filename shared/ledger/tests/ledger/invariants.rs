//! What must hold of a shard's rows between any two batches.

use crate::shard::Shard;
use ledger::saga::DebitState;
use ledger::{Account, Amount, Counterpart, Currency, Hold, PostedTransfer, Rejection, TransferState};
use placement::{AccountId, TransferId};
use std::collections::{BTreeMap, BTreeSet};

/// Checks them all; the accounts have begun empty.
pub fn check(shard: &Shard) {
    books_are_at_zero(shard);
    for account in shard.rows.accounts.values() {
        nothing_is_overdrawn(account);
        reservations_explain_what_is_reserved(shard, account);
        history_explains_the_balance(shard, account);
    }
    keys_and_transfers_are_paired(shard);
    transfers_are_open_or_over(shard);
    messages_and_reservations_are_paired(shard);
}

fn books_are_at_zero(shard: &Shard) {
    let mut sums: BTreeMap<Currency, i128> = BTreeMap::new();
    for account in shard.rows.accounts.values() {
        *sums.entry(account.currency).or_default() += i128::from(account.balance.0);
    }
    for ((_, currency), total) in &shard.rows.totals {
        *sums.entry(*currency).or_default() += total;
    }
    assert!(sums.values().all(|sum| *sum == 0), "the books are not at zero: {sums:?}");
}

fn nothing_is_overdrawn(account: &Account) {
    let (balance, reserved) = (account.balance.0, account.reserved.0);
    assert!(0 <= reserved && reserved <= balance && balance <= ledger::AMOUNT_LIMIT, "{account:?}");
}

fn reservations_explain_what_is_reserved(shard: &Shard, account: &Account) {
    let held = shard.rows.reservations.values().map(|held| &held.credit);
    let sum: i64 = held.filter(|message| message.debit_account_id == account.id).map(|message| message.amount.0).sum();
    assert_eq!(account.reserved, Amount(sum), "{account:?}");
}

/// Numbered 1, 2, 3 without a gap, each with the balance after it, the last with the account's balance.
fn history_explains_the_balance(shard: &Shard, account: &Account) {
    let sides = shard.rows.transfers.values().flat_map(|row| sides_of(row, account.id));
    let history: BTreeMap<i64, (i64, Amount)> = sides.clone().collect();
    assert_eq!(history.len(), sides.count(), "two entries of {} have one number", account.id);
    let mut balance = 0;
    for (expected, (number, (change, balance_after))) in (1..).zip(history.iter()) {
        balance += change;
        assert_eq!((*number, *balance_after), (expected, Amount(balance)), "{account:?}");
    }
    let entries = i64::try_from(history.len()).unwrap();
    assert_eq!((account.entry_count, account.balance), (entries, Amount(balance)), "{account:?}");
}

/// Number, change and balance after of the row's sides on that account.
fn sides_of(row: &PostedTransfer, id: AccountId) -> impl Iterator<Item = (i64, (i64, Amount))> + Clone {
    let amount = row.transfer.amount.0;
    let debit = row.debit.filter(|_| row.transfer.debit_account_id == Some(id)).map(|entry| (entry, -amount));
    let credit = row.credit.filter(|_| row.transfer.credit_account_id == Some(id)).map(|entry| (entry, amount));
    debit.into_iter().chain(credit).map(|(entry, change)| (entry.number, (change, entry.balance_after)))
}

/// One key has at most one effect, and no transfer begins without a key. A two-step transfer has one for its
/// reservation, one for its commit, and one for each refused commit.
fn keys_and_transfers_are_paired(shard: &Shard) {
    let mut keys: BTreeMap<TransferId, (usize, usize)> = BTreeMap::new();
    for key in shard.rows.keys.values() {
        let Some(id) = key.transfer_id else { continue };
        let (accepted, refused) = keys.entry(id).or_default();
        *if key.rejection.is_none() { accepted } else { refused } += 1;
    }
    let begun_here = |id: &&TransferId| !shard.rows.inbox.contains_key(id);
    let over = shard.rows.transfers.iter().map(|(id, row)| (id, (row.transfer.hold, Some(&row.transfer))));
    let open = shard.rows.reservations.iter().map(|(id, reservation)| (id, (reservation.hold, None)));
    let begun: BTreeMap<_, _> = over.filter(|(id, _)| begun_here(id)).chain(open).collect();
    assert!(keys.keys().eq(begun.keys().copied()), "{keys:?}");
    for (id, (hold, over)) in begun {
        let is_rejected = over.is_some_and(|transfer| transfer.state == TransferState::Rejected);
        let (accepted, refused) = keys[id];
        match (hold, over.and_then(|transfer| transfer.reason)) {
            (None, _) if is_rejected => assert_eq!((accepted, refused), (0, 1), "{id}"),
            (None, _) => assert_eq!((accepted, refused), (1, 0), "{id}"),
            (Some(_), Some(Rejection::ReleasedByClient | Rejection::Expired)) => assert_eq!(accepted, 1, "{id}"),
            (Some(_), _) if is_held(shard, id) => assert_eq!(accepted, 1, "{id}"),
            (Some(_), _) => assert_eq!(accepted, 2, "{id} was committed"),
        }
    }
}

fn is_held(shard: &Shard, id: &TransferId) -> bool {
    shard.rows.reservations.get(id).is_some_and(|reservation| reservation.state == DebitState::Held)
}

/// Never both, and what is over has moved money or says why not; never more than was set aside.
fn transfers_are_open_or_over(shard: &Shard) {
    for (id, row) in &shard.rows.transfers {
        let has_moved = row.debit.is_some() || row.credit.is_some();
        assert_eq!(has_moved, row.transfer.state == TransferState::Posted, "{row:?}");
        assert_eq!(row.transfer.reason.is_none(), has_moved, "{row:?}");
        assert!(!shard.rows.reservations.contains_key(id) || row.debit.is_none(), "{row:?} is open");
        assert_holds(row.transfer.hold, row.transfer.amount);
    }
    for reservation in shard.rows.reservations.values() {
        assert!(reservation.credit.amount > Amount::ZERO, "{reservation:?}");
        assert_holds(reservation.hold, reservation.credit.amount);
        if reservation.state == DebitState::Held {
            assert_eq!(reservation.hold.map(|hold| hold.amount_reserved), Some(reservation.credit.amount));
        }
    }
}

/// CHECK constraint `hold_is_enough`.
fn assert_holds(hold: Option<Hold>, amount: Amount) {
    assert!(hold.is_none_or(|hold| amount <= hold.amount_reserved), "{amount} of {hold:?}");
}

/// Every saga has a message to send; what its client holds has none.
fn messages_and_reservations_are_paired(shard: &Shard) {
    let sagas = shard.rows.reservations.iter().filter(|(_, reservation)| reservation.state != DebitState::Held);
    let sagas: BTreeSet<TransferId> = sagas.map(|(id, _)| *id).collect();
    assert_eq!(shard.rows.outbox, sagas);
}

/// What stands in clearing, per currency; without those at zero.
pub fn clearing<'a>(shards: impl IntoIterator<Item = &'a Shard>) -> BTreeMap<Currency, i128> {
    let mut sums: BTreeMap<Currency, i128> = BTreeMap::new();
    for ((counterpart, currency), total) in shards.into_iter().flat_map(|shard| &shard.rows.totals) {
        match counterpart {
            Counterpart::Clearing(_) => *sums.entry(*currency).or_default() += total,
            Counterpart::External => {}
        }
    }
    sums.retain(|_, sum| *sum != 0);
    sums
}

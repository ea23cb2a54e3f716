//! What must hold of a shard's rows between any two batches.

use crate::shard::Shard;
use ledger::{Account, Amount, Counterpart, Currency, PostedTransfer, TransferState};
use placement::AccountId;
use std::collections::BTreeMap;

/// Checks them all; the accounts have begun empty.
pub fn check(shard: &Shard) {
    books_are_at_zero(shard);
    for account in shard.rows.accounts.values() {
        nothing_is_overdrawn(account);
        reservations_explain_what_is_reserved(shard, account);
        history_explains_the_balance(shard, account);
    }
    keys_and_transfers_are_paired(shard);
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

/// One key has at most one effect, and no transfer begins without a key.
fn keys_and_transfers_are_paired(shard: &Shard) {
    let mut by_key: Vec<_> = shard.rows.keys.values().filter_map(|key| key.transfer_id).collect();
    by_key.sort();
    let begun_elsewhere = |id| shard.rows.inbox.contains_key(id);
    let terminal = shard.rows.transfers.keys().filter(|id| !begun_elsewhere(id));
    let mut begun: Vec<_> = terminal.chain(shard.rows.reservations.keys()).copied().collect();
    begun.sort();
    assert_eq!(by_key, begun);
    for row in shard.rows.transfers.values() {
        let has_moved = row.debit.is_some() || row.credit.is_some();
        assert_eq!(has_moved, row.transfer.state == TransferState::Posted, "{row:?}");
        assert_eq!(row.transfer.reason.is_none(), has_moved, "{row:?}");
    }
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

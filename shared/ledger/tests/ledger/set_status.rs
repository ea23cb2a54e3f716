//! Freezing, unfreezing and closing.

use crate::world::{nick, nobody, set_status, shard, yunus};
use ledger::AccountStatus::{Closed, Frozen, Open};
use ledger::StatusChange::{Close, Freeze, Unfreeze};
use ledger::{Account, AccountStatus, Amount, Decided, Outcome, StatusChange, Writes};
use std::collections::BTreeSet;

/// Of an empty account: every status, every change, what becomes of it.
const TABLE: [(AccountStatus, StatusChange, Option<AccountStatus>); 9] = [
    (Open, Freeze, Some(Frozen)),
    (Open, Unfreeze, Some(Open)),
    (Open, Close, Some(Closed)),
    (Frozen, Freeze, Some(Frozen)),
    (Frozen, Unfreeze, Some(Open)),
    (Frozen, Close, Some(Closed)),
    (Closed, Freeze, None),
    (Closed, Unfreeze, None),
    (Closed, Close, Some(Closed)),
];

#[test]
fn every_change_of_every_status_of_an_empty_account() {
    for (before, change, after) in TABLE {
        let mut shard = shard();
        shard.account_mut(nick()).status = before;
        let account = shard.account(nick()).clone();

        let (outcome, writes) = shard.ask(set_status(nick(), change));

        let Some(status) = after else {
            assert_eq!((outcome, writes), (Outcome::AccountIsClosed, Writes::default()), "{before:?} {change:?}");
            continue;
        };
        let decided = Decided::Account(Account { status, ..account });
        assert_eq!(outcome, Outcome::Decided(decided), "{before:?} {change:?}");
        let changed = if before == status { BTreeSet::new() } else { BTreeSet::from([nick()]) };
        assert_eq!(writes, Writes { changed, ..Writes::default() }, "{before:?} {change:?}");
        assert_eq!(shard.account(nick()).status, status);
    }
}

#[test]
fn an_account_with_money_in_it_is_not_closed() {
    for status in [Open, Frozen] {
        for balance in [1, 1_000] {
            let mut shard = shard();
            *shard.account_mut(yunus()) =
                Account { status, balance: Amount(balance), ..shard.account(yunus()).clone() };
            assert_eq!(shard.ask(set_status(yunus(), Close)), (Outcome::AccountNotEmpty, Writes::default()));
            assert_eq!(shard.account(yunus()).status, status);
        }
    }
}

#[test]
fn an_account_whose_money_is_all_set_aside_is_not_closed() {
    let mut shard = shard();
    shard.account_mut(yunus()).reserved = Amount(1_000);
    assert_eq!(shard.ask(set_status(yunus(), Close)), (Outcome::AccountNotEmpty, Writes::default()));
}

#[test]
fn money_in_an_account_does_not_stop_its_freezing() {
    let mut shard = shard();
    let (outcome, _) = shard.ask(set_status(yunus(), Freeze));
    assert!(matches!(outcome, Outcome::Decided(Decided::Account(account)) if account.status == Frozen));
    let (outcome, _) = shard.ask(set_status(yunus(), Unfreeze));
    assert!(matches!(outcome, Outcome::Decided(Decided::Account(account)) if account.status == Open));
}

#[test]
fn an_absent_account_has_no_status() {
    for change in [Freeze, Unfreeze, Close] {
        assert_eq!(shard().ask(set_status(nobody(), change)), (Outcome::NotFound, Writes::default()));
    }
}

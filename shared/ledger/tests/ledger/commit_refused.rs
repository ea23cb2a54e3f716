//! A credit account that cannot take the money when the transfer is committed: the transfer ends, released.

use crate::world::{commit, eur, hold, key_of, nick, settle, shard, transfer, transfer_away, transfer_of, yunus};
use ledger::saga::Decision;
use ledger::{
    AMOUNT_LIMIT, AccountStatus, Amount, Command, Decided, Outcome, PostedTransfer, Rejection, Transfer, TransferState,
    Writes,
};
use std::collections::BTreeSet;

type Spoil = fn(&mut crate::shard::Shard);

/// What may have happened to the credit account since, and what it then says to 100 more.
const CREDIT_ACCOUNT: [(Rejection, Spoil); 4] = [
    (Rejection::AccountFrozen, |shard| shard.account_mut(nick()).status = AccountStatus::Frozen),
    (Rejection::AccountClosed, |shard| shard.account_mut(nick()).status = AccountStatus::Closed),
    (Rejection::CurrencyMismatch, |shard| shard.account_mut(nick()).currency = eur()),
    (Rejection::LimitExceeded, |shard| shard.account_mut(nick()).balance = Amount(AMOUNT_LIMIT)),
];

#[test]
fn a_credit_account_that_cannot_take_it_at_the_commit_releases_the_transfer_with_the_reason() {
    for (reason, spoil) in CREDIT_ACCOUNT {
        let mut shard = shard();
        let held = hold(&mut shard, transfer());
        spoil(&mut shard);
        let accounts = shard.rows.accounts.clone();
        shard.now.0 += 5_000_000;

        let (outcome, writes) = shard.ask(Command::Commit(commit(held.id, None)));

        let state = TransferState::Released;
        let released = Transfer { state, reason: Some(reason), decided_at: Some(shard.now), ..held.clone() };
        assert_eq!(outcome, Outcome::Decided(Decided::Transfer(released.clone())));
        let expected = Writes {
            changed: BTreeSet::from([yunus()]),
            transfers: vec![PostedTransfer { transfer: released, debit: None, credit: None, remote_user_id: None }],
            keys: vec![key_of(yunus().slot(), commit(held.id, None).key, held.id)],
            settled: vec![held.id],
            ..Writes::default()
        };
        assert_eq!(writes, expected);
        assert_eq!(shard.account(yunus()).reserved, Amount(0));
        assert_eq!(shard.account(nick()), &accounts[&nick()]);
        let again = (Outcome::ReplayedTransfer(held.id), Writes::default());
        assert_eq!(shard.ask(Command::Commit(commit(held.id, None))), again, "the answer is final");
    }
}

/// The same, decided by the credit account's shard; told apart by the state and the reason only.
#[test]
fn a_refused_commit_ends_alike_here_and_between_shards() {
    for (reason, spoil) in CREDIT_ACCOUNT {
        let (mut here, mut away) = (shard(), shard());
        let held = hold(&mut here, transfer());
        spoil(&mut here);
        let here = transfer_of(here.ask(Command::Commit(commit(held.id, Some(40)))).0);

        let elsewhere = hold(&mut away, transfer_away());
        away.ask(Command::Commit(commit(elsewhere.id, Some(40))));
        let away = transfer_of(away.ask(settle(elsewhere.id, Decision::Refused(reason))).0);

        let told = |transfer: Transfer| (transfer.state, transfer.reason, transfer.amount, transfer.hold);
        assert_eq!(told(here), told(away));
    }
}

#[test]
fn the_credit_account_is_asked_for_the_committed_part_only() {
    for (amount, state) in [(99, TransferState::Posted), (100, TransferState::Released)] {
        let mut shard = shard();
        let held = hold(&mut shard, transfer());
        shard.account_mut(nick()).balance = Amount(AMOUNT_LIMIT - 99);
        let (outcome, _) = shard.ask(Command::Commit(commit(held.id, Some(amount))));
        assert_eq!(transfer_of(outcome).state, state);
    }
}

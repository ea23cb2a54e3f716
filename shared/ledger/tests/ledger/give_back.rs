//! Release and expiry of a two-step transfer: the amount is given back, for one reason or the other.

use crate::world::{
    ENTRIES_BEFORE, HOLD_SECONDS, commit, expire, hold, nick, release, set_status, shard, transfer, transfer_away,
    transfer_of, user, yunus, yunus_transfer,
};
use ledger::{
    Amount, Command, Decided, ExpireTransfer, Outcome, PostedTransfer, Rejection, ReleaseTransfer, StatusChange,
    Transfer, TransferCommand, TransferState, Writes,
};
use placement::TransferId;
use std::collections::BTreeSet;

/// The reasons that a transfer shows which its client has neither committed nor lost to the credit account.
pub const REASONS: [Rejection; 2] = [Rejection::ReleasedByClient, Rejection::Expired];

type Ask = fn(TransferId) -> Command;

const WAYS: [(Ask, Rejection); 2] = [(release, REASONS[0]), (expire, REASONS[1])];

fn both_ways() -> [TransferCommand; 2] {
    [transfer(), transfer_away()]
}

fn nothing() -> (Outcome, Writes) {
    (Outcome::Decided(Decided::AlreadySettled), Writes::default())
}

/// In microseconds.
const HELD_FOR: i64 = HOLD_SECONDS as i64 * 1_000_000;

#[test]
fn what_is_released_or_expires_is_given_back_and_leaves_no_entry() {
    for transfer in both_ways() {
        for (ask, reason) in WAYS {
            let mut shard = shard();
            let held = hold(&mut shard, transfer.clone());
            shard.now.0 += HELD_FOR;

            let (outcome, writes) = shard.ask(ask(held.id));

            let state = TransferState::Released;
            let released = Transfer { state, reason: Some(reason), decided_at: Some(shard.now), ..held.clone() };
            assert_eq!(outcome, Outcome::Decided(Decided::Transfer(released.clone())));
            let row = PostedTransfer { transfer: released, debit: None, credit: None, remote_user_id: None };
            let expected = Writes {
                changed: BTreeSet::from([yunus()]),
                transfers: vec![row],
                settled: vec![held.id],
                ..Writes::default()
            };
            assert_eq!(writes, expected);
            let account = shard.account(yunus());
            assert_eq!((account.balance, account.reserved), (Amount(1_000), Amount(0)));
            assert_eq!(account.entry_count, ENTRIES_BEFORE);
        }
    }
}

/// The second one is told the state, which says that it is released: that is what it asked for.
#[test]
fn to_release_twice_changes_nothing_in_the_same_batch_too() {
    for transfer in both_ways() {
        let mut shard = shard();
        let held = hold(&mut shard, transfer);
        let batch = shard.stamp(&[release(held.id), release(held.id)]);
        let (outcomes, writes) = shard.run(&batch);
        assert_eq!(transfer_of(outcomes[0].clone()).reason, Some(Rejection::ReleasedByClient));
        assert_eq!(outcomes[1], Outcome::NotReserved(held.id));
        assert_eq!((writes.settled.len(), writes.transfers.len()), (1, 1));
        assert_eq!(shard.ask(release(held.id)), (Outcome::NotReserved(held.id), Writes::default()));
    }
}

#[test]
fn what_is_not_due_does_not_expire() {
    for (after, is_due) in [(0, false), (1, false), (HELD_FOR - 1, false), (HELD_FOR, true), (HELD_FOR + 1, true)] {
        let mut shard = shard();
        let held = hold(&mut shard, transfer());
        shard.now.0 += after;
        let answer = shard.ask(expire(held.id));
        match is_due {
            true => assert_eq!(transfer_of(answer.0).reason, Some(Rejection::Expired), "after {after}"),
            false => assert_eq!(answer, nothing(), "after {after}"),
        }
        assert_eq!(shard.rows.reservations.is_empty(), is_due, "after {after}");
    }
}

#[test]
fn a_repeated_expiry_changes_nothing_in_the_same_batch_too() {
    let mut shard = shard();
    let held = hold(&mut shard, transfer_away());
    shard.now.0 += HELD_FOR;
    let batch = shard.stamp(&[expire(held.id), expire(held.id)]);
    let (outcomes, writes) = shard.run(&batch);
    assert_eq!(outcomes[1], Outcome::Decided(Decided::AlreadySettled));
    assert_eq!((writes.settled.len(), writes.transfers.len()), (1, 1));
    assert_eq!(shard.ask(expire(held.id)), nothing());
}

#[test]
fn what_was_never_begun_is_neither_released_nor_expires() {
    let mut shard = shard();
    let answer = shard.ask(release(yunus_transfer()));
    assert_eq!(answer, (Outcome::NotReserved(yunus_transfer()), Writes::default()));
    assert_eq!(shard.ask(expire(yunus_transfer())), nothing());
}

#[test]
fn nobody_releases_a_foreign_reservation() {
    for transfer in both_ways() {
        let mut shard = shard();
        let held = hold(&mut shard, transfer);
        for name in ["nick", "andrew", "mallory"] {
            let foreign = Command::Release(ReleaseTransfer { caller: user(name), transfer_id: held.id });
            assert_eq!(shard.ask(foreign), (Outcome::NotFound, Writes::default()), "{name}");
        }
        assert_eq!(shard.account(yunus()).reserved, Amount(100));
    }
}

#[test]
fn neither_a_frozen_debit_account_nor_a_frozen_credit_account_keeps_what_is_given_back() {
    for frozen in [yunus(), nick()] {
        for transfer in both_ways() {
            for (ask, reason) in WAYS {
                let mut shard = shard();
                let held = hold(&mut shard, transfer.clone());
                shard.ask(set_status(frozen, StatusChange::Freeze));
                shard.now.0 += HELD_FOR;
                let released = transfer_of(shard.ask(ask(held.id)).0);
                assert_eq!((released.state, released.reason), (TransferState::Released, Some(reason)));
                assert_eq!(shard.account(yunus()).reserved, Amount(0));
            }
        }
    }
}

#[test]
fn a_release_after_the_due_time_wins_if_it_comes_first() {
    let mut shard = shard();
    let held = hold(&mut shard, transfer());
    shard.now.0 += HELD_FOR + 1;
    assert_eq!(transfer_of(shard.ask(release(held.id)).0).reason, Some(Rejection::ReleasedByClient));
    assert_eq!(shard.ask(expire(held.id)), nothing());
}

/// It is a saga by then: only the other shard's decision ends it.
#[test]
fn what_is_being_committed_between_shards_is_neither_released_nor_expires() {
    let mut shard = shard();
    let held = hold(&mut shard, transfer_away());
    shard.ask(Command::Commit(commit(held.id, Some(40))));
    shard.now.0 += HELD_FOR;
    assert_eq!(shard.ask(release(held.id)), (Outcome::NotReserved(held.id), Writes::default()));
    assert_eq!(shard.ask(expire(held.id)), nothing());
    let foreign = Command::Release(ReleaseTransfer { caller: user("andrew"), transfer_id: held.id });
    assert_eq!(shard.ask(foreign), (Outcome::NotFound, Writes::default()));
    assert_eq!(shard.account(yunus()).reserved, Amount(40));
}

/// A due time is looked at transfer by transfer.
#[test]
fn a_sweep_ends_those_that_are_due_and_leaves_the_others() {
    let mut shard = shard();
    let keyed = |number| TransferCommand { key: crate::world::key(number), ..transfer() };
    let early = hold(&mut shard, keyed(20));
    shard.now.0 += 1;
    let late = hold(&mut shard, keyed(21));
    shard.now.0 = early.hold.expect("it is held").expires_at.0;
    let sweep = [early.id, late.id]
        .map(|transfer_id| Command::Expire(ExpireTransfer { transfer_id, debit_account_id: yunus() }));
    let batch = shard.stamp(&sweep);
    let (outcomes, writes) = shard.run(&batch);
    assert_eq!(transfer_of(outcomes[0].clone()).id, early.id);
    assert_eq!(outcomes[1], Outcome::Decided(Decided::AlreadySettled));
    assert_eq!(writes.settled, [early.id]);
    assert_eq!(shard.account(yunus()).reserved, Amount(100));
}

//! The credit shard's decision comes back: commit or release.

use crate::world::{
    ENTRIES_BEFORE, andrew, andrews_transfer, begun, credited, entry, reserved, set_status, settle, sgd, shard,
    shard_id, transfer_away, user, yunus,
};
use ledger::saga::{DebitState, Decision};
use ledger::{
    AccountStatus, Amount, Command, Counterpart, CreditTarget, Decided, Outcome, PostedTransfer, Rejection, Settle,
    StatusChange, Transfer, TransferState, Writes,
};
use std::collections::{BTreeMap, BTreeSet};

/// Decisions that release, and the reason that the transfer shows.
pub const RELEASES: &[(Decision, Rejection)] = &[
    (Decision::Voided, Rejection::Voided),
    (Decision::Refused(Rejection::CreditAccountNotFound), Rejection::CreditAccountNotFound),
    (Decision::Refused(Rejection::AccountFrozen), Rejection::AccountFrozen),
    (Decision::Refused(Rejection::AccountClosed), Rejection::AccountClosed),
    (Decision::Refused(Rejection::CurrencyMismatch), Rejection::CurrencyMismatch),
    (Decision::Refused(Rejection::LimitExceeded), Rejection::LimitExceeded),
];

/// A replica may have begun to void what another still sends as "credit".
const OPEN: [DebitState; 2] = [DebitState::Crediting, DebitState::Voiding];

fn already() -> (Outcome, Writes) {
    (Outcome::Decided(Decided::AlreadySettled), Writes::default())
}

#[test]
fn a_credited_transfer_is_committed_against_clearing() {
    for state in OPEN {
        let mut shard = shard();
        let pending = reserved(&mut shard, state);
        shard.now.0 += 5_000_000;

        let (outcome, writes) = shard.ask(settle(pending.id, credited()));

        let posted = Transfer {
            state: TransferState::Posted,
            decided_at: Some(shard.now),
            credit_user_id: Some(user("andrew")),
            ..begun(&transfer_away(), pending.id, pending.created_at)
        };
        assert_eq!(outcome, Outcome::Decided(Decided::Transfer(posted.clone())));
        let remote_user_id = Some(user("andrew"));
        let expected = Writes {
            changed: BTreeSet::from([yunus()]),
            transfers: vec![PostedTransfer { transfer: posted, debit: entry(1, 900), credit: None, remote_user_id }],
            settled: vec![pending.id],
            totals: BTreeMap::from([((Counterpart::Clearing(shard_id(2)), sgd()), Amount(100))]),
            ..Writes::default()
        };
        assert_eq!(writes, expected);
        let account = shard.account(yunus());
        assert_eq!((account.balance, account.reserved), (Amount(900), Amount(0)));
    }
}

#[test]
fn a_refused_or_voided_transfer_is_released_with_its_reason() {
    for (decision, reason) in RELEASES {
        for state in OPEN {
            let mut shard = shard();
            let pending = reserved(&mut shard, state);
            shard.now.0 += 5_000_000;

            let (outcome, writes) = shard.ask(settle(pending.id, decision.clone()));

            let released = Transfer {
                state: TransferState::Released,
                reason: Some(*reason),
                decided_at: Some(shard.now),
                ..begun(&transfer_away(), pending.id, pending.created_at)
            };
            assert_eq!(outcome, Outcome::Decided(Decided::Transfer(released.clone())));
            let row = PostedTransfer { transfer: released, debit: None, credit: None, remote_user_id: None };
            let expected = Writes {
                changed: BTreeSet::from([yunus()]),
                transfers: vec![row],
                settled: vec![pending.id],
                ..Writes::default()
            };
            assert_eq!(writes, expected);
            let account = shard.account(yunus());
            assert_eq!((account.balance, account.reserved), (Amount(1_000), Amount(0)));
            assert_eq!(account.entry_count, ENTRIES_BEFORE, "what was given back leaves no entry");
        }
    }
}

#[test]
fn a_saga_finishes_on_a_frozen_account() {
    for decision in [credited(), Decision::Voided] {
        let mut shard = shard();
        let pending = reserved(&mut shard, DebitState::Crediting);
        shard.ask(set_status(yunus(), StatusChange::Freeze));
        let (outcome, _) = shard.ask(settle(pending.id, decision));
        assert!(matches!(outcome, Outcome::Decided(Decided::Transfer(transfer)) if transfer.state.is_terminal()));
        let account = shard.account(yunus());
        assert_eq!((account.status, account.reserved), (AccountStatus::Frozen, Amount(0)));
    }
}

/// All that was set aside is there to be taken, even if nothing else is.
#[test]
fn a_commit_cannot_fail_for_lack_of_money() {
    let mut shard = shard();
    let pending = reserved(&mut shard, DebitState::Crediting);
    let rest = ledger::ExternalMove { amount: Amount(900), ..crate::world::external() };
    shard.ask(Command::Withdraw(rest));
    let (outcome, _) = shard.ask(settle(pending.id, credited()));
    assert!(matches!(outcome, Outcome::Decided(Decided::Transfer(_))));
    assert_eq!(shard.account(yunus()).balance, Amount(0));
}

#[test]
fn a_repeated_decision_changes_nothing_in_the_same_batch_too() {
    for decision in [credited(), Decision::Refused(Rejection::AccountFrozen), Decision::Voided] {
        let mut shard = shard();
        let pending = reserved(&mut shard, DebitState::Crediting);
        let batch = shard.stamp(&[settle(pending.id, decision.clone()), settle(pending.id, decision.clone())]);
        let (outcomes, writes) = shard.run(&batch);
        assert!(matches!(outcomes[0], Outcome::Decided(Decided::Transfer(_))));
        assert_eq!(outcomes[1], Outcome::Decided(Decided::AlreadySettled));
        assert_eq!((writes.settled.len(), writes.transfers.len()), (1, 1));
        assert_eq!(shard.ask(settle(pending.id, decision)), already());
    }
}

#[test]
fn a_transfer_that_is_not_open_here_has_nothing_to_settle() {
    let mut shard = shard();
    for decision in [credited(), Decision::Refused(Rejection::AccountFrozen), Decision::Voided] {
        assert_eq!(shard.ask(settle(andrews_transfer(5), decision)), already());
    }
}

/// A reservation whose state says that it is over, or that nobody was asked, is damage: the line stops, and nothing moves.
#[test]
fn a_decision_against_the_state_is_a_contradiction_and_moves_nothing() {
    let released = DebitState::Released(Rejection::AccountFrozen);
    let against = [
        (DebitState::Committed, Decision::Voided),
        (DebitState::Committed, Decision::Refused(Rejection::AccountFrozen)),
        (released, credited()),
        (released, Decision::Voided),
        (released, Decision::Refused(Rejection::AccountClosed)),
        // Nobody has asked the credit shard yet.
        (DebitState::Held, credited()),
        (DebitState::Held, Decision::Voided),
        (DebitState::Held, Decision::Refused(Rejection::AccountFrozen)),
    ];
    for (state, decision) in against {
        let mut shard = shard();
        let pending = reserved(&mut shard, state);
        let answer = shard.ask(settle(pending.id, decision.clone()));
        assert_eq!(answer, (Outcome::Contradiction, Writes::default()), "{state:?} {decision:?}");
    }
    for (state, decision) in
        [(DebitState::Committed, credited()), (released, Decision::Refused(Rejection::AccountFrozen))]
    {
        let mut shard = shard();
        let pending = reserved(&mut shard, state);
        assert_eq!(shard.ask(settle(pending.id, decision)), already());
    }
}

#[test]
fn the_clearing_account_is_that_of_the_shard_which_decided() {
    let mut shard = shard();
    let pending = reserved(&mut shard, DebitState::Crediting);
    assert_eq!(pending.credit_account_id, Some(andrew()));
    let moved =
        Settle { transfer_id: pending.id, debit_account_id: yunus(), credit_shard: shard_id(9), decision: credited() };
    let (_, writes) = shard.ask(Command::Settle(moved));
    let clearing = Counterpart::Clearing(shard_id(9));
    assert_eq!(writes.totals, BTreeMap::from([((clearing, sgd()), Amount(100))]));
}

#[test]
fn two_reservations_of_one_account_are_settled_each_by_itself() {
    let mut shard = shard();
    let first = reserved(&mut shard, DebitState::Crediting);
    let another = ledger::TransferCommand {
        key: crate::world::key(20),
        amount: Amount(30),
        credit: CreditTarget::Account(andrew()),
        ..transfer_away()
    };
    shard.ask(Command::Transfer(another));
    assert_eq!(shard.account(yunus()).reserved, Amount(130));
    shard.ask(settle(first.id, Decision::Voided));
    let account = shard.account(yunus());
    assert_eq!((account.balance, account.reserved), (Amount(1_000), Amount(30)));
    assert_eq!(shard.rows.reservations.len(), 1);
}

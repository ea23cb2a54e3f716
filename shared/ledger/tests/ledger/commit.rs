//! The commit of a two-step transfer: of all or of a part, once.

use crate::refusals::Rung;
use crate::world::{
    ENTRIES_BEFORE, HOLD_SECONDS, andrew, begun, commit, credited, entry, expire, hold, key, key_of, nick, release,
    reserved, reused, set_status, settle, sgd, shard, shard_id, transfer, transfer_away, transfer_of, user, yunus,
    yunus_transfer,
};
use ledger::saga::{DebitState, Decision};
use ledger::{
    AccountStatus, Amount, Command, CommitTransfer, Counterpart, CreditMessage, Decided, KeyRecord, Outcome,
    PostedTransfer, Rejection, Reservation, StatusChange, Transfer, TransferCommand, TransferState, Writes,
};
use placement::TransferId;
use std::collections::{BTreeMap, BTreeSet};

/// In the order in which the decision looks.
pub const LADDER: &[Rung<CommitTransfer>] = &[
    Rung {
        when: "the amount is nothing",
        rejection: Rejection::AmountOutOfRange,
        spoil: |_, command| command.amount = Some(Amount(0)),
    },
    Rung {
        when: "the amount is negative",
        rejection: Rejection::AmountOutOfRange,
        spoil: |_, command| command.amount = Some(Amount(-1)),
    },
    Rung {
        when: "the amount is the least that a client can write",
        rejection: Rejection::AmountOutOfRange,
        spoil: |_, command| command.amount = Some(Amount(i64::MIN)),
    },
    Rung {
        when: "the amount is more than is reserved",
        rejection: Rejection::AmountExceedsReserved,
        spoil: |_, command| command.amount = Some(Amount(101)),
    },
    Rung {
        when: "the amount is the most that a client can write",
        rejection: Rejection::AmountExceedsReserved,
        spoil: |_, command| command.amount = Some(Amount(i64::MAX)),
    },
    Rung {
        when: "the debit account is frozen",
        rejection: Rejection::AccountFrozen,
        spoil: |shard, _| shard.account_mut(yunus()).status = AccountStatus::Frozen,
    },
    Rung {
        when: "the debit account is closed",
        rejection: Rejection::AccountClosed,
        spoil: |shard, _| shard.account_mut(yunus()).status = AccountStatus::Closed,
    },
];

fn both_ways() -> [TransferCommand; 2] {
    [transfer(), transfer_away()]
}

fn numbered(number: u128, command: CommitTransfer) -> Command {
    Command::Commit(CommitTransfer { key: key(number), ..command })
}

fn commit_key(id: TransferId) -> KeyRecord {
    key_of(yunus().slot(), commit(id, None).key, id)
}

fn not_reserved(id: TransferId) -> (Outcome, Writes) {
    (Outcome::NotReserved(id), Writes::default())
}

#[test]
fn a_commit_here_posts_both_sides_and_gives_the_rest_back_at_once() {
    for (amount, committed) in [(None, 100), (Some(100), 100), (Some(99), 99), (Some(1), 1)] {
        let mut shard = shard();
        let held = hold(&mut shard, transfer());
        shard.now.0 += 5_000_000;

        let (outcome, writes) = shard.ask(Command::Commit(commit(held.id, amount)));

        let posted = Transfer {
            state: TransferState::Posted,
            amount: Amount(committed),
            decided_at: Some(shard.now),
            credit_user_id: Some(user("nick")),
            ..held.clone()
        };
        assert_eq!(outcome, Outcome::Decided(Decided::Transfer(posted.clone())));
        let (debit, credit) = (entry(1, 1_000 - committed), entry(1, committed));
        let expected = Writes {
            changed: BTreeSet::from([yunus(), nick()]),
            transfers: vec![PostedTransfer { transfer: posted, debit, credit, remote_user_id: None }],
            keys: vec![commit_key(held.id)],
            settled: vec![held.id],
            ..Writes::default()
        };
        assert_eq!(writes, expected);
        let account = shard.account(yunus());
        assert_eq!((account.balance, account.reserved), (Amount(1_000 - committed), Amount(0)));
        assert_eq!(shard.account(nick()).balance, Amount(committed));
    }
}

#[test]
fn a_commit_to_another_shard_begins_the_saga_with_what_was_committed() {
    for (amount, committed) in [(None, 100), (Some(100), 100), (Some(99), 99), (Some(1), 1)] {
        let mut shard = shard();
        let held = hold(&mut shard, transfer_away());
        let reserved_at = shard.now;
        shard.now.0 += 5_000_000;

        let (outcome, writes) = shard.ask(Command::Commit(commit(held.id, amount)));

        let pending = Transfer { state: TransferState::Pending, amount: Amount(committed), ..held.clone() };
        assert_eq!(outcome, Outcome::Decided(Decided::Transfer(pending)));
        let message = CreditMessage {
            transfer_id: held.id,
            debit_shard: shard.id,
            debit_account_id: yunus(),
            debit_user_id: user("yunus"),
            credit_account_id: andrew(),
            amount: Amount(committed),
            currency: sgd(),
            message: Some("lunch".to_owned()),
            created_at: reserved_at,
        };
        let reference = Some("order-7".to_owned());
        let saga = Reservation { state: DebitState::Crediting, credit: message, reference, hold: held.hold };
        let expected = Writes {
            changed: BTreeSet::from([yunus()]),
            keys: vec![commit_key(held.id)],
            committing: vec![saga.clone()],
            ..Writes::default()
        };
        assert_eq!(writes, expected);
        assert!(writes.to_send().eq([&saga]), "its message is sent");
        let account = shard.account(yunus());
        assert_eq!((account.balance, account.reserved), (Amount(1_000), Amount(committed)), "the rest is back at once");
        assert_eq!(account.entry_count, ENTRIES_BEFORE);
    }
}

#[test]
fn the_other_shards_decision_ends_a_committed_transfer_as_it_ends_any_other() {
    let refused = Decision::Refused(Rejection::AccountFrozen);
    let ends = [
        (credited(), TransferState::Posted, None),
        (refused, TransferState::Released, Some(Rejection::AccountFrozen)),
        (Decision::Voided, TransferState::Released, Some(Rejection::Voided)),
    ];
    for (decision, state, reason) in ends {
        let mut shard = shard();
        let held = hold(&mut shard, transfer_away());
        shard.ask(Command::Commit(commit(held.id, Some(40))));
        shard.now.0 += 5_000_000;

        let (outcome, writes) = shard.ask(settle(held.id, decision));

        let is_posted = state == TransferState::Posted;
        let ended = Transfer {
            state,
            reason,
            amount: Amount(40),
            decided_at: Some(shard.now),
            credit_user_id: is_posted.then(|| user("andrew")),
            hold: held.hold,
            ..begun(&transfer_away(), held.id, held.created_at)
        };
        assert_eq!(outcome, Outcome::Decided(Decided::Transfer(ended)));
        assert_eq!(writes.settled, [held.id]);
        let clearing = ((Counterpart::Clearing(shard_id(2)), sgd()), Amount(40));
        assert_eq!(writes.totals, BTreeMap::from_iter(is_posted.then_some(clearing)));
        let account = shard.account(yunus());
        assert_eq!((account.balance, account.reserved), (Amount(if is_posted { 960 } else { 1_000 }), Amount(0)));
    }
}

#[test]
fn each_refusal_is_recorded_and_leaves_the_reservation_for_another_attempt() {
    for Rung { when, rejection, spoil } in LADDER {
        for transfer in both_ways() {
            let mut shard = shard();
            let held = hold(&mut shard, transfer);
            let mut command = commit(held.id, None);
            spoil(&mut shard, &mut command);
            let before = shard.rows.clone();

            let (outcome, writes) = shard.ask(Command::Commit(command.clone()));

            let (rejection, transfer_id) = (*rejection, Some(held.id));
            assert_eq!(outcome, Outcome::Decided(Decided::Rejected { rejection, transfer_id }), "{when}");
            let keys = vec![KeyRecord { rejection: Some(rejection), ..commit_key(held.id) }];
            assert_eq!(writes, Writes { keys, ..Writes::default() }, "{when}");
            assert_eq!((&shard.rows.accounts, &shard.rows.reservations), (&before.accounts, &before.reservations));
            // The key never commits anything, another one does.
            shard.account_mut(yunus()).status = AccountStatus::Open;
            let again = Outcome::ReplayedRejection { rejection, transfer_id };
            assert_eq!(shard.ask(Command::Commit(command.clone())), (again.clone(), Writes::default()), "{when}");
            let committed = transfer_of(shard.ask(numbered(51, commit(held.id, None))).0);
            assert_eq!(committed.amount, Amount(100), "{when}");
            assert_eq!(shard.ask(Command::Commit(command)), (again, Writes::default()), "{when}");
        }
    }
}

#[test]
fn of_two_causes_the_earlier_rung_is_the_answer() {
    for (first, rung) in LADDER.iter().enumerate() {
        for later in &LADDER[first + 1..] {
            let mut shard = shard();
            let held = hold(&mut shard, transfer());
            let mut command = commit(held.id, None);
            (later.spoil)(&mut shard, &mut command);
            (rung.spoil)(&mut shard, &mut command);
            let (outcome, _) = shard.ask(Command::Commit(command));
            let (rejection, transfer_id) = (rung.rejection, Some(held.id));
            let expected = Outcome::Decided(Decided::Rejected { rejection, transfer_id });
            assert_eq!(outcome, expected, "{} before {}", rung.when, later.when);
        }
    }
}

#[test]
fn a_foreign_caller_sees_no_reservation_whatever_else_is_wrong() {
    for Rung { when, spoil, .. } in LADDER {
        for transfer in both_ways() {
            let mut shard = shard();
            let held = hold(&mut shard, transfer);
            let mut command = CommitTransfer { caller: user("nick"), ..commit(held.id, None) };
            spoil(&mut shard, &mut command);
            assert_eq!(shard.ask(Command::Commit(command)), (Outcome::NotFound, Writes::default()), "{when}");
        }
    }
}

/// The id alone is the answer: it is looked up with the caller, to whom a foreign transfer looks absent.
#[test]
fn a_transfer_that_is_over_or_was_never_begun_is_not_reserved_whoever_asks() {
    let mut shard = shard();
    let held = hold(&mut shard, transfer());
    shard.ask(release(held.id));
    for id in [held.id, yunus_transfer()] {
        for name in ["yunus", "nick"] {
            let command = CommitTransfer { caller: user(name), ..commit(id, Some(0)) };
            assert_eq!(shard.ask(Command::Commit(command)), not_reserved(id));
        }
    }
}

/// Its client has nothing to say about it any more; and to others it looks absent.
#[test]
fn a_one_step_saga_can_be_neither_committed_nor_released_nor_expire() {
    for state in [DebitState::Crediting, DebitState::Voiding] {
        let mut shard = shard();
        let pending = reserved(&mut shard, state);
        shard.now.0 = i64::MAX;
        for amount in [None, Some(1), Some(0), Some(101)] {
            assert_eq!(shard.ask(Command::Commit(commit(pending.id, amount))), not_reserved(pending.id), "{state:?}");
        }
        assert_eq!(shard.ask(release(pending.id)), not_reserved(pending.id), "{state:?}");
        let nothing = (Outcome::Decided(Decided::AlreadySettled), Writes::default());
        assert_eq!(shard.ask(expire(pending.id)), nothing, "{state:?}");
        let foreign = CommitTransfer { caller: user("nick"), ..commit(pending.id, None) };
        assert_eq!(shard.ask(Command::Commit(foreign)), (Outcome::NotFound, Writes::default()), "{state:?}");
        shard.ask(settle(pending.id, credited()));
        assert_eq!(shard.account(yunus()).balance, Amount(900), "and it goes on");
    }
}

#[test]
fn a_repeated_commit_gets_the_first_answer_and_moves_nothing_in_the_same_batch_too() {
    for transfer in both_ways() {
        for amount in [None, Some(40)] {
            let mut shard = shard();
            let held = hold(&mut shard, transfer.clone());
            let command = Command::Commit(commit(held.id, amount));
            let batch = shard.stamp(&[command.clone(), command.clone()]);
            let (outcomes, writes) = shard.run(&batch);
            let again = Outcome::ReplayedTransfer(held.id);
            assert_eq!(outcomes[1], again);
            assert_eq!((writes.keys.len(), writes.transfers.len() + writes.committing.len()), (1, 1));
            assert_eq!(shard.ask(command.clone()), (again.clone(), Writes::default()));
            shard.ask(settle(held.id, credited()));
            assert_eq!(shard.ask(command), (again, Writes::default()), "after its end too");
        }
    }
}

#[test]
fn the_key_is_looked_at_before_the_transfer() {
    let key_reused =
        Outcome::Decided(Decided::Rejected { rejection: Rejection::IdempotencyKeyReused, transfer_id: None });
    for transfer in both_ways() {
        let mut shard = shard();
        let held = hold(&mut shard, transfer.clone());
        let with = |key| Command::Commit(CommitTransfer { key, ..commit(held.id, Some(40)) });
        // The reservation's own key was used for another request.
        assert_eq!(shard.ask(with(reused(transfer.key))), (key_reused.clone(), Writes::default()));
        shard.ask(with(key(50)));
        assert_eq!(shard.ask(with(reused(key(50)))), (key_reused.clone(), Writes::default()), "though it is committed");
        assert_eq!(shard.ask(with(key(51))), not_reserved(held.id));
        // To be too late is not recorded.
        assert!(matches!(shard.ask(numbered(51, commit(held.id, None))).0, Outcome::NotReserved(_)));
        assert_eq!(shard.rows.keys.len(), 2);
    }
}

/// Somebody wins in any case; the due time only says when the sweep may begin.
#[test]
fn a_commit_after_the_due_time_wins_if_it_comes_first() {
    for transfer in both_ways() {
        let mut shard = shard();
        let held = hold(&mut shard, transfer);
        shard.now.0 += i64::from(HOLD_SECONDS) * 1_000_000 + 1;
        let committed = transfer_of(shard.ask(Command::Commit(commit(held.id, None))).0);
        assert!(matches!(committed.state, TransferState::Posted | TransferState::Pending));
        let nothing = (Outcome::Decided(Decided::AlreadySettled), Writes::default());
        assert_eq!(shard.ask(expire(held.id)), nothing);
    }
}

/// It was checked when it was reserved; a smaller limit since is no reason to keep the money set aside.
#[test]
fn a_commit_is_not_held_to_the_limit_of_a_transfer() {
    for transfer in both_ways() {
        let mut shard = shard();
        let held = hold(&mut shard, transfer);
        shard.currencies.clear();
        assert_eq!(transfer_of(shard.ask(Command::Commit(commit(held.id, None))).0).amount, Amount(100));
    }
}

#[test]
fn a_commit_cannot_fail_for_lack_of_money() {
    for transfer in both_ways() {
        let mut shard = shard();
        let held = hold(&mut shard, transfer);
        shard.ask(Command::Withdraw(ledger::ExternalMove { amount: Amount(900), ..crate::world::external() }));
        transfer_of(shard.ask(Command::Commit(commit(held.id, None))).0);
        shard.ask(settle(held.id, credited()));
        assert_eq!(shard.account(yunus()).balance, Amount(0));
    }
}

#[test]
fn a_frozen_debit_account_stops_a_public_commit_but_not_the_end_of_a_saga() {
    let mut shard = shard();
    let held = hold(&mut shard, transfer_away());
    shard.ask(Command::Commit(commit(held.id, None)));
    shard.ask(set_status(yunus(), StatusChange::Freeze));
    let posted = transfer_of(shard.ask(settle(held.id, credited())).0);
    assert_eq!((posted.state, shard.account(yunus()).balance), (TransferState::Posted, Amount(900)));
}

/// A reservation whose state says that it is over is damage, or another node's: nothing moves.
#[test]
fn whatever_is_not_held_is_not_reserved() {
    let released = [Rejection::Voided, Rejection::ReleasedByClient, Rejection::Expired].map(DebitState::Released);
    let states = [DebitState::Crediting, DebitState::Voiding, DebitState::Committed];
    for state in states.into_iter().chain(released) {
        let mut shard = shard();
        let held = hold(&mut shard, transfer());
        shard.rows.reservations.get_mut(&held.id).unwrap().state = state;
        shard.now.0 = i64::MAX;
        assert_eq!(shard.ask(Command::Commit(commit(held.id, None))), not_reserved(held.id), "{state:?}");
        assert_eq!(shard.ask(Command::Commit(commit(held.id, Some(101)))), not_reserved(held.id), "{state:?}");
        assert_eq!(shard.ask(release(held.id)), not_reserved(held.id), "{state:?}");
        let nothing = (Outcome::Decided(Decided::AlreadySettled), Writes::default());
        assert_eq!(shard.ask(expire(held.id)), nothing, "{state:?}");
    }
}

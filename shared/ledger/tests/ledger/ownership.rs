//! What is not owned here is not decided here.

use crate::world::{
    commit, create, credit, entry, expire, external, hold, nick, region, release, reserve, reserved, set_status,
    settle, shard, transfer, transfer_away, transfer_of, void, yunus, yunus_transfer,
};
use ledger::saga::{DebitState, Decision};
use ledger::{
    Command, CreditTarget, Decided, Outcome, Ownership, StatusChange, TransferCommand, TransferState, Writes,
};
use placement::Slot;

fn one_of_each() -> [Command; 12] {
    let id = crate::world::andrews_transfer(1);
    [
        Command::Transfer(transfer()),
        Command::Deposit(external()),
        Command::Withdraw(external()),
        Command::CreateAccount(create()),
        set_status(yunus(), StatusChange::Freeze),
        Command::Credit(credit()),
        Command::Void(void()),
        settle(id, Decision::Voided),
        reserve(transfer()),
        Command::Commit(commit(yunus_transfer(), None)),
        release(yunus_transfer()),
        expire(yunus_transfer()),
    ]
}

#[test]
fn every_command_for_a_slot_that_is_not_owned_has_moved_and_leaves_nothing() {
    for command in one_of_each() {
        let mut shard = shard();
        let others = Slot::all().filter(|slot| *slot != command.slot());
        shard.ownership = Ownership::new(region(1), others);
        assert_eq!(shard.ask(command.clone()), (Outcome::Moved(command.slot()), Writes::default()), "{command:?}");
    }
}

#[test]
fn the_same_slots_of_another_region_are_not_owned() {
    for command in one_of_each() {
        let mut shard = shard();
        shard.ownership = Ownership::new(region(2), Slot::all());
        assert_eq!(shard.ask(command.clone()).0, Outcome::Moved(command.slot()), "{command:?}");
    }
}

/// Its new owner has the key now, and must be the one to answer.
#[test]
fn a_recorded_key_of_a_slot_that_has_moved_is_not_replayed_here() {
    let mut shard = shard();
    shard.ask(Command::Transfer(transfer()));
    shard.ownership = Ownership::new(region(1), []);
    assert_eq!(shard.ask(Command::Transfer(transfer())).0, Outcome::Moved(yunus().slot()));
}

#[test]
fn a_transfer_is_local_or_not_by_who_owns_the_credit_account_now() {
    let without_nick = || Slot::all().filter(|slot| *slot != nick().slot());
    let mut shard = shard();
    shard.ownership = Ownership::new(region(1), without_nick());
    let (outcome, writes) = shard.ask(Command::Transfer(transfer()));
    assert!(matches!(outcome, Outcome::Decided(Decided::Transfer(transfer)) if !transfer.state.is_terminal()));
    assert_eq!(writes.reserved.len(), 1);
}

/// Once begun, it goes through the inbox even if both accounts are here by then.
#[test]
fn a_saga_to_an_account_that_has_moved_here_since_ends_with_both_sides_here() {
    let mut shard = shard();
    shard.ownership = Ownership::new(region(1), Slot::all().filter(|slot| *slot != nick().slot()));
    let (_, writes) = shard.ask(Command::Transfer(transfer()));
    let message = writes.reserved[0].credit.clone();
    shard.ownership = Ownership::new(region(1), Slot::all());

    let (credited, credit_side) = shard.ask(Command::Credit(message.clone()));
    let Outcome::Decided(Decided::Decision(decision)) = credited else { panic!("{credited:?}") };
    let (settled, debit_side) = shard.ask(settle(message.transfer_id, decision));

    assert!(matches!(settled, Outcome::Decided(Decided::Transfer(transfer)) if transfer.state.is_terminal()));
    let sum: i64 = [&credit_side, &debit_side].iter().flat_map(|writes| writes.totals.values()).map(|sum| sum.0).sum();
    assert_eq!(sum, 0, "what one side takes from clearing the other brings back");
    let row = &shard.rows.transfers[&message.transfer_id];
    assert_eq!((row.debit, row.credit), (entry(1, 900), entry(1, 100)), "the sides share a row");
}

#[test]
fn a_moved_command_does_not_stop_its_neighbours() {
    let mut shard = shard();
    let pending = reserved(&mut shard, DebitState::Crediting);
    shard.ownership = Ownership::new(region(1), Slot::all().filter(|slot| *slot != nick().slot()));
    let from_nick = TransferCommand {
        debit_account_id: nick(),
        caller: crate::world::user("nick"),
        credit: CreditTarget::Account(yunus()),
        key: crate::world::key(40),
        ..transfer_away()
    };
    let batch = shard.stamp(&[Command::Transfer(from_nick), settle(pending.id, Decision::Voided)]);
    let (outcomes, _) = shard.run(&batch);
    assert_eq!(outcomes[0], Outcome::Moved(nick().slot()));
    assert!(matches!(outcomes[1], Outcome::Decided(Decided::Transfer(_))));
}

/// Which of the two it is is said when it is committed, not when it is reserved.
#[test]
fn a_reservation_is_committed_here_or_not_by_who_owns_the_credit_account_then() {
    let without_nick = || Ownership::new(region(1), Slot::all().filter(|slot| *slot != nick().slot()));
    for is_here_at_first in [true, false] {
        let mut shard = shard();
        let all = shard.ownership.clone();
        let (before, after) = if is_here_at_first { (all, without_nick()) } else { (without_nick(), all) };
        shard.ownership = before;
        let held = hold(&mut shard, transfer());
        shard.ownership = after;

        let (outcome, writes) = shard.ask(Command::Commit(commit(held.id, None)));

        let (state, sent) = match is_here_at_first {
            true => (TransferState::Pending, 1),
            false => (TransferState::Posted, 0),
        };
        assert_eq!((transfer_of(outcome).state, writes.to_send().count()), (state, sent));
        let both = shard.rows.transfers.get(&held.id).map(|row| (row.debit, row.credit));
        assert_eq!(both, (!is_here_at_first).then(|| (entry(1, 900), entry(1, 100))));
    }
}

/// It goes on as any other saga, even if the credit account comes here before it is over.
#[test]
fn a_committed_reservation_whose_credit_account_moves_here_ends_with_both_sides_here() {
    let mut shard = shard();
    let all = shard.ownership.clone();
    shard.ownership = Ownership::new(region(1), Slot::all().filter(|slot| *slot != nick().slot()));
    let held = hold(&mut shard, transfer());
    let (_, writes) = shard.ask(Command::Commit(commit(held.id, Some(60))));
    let message = writes.committing[0].credit.clone();
    shard.ownership = all;

    let again = Command::Commit(ledger::CommitTransfer { key: crate::world::key(51), ..commit(held.id, None) });
    assert_eq!(shard.ask(again), (Outcome::NotReserved(held.id), Writes::default()));
    let Outcome::Decided(Decided::Decision(decision)) = shard.ask(Command::Credit(message)).0 else {
        panic!("nick can receive it");
    };
    shard.ask(settle(held.id, decision));

    let row = &shard.rows.transfers[&held.id];
    assert_eq!((row.debit, row.credit), (entry(1, 940), entry(1, 60)), "the sides share a row");
    assert_eq!(row.transfer.hold, held.hold);
}

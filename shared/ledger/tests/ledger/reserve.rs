//! The first step of a two-step transfer: the amount is set aside, and nothing more.

use crate::refusals::assert_first_rung_answers;
use crate::transfer::LADDER;
use crate::world::{
    ENTRIES_BEFORE, HOLD_SECONDS, andrew, begun, commit, entry, expire, external, hold, key, key_of, nick, nobody,
    release, reserve, reused, set_status, sgd, shard, transfer, transfer_away, transfer_of, user, yunus,
};
use ledger::saga::DebitState;
use ledger::{
    Amount, Command, CreditMessage, CreditTarget, Decided, EXPIRES_IN_SECONDS_DEFAULT, EXPIRES_IN_SECONDS_MAX,
    ExternalMove, Hold, Outcome, Rejection, Reservation, ReserveTransfer, StatusChange, Timestamp, Transfer,
    TransferCommand, TransferState, Writes,
};
use std::collections::BTreeSet;

const SECOND: i64 = 1_000_000;

/// Where the money is to go makes no difference yet.
fn both_ways() -> [TransferCommand; 2] {
    [transfer(), transfer_away()]
}

fn rejected(outcome: &Outcome) -> Option<Rejection> {
    match outcome {
        Outcome::Decided(Decided::Rejected { rejection, .. }) => Some(*rejection),
        _ => None,
    }
}

#[test]
fn a_reservation_sets_the_amount_aside_and_posts_and_sends_nothing() {
    for (command, credit) in both_ways().into_iter().zip([nick(), andrew()]) {
        let mut shard = shard();
        let id = shard.next_id(&reserve(command.clone()));

        let (outcome, writes) = shard.ask(reserve(command.clone()));

        let expires_at = Timestamp(shard.now.0 + i64::from(HOLD_SECONDS) * SECOND);
        let hold = Some(Hold { amount_reserved: Amount(100), expires_at });
        let reserved = Transfer { state: TransferState::Reserved, hold, ..begun(&command, id, shard.now) };
        assert_eq!(outcome, Outcome::Decided(Decided::Transfer(reserved)));
        let message = CreditMessage {
            transfer_id: id,
            debit_shard: shard.id,
            debit_account_id: yunus(),
            debit_user_id: user("yunus"),
            credit_account_id: credit,
            amount: Amount(100),
            currency: sgd(),
            message: Some("lunch".to_owned()),
            created_at: shard.now,
        };
        let reference = Some("order-7".to_owned());
        let row = Reservation { state: DebitState::Held, credit: message, reference, hold };
        let expected = Writes {
            changed: BTreeSet::from([yunus()]),
            keys: vec![key_of(yunus().slot(), command.key, id)],
            reserved: vec![row],
            ..Writes::default()
        };
        assert_eq!(writes, expected);
        assert_eq!(writes.to_send().count(), 0, "no other shard hears of it");
        let account = shard.account(yunus());
        assert_eq!((account.balance, account.reserved, account.available()), (Amount(1_000), Amount(100), Amount(900)));
        assert_eq!(account.entry_count, ENTRIES_BEFORE, "an entry comes with the posting");
        assert_eq!(*shard.account(nick()), *crate::world::shard().account(nick()));
    }
}

#[test]
fn a_reservation_is_refused_as_the_transfer_would_be_and_leaves_the_same() {
    for rung in LADDER {
        for mut command in both_ways() {
            let mut one_step = shard();
            (rung.spoil)(&mut one_step, &mut command);
            let mut two_step = one_step.clone();

            let (outcome, writes) = two_step.ask(reserve(command.clone()));

            let of_a_transfer = one_step.ask(Command::Transfer(command.clone()));
            match rejected(&of_a_transfer.0) {
                Some(_) => assert_eq!((outcome, writes), of_a_transfer, "{}", rung.when),
                // What spoils the credit account does not matter to a transfer that goes elsewhere.
                None => assert_eq!(transfer_of(outcome).state, TransferState::Reserved, "{}", rung.when),
            }
        }
    }
}

#[test]
fn every_rung_of_a_transfer_refuses_a_reservation_in_the_same_order() {
    for rung in LADDER {
        let (mut shard, mut command) = (shard(), transfer());
        (rung.spoil)(&mut shard, &mut command);
        assert_eq!(rejected(&shard.ask(reserve(command)).0), Some(rung.rejection), "{}", rung.when);
    }
    assert_first_rung_answers(LADDER, &transfer(), reserve);
}

#[test]
fn nobody_reserves_on_a_foreign_or_absent_account() {
    for rung in LADDER {
        let (mut shard, mut command) = (shard(), transfer());
        (rung.spoil)(&mut shard, &mut command);
        command.caller = user("nick");
        assert_eq!(shard.ask(reserve(command)), (Outcome::NotFound, Writes::default()), "{}", rung.when);
    }
    let absent = TransferCommand { debit_account_id: nobody(), ..transfer() };
    assert_eq!(shard().ask(reserve(absent)), (Outcome::NotFound, Writes::default()));
}

#[test]
fn a_reservation_whose_target_cannot_be_found_out_leaves_its_key_unused() {
    let mut shard = shard();
    let unresolved = TransferCommand { credit: CreditTarget::Unresolved, ..transfer() };
    assert_eq!(shard.ask(reserve(unresolved.clone())), (Outcome::Unresolved, Writes::default()));
    let held = hold(&mut shard, transfer());
    assert_eq!(shard.ask(reserve(unresolved)), (Outcome::ReplayedTransfer(held.id), Writes::default()));
}

#[test]
fn the_due_time_is_counted_from_the_decision() {
    for seconds in [1, HOLD_SECONDS, EXPIRES_IN_SECONDS_DEFAULT, EXPIRES_IN_SECONDS_MAX, u32::MAX] {
        let mut shard = shard();
        let command = ReserveTransfer { transfer: transfer(), expires_in_seconds: seconds };
        let held = transfer_of(shard.ask(Command::Reserve(command)).0);
        let expires_at = Timestamp(shard.now.0 + i64::from(seconds) * SECOND);
        assert_eq!(held.hold, Some(Hold { amount_reserved: Amount(100), expires_at }));
    }
    assert_eq!(EXPIRES_IN_SECONDS_DEFAULT, 7 * 24 * 3_600);
    assert_eq!(EXPIRES_IN_SECONDS_MAX, 30 * 24 * 3_600);
}

#[test]
fn what_is_reserved_is_there_for_nothing_else() {
    for command in both_ways() {
        let mut shard = shard();
        hold(&mut shard, TransferCommand { amount: Amount(999), ..command });
        let two = |number| TransferCommand { key: key(number), amount: Amount(2), ..transfer() };
        let refused = [
            Command::Transfer(two(20)),
            Command::Transfer(TransferCommand { credit: CreditTarget::Account(andrew()), ..two(21) }),
            reserve(two(22)),
            Command::Withdraw(ExternalMove { amount: Amount(2), ..external() }),
        ];
        for command in refused {
            assert_eq!(rejected(&shard.ask(command.clone()).0), Some(Rejection::InsufficientFunds), "{command:?}");
        }
        assert_eq!(shard.ask(set_status(yunus(), StatusChange::Close)).0, Outcome::AccountNotEmpty);
        let last = TransferCommand { key: key(23), amount: Amount(1), ..transfer() };
        assert_eq!(transfer_of(shard.ask(reserve(last)).0).state, TransferState::Reserved);
        assert_eq!(shard.account(yunus()).available(), Amount(0));
    }
}

#[test]
fn each_reservation_of_a_batch_sees_those_before_it() {
    let mut shard = shard();
    let numbered = |number, amount| reserve(TransferCommand { key: key(number), amount: Amount(amount), ..transfer() });
    let away = reserve(TransferCommand { key: key(12), amount: Amount(400), ..transfer_away() });
    let batch = shard.stamp(&[numbered(10, 600), numbered(11, 600), away, numbered(13, 1)]);

    let (outcomes, writes) = shard.run(&batch);

    let refusals: Vec<_> = outcomes.iter().map(rejected).collect();
    let short = Some(Rejection::InsufficientFunds);
    assert_eq!(refusals, [None, short, None, short]);
    assert_eq!((writes.reserved.len(), shard.account(yunus()).reserved), (2, Amount(1_000)));
}

#[test]
fn reservations_of_one_account_end_each_by_itself() {
    let mut shard = shard();
    let of = |number, amount, command: TransferCommand| TransferCommand {
        key: key(number),
        amount: Amount(amount),
        ..command
    };
    let [first, second, third] = [of(20, 100, transfer()), of(21, 30, transfer_away()), of(22, 7, transfer())]
        .map(|command| hold(&mut shard, command));
    assert_eq!(shard.account(yunus()).reserved, Amount(137));

    shard.ask(release(second.id));
    assert_eq!(shard.account(yunus()).reserved, Amount(107));
    shard.ask(Command::Commit(commit(third.id, None)));
    let account = shard.account(yunus());
    assert_eq!((account.balance, account.reserved), (Amount(993), Amount(100)));
    let open: Vec<_> = shard.rows.reservations.keys().copied().collect();
    assert_eq!(open, [first.id]);
}

/// Nobody can know the id so early; but if somebody did, the steps would follow each other all the same.
#[test]
fn all_steps_may_meet_in_one_batch() {
    for (command, is_here) in both_ways().into_iter().zip([true, false]) {
        let mut shard = shard();
        let id = shard.next_id(&reserve(command.clone()));
        let batch = shard.stamp(&[reserve(command), Command::Commit(commit(id, Some(40))), release(id), expire(id)]);

        let (outcomes, writes) = shard.run(&batch);

        assert_eq!(transfer_of(outcomes[0].clone()).state, TransferState::Reserved);
        let committed = transfer_of(outcomes[1].clone());
        let over = Outcome::Decided(Decided::AlreadySettled);
        assert_eq!(outcomes[2..], [Outcome::NotReserved(id), over]);
        let row = shard.rows.transfers.get(&id).map(|row| (row.debit, row.credit));
        assert_eq!(row, is_here.then(|| (entry(1, 960), entry(1, 40))));
        assert_eq!(writes.to_send().count(), usize::from(!is_here), "one message at most");
        assert_eq!(committed.state, if is_here { TransferState::Posted } else { TransferState::Pending });
        assert_eq!(shard.account(yunus()).available(), Amount(960));
    }
}

#[test]
fn a_repeated_reservation_sets_nothing_more_aside() {
    for command in both_ways() {
        let mut shard = shard();
        let batch = shard.stamp(&[reserve(command.clone()), reserve(command.clone())]);
        let (outcomes, _) = shard.run(&batch);
        let held = transfer_of(outcomes[0].clone());
        let again = Outcome::ReplayedTransfer(held.id);
        assert_eq!(outcomes[1], again);
        assert_eq!(shard.ask(reserve(command.clone())), (again.clone(), Writes::default()));
        assert_eq!(shard.account(yunus()).reserved, Amount(100));
        shard.ask(release(held.id));
        assert_eq!(shard.ask(reserve(command)), (again, Writes::default()), "over or not");
        assert_eq!(shard.account(yunus()).reserved, Amount(0));
    }
}

#[test]
fn a_key_is_for_a_reservation_or_for_a_transfer_but_not_for_both() {
    let key_reused =
        Outcome::Decided(Decided::Rejected { rejection: Rejection::IdempotencyKeyReused, transfer_id: None });
    let other = TransferCommand { key: reused(transfer().key), ..transfer() };
    let mut one = shard();
    hold(&mut one, transfer());
    assert_eq!(one.ask(Command::Transfer(other.clone())), (key_reused.clone(), Writes::default()));
    let mut two = shard();
    two.ask(Command::Transfer(transfer()));
    assert_eq!(two.ask(reserve(other)), (key_reused, Writes::default()));
}

/// What is read of an open transfer is what was answered when it came to stand there.
#[test]
fn an_open_transfer_is_read_as_it_was_answered() {
    let read = |shard: &crate::shard::Shard, id| shard.rows.reservations[&id].as_transfer();
    let mut shard = shard();
    let held = hold(&mut shard, transfer_away());
    assert_eq!(read(&shard, held.id), held);
    let pending = transfer_of(shard.ask(Command::Commit(commit(held.id, Some(40)))).0);
    assert_eq!(read(&shard, held.id), pending);
    for state in [DebitState::Crediting, DebitState::Voiding] {
        let mut shard = crate::world::shard();
        let pending = crate::world::reserved(&mut shard, state);
        assert_eq!(read(&shard, pending.id), pending);
    }
}

/// A repeat of the request must get the first answer again, whatever has become of the transfer.
#[test]
fn a_transfer_still_tells_how_it_was_reserved() {
    type End = fn(&Transfer) -> Command;
    let ends: [End; 4] = [
        |held| Command::Commit(commit(held.id, None)),
        |held| Command::Commit(commit(held.id, Some(1))),
        |held| release(held.id),
        |held| expire(held.id),
    ];
    for command in both_ways() {
        for end in ends {
            let mut shard = shard();
            let held = hold(&mut shard, command.clone());
            shard.now.0 += i64::from(HOLD_SECONDS) * SECOND;
            let after = transfer_of(shard.ask(end(&held)).0);
            assert_ne!(after, held);
            assert_eq!(after.as_reserved(), held);
        }
    }
    let mut shard = shard();
    let posted = transfer_of(shard.ask(Command::Transfer(transfer())).0);
    assert_eq!(posted.clone().as_reserved(), posted, "a transfer that was never reserved stays as it is");
}

//! Transfers: within the shard at once, to another shard as a reservation.

use crate::refusals::{Rung, assert_first_rung_answers, codes, rejections};
use crate::world::{
    ENTRIES_BEFORE, SGD_MAX, account, andrew, begun, entry, eur, key_of, nick, nobody, refusal, set_status, shard,
    transfer, transfer_away, user, yunus,
};
use ledger::saga::DebitState;
use ledger::{
    AMOUNT_LIMIT, Account, AccountStatus, Amount, Command, CreditMessage, CreditTarget, Decided, Outcome,
    PostedTransfer, Rejection, Reservation, StatusChange, Transfer, TransferCommand, TransferState, Writes,
};
use std::collections::BTreeSet;

/// In the order in which the decision looks.
pub const LADDER: &[Rung<TransferCommand>] = &[
    Rung {
        when: "the message is too long",
        rejection: Rejection::MessageTooLong,
        spoil: |_, command| command.message = Some("é".repeat(256)),
    },
    Rung {
        when: "the topology no longer has the debit account's currency",
        rejection: Rejection::CurrencyUnknown,
        spoil: |shard, _| shard.currencies.retain(|rules| rules.currency == eur()),
    },
    Rung {
        when: "the amount is nothing",
        rejection: Rejection::AmountOutOfRange,
        spoil: |_, command| command.amount = Amount(0),
    },
    Rung {
        when: "the amount is negative",
        rejection: Rejection::AmountOutOfRange,
        spoil: |_, command| command.amount = Amount(-1),
    },
    Rung {
        when: "the amount is the least that a client can write",
        rejection: Rejection::AmountOutOfRange,
        spoil: |_, command| command.amount = Amount(i64::MIN),
    },
    Rung {
        when: "the amount is over the currency's limit",
        rejection: Rejection::AmountOutOfRange,
        spoil: |_, command| command.amount = Amount(SGD_MAX + 1),
    },
    Rung {
        when: "the amount is the most that a client can write",
        rejection: Rejection::AmountOutOfRange,
        spoil: |_, command| command.amount = Amount(i64::MAX),
    },
    Rung {
        when: "the credit account can be no account",
        rejection: Rejection::CreditAccountNotFound,
        spoil: |_, command| command.credit = CreditTarget::NoSuchAccount,
    },
    Rung {
        when: "the credit user has no account",
        rejection: Rejection::CreditUserNotFound,
        spoil: |_, command| command.credit = CreditTarget::NoSuchUser,
    },
    Rung {
        when: "both accounts are one",
        rejection: Rejection::SameAccount,
        spoil: |_, command| command.credit = CreditTarget::Account(yunus()),
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
    Rung {
        when: "the credit account does not exist",
        rejection: Rejection::CreditAccountNotFound,
        spoil: |_, command| command.credit = CreditTarget::Account(nobody()),
    },
    Rung {
        when: "the credit account is frozen",
        rejection: Rejection::AccountFrozen,
        spoil: |shard, _| shard.account_mut(nick()).status = AccountStatus::Frozen,
    },
    Rung {
        when: "the credit account is closed",
        rejection: Rejection::AccountClosed,
        spoil: |shard, _| shard.account_mut(nick()).status = AccountStatus::Closed,
    },
    Rung {
        when: "the credit account holds another currency",
        rejection: Rejection::CurrencyMismatch,
        spoil: |shard, _| shard.account_mut(nick()).currency = eur(),
    },
    Rung {
        when: "the credit account would hold more than the limit",
        rejection: Rejection::LimitExceeded,
        spoil: |shard, _| shard.account_mut(nick()).balance = Amount(AMOUNT_LIMIT - 99),
    },
    Rung {
        when: "the debit account holds less",
        rejection: Rejection::InsufficientFunds,
        spoil: |shard, _| shard.account_mut(yunus()).balance = Amount(99),
    },
    Rung {
        when: "what the debit account holds is set aside",
        rejection: Rejection::InsufficientFunds,
        spoil: |shard, _| shard.account_mut(yunus()).reserved = Amount(901),
    },
];

#[test]
fn each_refusal_leaves_a_rejected_transfer_and_its_key_and_nothing_else() {
    for rung in LADDER {
        let (mut shard, mut command) = (shard(), transfer());
        (rung.spoil)(&mut shard, &mut command);
        let accounts = shard.rows.accounts.clone();
        let id = shard.next_id(&Command::Transfer(command.clone()));

        let (outcome, writes) = shard.ask(Command::Transfer(command.clone()));

        let rejection = rung.rejection;
        assert_eq!(outcome, Outcome::Decided(Decided::Rejected { rejection, transfer_id: Some(id) }), "{}", rung.when);
        // A message that is too long is not stored.
        let message = command.message.clone().filter(|text| text.len() < 256);
        let refused = Transfer { message, ..begun(&command, id, shard.now) };
        assert_eq!(writes, refusal(refused, yunus().slot(), command.key, rejection), "{}", rung.when);
        assert_eq!(shard.rows.accounts, accounts, "{}", rung.when);
    }
}

#[test]
fn of_two_causes_the_earlier_rung_is_the_answer() {
    assert_first_rung_answers(LADDER, &transfer(), Command::Transfer);
}

#[test]
fn these_and_no_others_can_refuse_a_transfer() {
    let expected = codes([
        Rejection::MessageTooLong,
        Rejection::CurrencyUnknown,
        Rejection::AmountOutOfRange,
        Rejection::CreditAccountNotFound,
        Rejection::CreditUserNotFound,
        Rejection::SameAccount,
        Rejection::AccountFrozen,
        Rejection::AccountClosed,
        Rejection::CurrencyMismatch,
        Rejection::LimitExceeded,
        Rejection::InsufficientFunds,
    ]);
    assert_eq!(rejections(LADDER), expected);
}

#[test]
fn a_foreign_or_absent_debit_account_comes_before_every_rung_and_leaves_nothing() {
    for rung in LADDER {
        let (mut shard, mut command) = (shard(), transfer());
        (rung.spoil)(&mut shard, &mut command);
        command.caller = user("nick");
        assert_eq!(shard.ask(Command::Transfer(command)), (Outcome::NotFound, Writes::default()), "{}", rung.when);
    }
    let absent = TransferCommand { debit_account_id: nobody(), ..transfer() };
    assert_eq!(shard().ask(Command::Transfer(absent)), (Outcome::NotFound, Writes::default()));
}

#[test]
fn a_local_transfer_posts_both_sides_in_one_row() {
    let (mut shard, command) = (shard(), transfer());
    let id = shard.next_id(&Command::Transfer(command.clone()));

    let (outcome, writes) = shard.ask(Command::Transfer(command.clone()));

    let posted = Transfer {
        state: TransferState::Posted,
        decided_at: Some(shard.now),
        credit_user_id: Some(user("nick")),
        ..begun(&command, id, shard.now)
    };
    assert_eq!(outcome, Outcome::Decided(Decided::Transfer(posted.clone())));
    let expected = Writes {
        changed: BTreeSet::from([yunus(), nick()]),
        transfers: vec![PostedTransfer {
            transfer: posted,
            debit: entry(1, 900),
            credit: entry(1, 100),
            remote_user_id: None,
        }],
        keys: vec![key_of(yunus().slot(), command.key, id)],
        ..Writes::default()
    };
    assert_eq!(writes, expected);
    let after = |id, name, balance| Account {
        entry_count: ENTRIES_BEFORE + 1,
        ..account(id, name, crate::world::sgd(), balance)
    };
    assert_eq!(*shard.account(yunus()), after(yunus(), "yunus", 900));
    assert_eq!(*shard.account(nick()), after(nick(), "nick", 100));
}

#[test]
fn a_transfer_to_another_shard_sets_the_amount_aside_and_leaves_a_message() {
    let (mut shard, command) = (shard(), transfer_away());
    let id = shard.next_id(&Command::Transfer(command.clone()));

    let (outcome, writes) = shard.ask(Command::Transfer(command.clone()));

    let pending = begun(&command, id, shard.now);
    assert_eq!(outcome, Outcome::Decided(Decided::Transfer(pending)));
    let message = CreditMessage {
        transfer_id: id,
        debit_shard: shard.id,
        debit_account_id: yunus(),
        debit_user_id: user("yunus"),
        credit_account_id: andrew(),
        amount: Amount(100),
        currency: crate::world::sgd(),
        message: Some("lunch".to_owned()),
        created_at: shard.now,
    };
    let reference = Some("order-7".to_owned());
    let begun = Reservation { state: DebitState::Crediting, credit: message, reference, hold: None };
    let expected = Writes {
        changed: BTreeSet::from([yunus()]),
        keys: vec![key_of(yunus().slot(), command.key, id)],
        reserved: vec![begun],
        ..Writes::default()
    };
    assert_eq!(writes, expected);
    let account = shard.account(yunus());
    assert_eq!((account.balance, account.reserved, account.available()), (Amount(1_000), Amount(100), Amount(900)));
    assert_eq!(account.entry_count, ENTRIES_BEFORE, "an entry comes with the posting");
}

/// What the credit shard will decide is not decided here; all else is.
#[test]
fn a_transfer_to_another_shard_is_refused_for_the_debit_sides_reasons_only() {
    for rung in LADDER {
        let (mut shard, mut command) = (shard(), transfer_away());
        (rung.spoil)(&mut shard, &mut command);
        let is_of_the_debit_side = command != transfer_away()
            || !shard.currencies.iter().any(|rules| rules.currency == crate::world::sgd())
            || shard.account(yunus()) != crate::world::shard().account(yunus());
        let (outcome, writes) = shard.ask(Command::Transfer(command));
        let is_refused =
            matches!(outcome, Outcome::Decided(Decided::Rejected { rejection, .. }) if rejection == rung.rejection);
        assert_eq!(is_refused, is_of_the_debit_side, "{}", rung.when);
        assert_eq!(writes.reserved.is_empty(), is_of_the_debit_side, "{}", rung.when);
    }
}

#[test]
fn the_last_amounts_that_pass_pass() {
    type Change = fn(&mut crate::shard::Shard, &mut TransferCommand);
    let changes: [(&str, Change); 6] = [
        ("the smallest amount", |_, command| command.amount = Amount(1)),
        ("all there is", |_, command| command.amount = Amount(1_000)),
        ("all that is not set aside", |shard, _| shard.account_mut(yunus()).reserved = Amount(900)),
        ("the currency's limit", |shard, command| {
            shard.account_mut(yunus()).balance = Amount(AMOUNT_LIMIT);
            command.amount = Amount(SGD_MAX);
        }),
        ("filling the credit account", |shard, _| shard.account_mut(nick()).balance = Amount(AMOUNT_LIMIT - 100)),
        ("the longest message, in characters", |_, command| command.message = Some("é".repeat(255))),
    ];
    for (what, change) in changes {
        for target in [nick(), andrew()] {
            let (mut shard, mut command) = (shard(), transfer());
            change(&mut shard, &mut command);
            command.credit = CreditTarget::Account(target);
            let (outcome, writes) = shard.ask(Command::Transfer(command));
            assert!(matches!(outcome, Outcome::Decided(Decided::Transfer(_))), "{what}: {outcome:?}");
            assert_eq!(writes.keys.len(), 1, "{what}");
        }
    }
}

#[test]
fn each_command_of_a_batch_sees_what_those_before_it_have_done() {
    let mut shard = shard();
    let numbered = |number, amount| {
        Command::Transfer(TransferCommand { key: crate::world::key(number), amount: Amount(amount), ..transfer() })
    };
    let back = Command::Transfer(TransferCommand {
        key: crate::world::key(12),
        caller: user("nick"),
        debit_account_id: nick(),
        credit: CreditTarget::Account(yunus()),
        ..transfer()
    });
    let freeze = set_status(yunus(), StatusChange::Freeze);
    let batch = shard.stamp(&[numbered(10, 600), numbered(11, 600), back, numbered(13, 500), freeze, numbered(14, 1)]);

    let (outcomes, writes) = shard.run(&batch);

    let answer = |outcome: &Outcome| match outcome {
        Outcome::Decided(Decided::Rejected { rejection, .. }) => rejection.code(),
        Outcome::Decided(Decided::Transfer(_)) => "posted",
        _ => "other",
    };
    let answers: Vec<&str> = outcomes.iter().map(answer).collect();
    assert_eq!(answers, ["posted", "insufficient_funds", "posted", "posted", "other", "account_frozen"]);
    let sides = writes.transfers.iter().filter_map(|row| row.debit.zip(row.credit));
    let expected = [(entry(1, 400), entry(1, 600)), (entry(2, 500), entry(2, 500)), (entry(3, 0), entry(3, 1_000))];
    assert!(sides.map(|(debit, credit)| (Some(debit), Some(credit))).eq(expected));
}

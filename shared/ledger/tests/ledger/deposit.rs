//! Deposits: money comes in from the external account.

use crate::refusals::{Rung, assert_first_rung_answers, codes, rejections};
use crate::shard::Shard;
use crate::world::{entry, external, key_of, nobody, refusal, sgd, shard, user, yunus};
use ledger::{
    AMOUNT_LIMIT, AccountStatus, Amount, Command, Counterpart, Decided, ExternalMove, Outcome, PostedTransfer,
    Rejection, Transfer, TransferKind, TransferState, Writes,
};
use placement::TransferId;
use std::collections::{BTreeMap, BTreeSet};

/// In the order in which the decision looks.
pub const LADDER: &[Rung<ExternalMove>] = &[
    Rung {
        when: "the amount is nothing",
        rejection: Rejection::AmountOutOfRange,
        spoil: |_, command| command.amount = Amount(0),
    },
    Rung {
        when: "the amount is the least that a client can write",
        rejection: Rejection::AmountOutOfRange,
        spoil: |_, command| command.amount = Amount(i64::MIN),
    },
    Rung {
        when: "the amount is over the limit of all amounts",
        rejection: Rejection::AmountOutOfRange,
        spoil: |_, command| command.amount = Amount(AMOUNT_LIMIT + 1),
    },
    Rung {
        when: "the amount is the most that a client can write",
        rejection: Rejection::AmountOutOfRange,
        spoil: |_, command| command.amount = Amount(i64::MAX),
    },
    Rung {
        when: "the account is frozen",
        rejection: Rejection::AccountFrozen,
        spoil: |shard, _| shard.account_mut(yunus()).status = AccountStatus::Frozen,
    },
    Rung {
        when: "the account is closed",
        rejection: Rejection::AccountClosed,
        spoil: |shard, _| shard.account_mut(yunus()).status = AccountStatus::Closed,
    },
    Rung {
        when: "the account would hold more than the limit",
        rejection: Rejection::LimitExceeded,
        spoil: |_, command| command.amount = Amount(AMOUNT_LIMIT - 999),
    },
];

fn begun(shard: &Shard, command: &ExternalMove, id: TransferId) -> Transfer {
    Transfer {
        id,
        kind: TransferKind::Deposit,
        state: TransferState::Pending,
        reason: None,
        debit_account_id: None,
        credit_account_id: Some(yunus()),
        amount: command.amount,
        currency: sgd(),
        message: None,
        reference: Some("bank-1".to_owned()),
        created_at: shard.now,
        decided_at: None,
        debit_user_id: None,
        credit_user_id: Some(user("yunus")),
        hold: None,
    }
}

#[test]
fn each_refusal_leaves_a_rejected_transfer_and_its_key_and_nothing_else() {
    for Rung { when, rejection, spoil } in LADDER {
        let (mut shard, mut command) = (shard(), external());
        spoil(&mut shard, &mut command);
        let accounts = shard.rows.accounts.clone();
        let id = shard.next_id(&Command::Deposit(command.clone()));

        let (outcome, writes) = shard.ask(Command::Deposit(command.clone()));

        let decided = Decided::Rejected { rejection: *rejection, transfer_id: Some(id) };
        assert_eq!(outcome, Outcome::Decided(decided), "{when}");
        let refused = begun(&shard, &command, id);
        assert_eq!(writes, refusal(refused, yunus().slot(), command.key, *rejection), "{when}");
        assert_eq!(shard.rows.accounts, accounts, "{when}");
    }
}

#[test]
fn of_two_causes_the_earlier_rung_is_the_answer() {
    assert_first_rung_answers(LADDER, &external(), Command::Deposit);
}

#[test]
fn these_and_no_others_can_refuse_a_deposit() {
    let expected = codes([
        Rejection::AmountOutOfRange,
        Rejection::AccountFrozen,
        Rejection::AccountClosed,
        Rejection::LimitExceeded,
    ]);
    assert_eq!(rejections(LADDER), expected);
}

#[test]
fn an_absent_account_comes_before_every_rung_and_leaves_nothing() {
    for rung in LADDER {
        let (mut shard, mut command) = (shard(), external());
        (rung.spoil)(&mut shard, &mut command);
        command.account_id = nobody();
        assert_eq!(shard.ask(Command::Deposit(command)), (Outcome::NotFound, Writes::default()), "{}", rung.when);
    }
}

#[test]
fn a_deposit_posts_the_credit_side_against_the_external_account() {
    let (mut shard, command) = (shard(), external());
    let id = shard.next_id(&Command::Deposit(command.clone()));

    let (outcome, writes) = shard.ask(Command::Deposit(command.clone()));

    let begun = begun(&shard, &command, id);
    let posted = Transfer { state: TransferState::Posted, decided_at: Some(shard.now), ..begun };
    assert_eq!(outcome, Outcome::Decided(Decided::Transfer(posted.clone())));
    let row = PostedTransfer { transfer: posted, debit: None, credit: entry(1, 1_100), remote_user_id: None };
    let expected = Writes {
        changed: BTreeSet::from([yunus()]),
        transfers: vec![row],
        keys: vec![key_of(yunus().slot(), command.key, id)],
        totals: BTreeMap::from([((Counterpart::External, sgd()), Amount(-100))]),
        ..Writes::default()
    };
    assert_eq!(writes, expected);
    assert_eq!(shard.account(yunus()).balance, Amount(1_100));
}

/// Operators are not held to the limit of a customer's transfer, nor to what the topology lists.
#[test]
fn a_deposit_may_fill_the_account_to_the_limit_of_all_amounts() {
    let (mut shard, mut command) = (shard(), external());
    shard.currencies.clear();
    command.amount = Amount(AMOUNT_LIMIT - 1_000);
    let (outcome, _) = shard.ask(Command::Deposit(command));
    assert!(matches!(outcome, Outcome::Decided(Decided::Transfer(_))), "{outcome:?}");
    assert_eq!(shard.account(yunus()).balance, Amount(AMOUNT_LIMIT));
}

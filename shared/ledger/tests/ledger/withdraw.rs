//! Withdrawals: money leaves to the external account.

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
        when: "the account holds less",
        rejection: Rejection::InsufficientFunds,
        spoil: |_, command| command.amount = Amount(1_001),
    },
    Rung {
        when: "what the account holds is set aside",
        rejection: Rejection::InsufficientFunds,
        spoil: |shard, _| shard.account_mut(yunus()).reserved = Amount(901),
    },
];

fn begun(shard: &Shard, command: &ExternalMove, id: TransferId) -> Transfer {
    Transfer {
        id,
        kind: TransferKind::Withdrawal,
        state: TransferState::Pending,
        reason: None,
        debit_account_id: Some(yunus()),
        credit_account_id: None,
        amount: command.amount,
        currency: sgd(),
        message: None,
        reference: Some("bank-1".to_owned()),
        created_at: shard.now,
        decided_at: None,
        debit_user_id: Some(user("yunus")),
        credit_user_id: None,
        hold: None,
    }
}

#[test]
fn each_refusal_leaves_a_rejected_transfer_and_its_key_and_nothing_else() {
    for Rung { when, rejection, spoil } in LADDER {
        let (mut shard, mut command) = (shard(), external());
        spoil(&mut shard, &mut command);
        let accounts = shard.rows.accounts.clone();
        let id = shard.next_id(&Command::Withdraw(command.clone()));

        let (outcome, writes) = shard.ask(Command::Withdraw(command.clone()));

        let decided = Decided::Rejected { rejection: *rejection, transfer_id: Some(id) };
        assert_eq!(outcome, Outcome::Decided(decided), "{when}");
        let refused = begun(&shard, &command, id);
        assert_eq!(writes, refusal(refused, yunus().slot(), command.key, *rejection), "{when}");
        assert_eq!(shard.rows.accounts, accounts, "{when}");
    }
}

#[test]
fn of_two_causes_the_earlier_rung_is_the_answer() {
    assert_first_rung_answers(LADDER, &external(), Command::Withdraw);
}

#[test]
fn these_and_no_others_can_refuse_a_withdrawal() {
    let expected = codes([
        Rejection::AmountOutOfRange,
        Rejection::AccountFrozen,
        Rejection::AccountClosed,
        Rejection::InsufficientFunds,
    ]);
    assert_eq!(rejections(LADDER), expected);
}

#[test]
fn an_absent_account_comes_before_every_rung_and_leaves_nothing() {
    for rung in LADDER {
        let (mut shard, mut command) = (shard(), external());
        (rung.spoil)(&mut shard, &mut command);
        command.account_id = nobody();
        assert_eq!(shard.ask(Command::Withdraw(command)), (Outcome::NotFound, Writes::default()), "{}", rung.when);
    }
}

#[test]
fn a_withdrawal_posts_the_debit_side_against_the_external_account() {
    let (mut shard, command) = (shard(), external());
    let id = shard.next_id(&Command::Withdraw(command.clone()));

    let (outcome, writes) = shard.ask(Command::Withdraw(command.clone()));

    let begun = begun(&shard, &command, id);
    let posted = Transfer { state: TransferState::Posted, decided_at: Some(shard.now), ..begun };
    assert_eq!(outcome, Outcome::Decided(Decided::Transfer(posted.clone())));
    let row = PostedTransfer { transfer: posted, debit: entry(1, 900), credit: None, remote_user_id: None };
    let expected = Writes {
        changed: BTreeSet::from([yunus()]),
        transfers: vec![row],
        keys: vec![key_of(yunus().slot(), command.key, id)],
        totals: BTreeMap::from([((Counterpart::External, sgd()), Amount(100))]),
        ..Writes::default()
    };
    assert_eq!(writes, expected);
    assert_eq!(shard.account(yunus()).balance, Amount(900));
}

#[test]
fn a_withdrawal_may_take_all_that_is_not_set_aside() {
    let (mut shard, mut command) = (shard(), external());
    shard.account_mut(yunus()).reserved = Amount(400);
    command.amount = Amount(600);
    let (outcome, _) = shard.ask(Command::Withdraw(command));
    assert!(matches!(outcome, Outcome::Decided(Decided::Transfer(_))), "{outcome:?}");
    assert_eq!(shard.account(yunus()).available(), Amount(0));
}

#[test]
fn a_deposit_and_a_withdrawal_of_one_batch_are_one_change_of_the_external_total() {
    let (mut shard, deposit) = (shard(), external());
    let withdrawal = ExternalMove { key: crate::world::key(9), amount: Amount(30), ..external() };
    let batch = shard.stamp(&[Command::Deposit(deposit), Command::Withdraw(withdrawal)]);
    let (_, writes) = shard.run(&batch);
    assert_eq!(writes.totals, BTreeMap::from([((Counterpart::External, sgd()), Amount(-70))]));
}

//! "credit" from another shard: the first message for a transfer decides it.

use crate::refusals::{Rung, codes, rejections};
use crate::world::{credit, entry, eur, nick, nobody, sgd, shard, shard_id, user, void};
use ledger::saga::Decision;
use ledger::{
    AMOUNT_LIMIT, AccountStatus, Amount, Command, Counterpart, CreditMessage, Decided, InboxRecord, Outcome,
    PostedTransfer, Rejection, Transfer, TransferKind, TransferState, Writes,
};
use std::collections::{BTreeMap, BTreeSet};

/// In the order in which the decision looks.
pub const LADDER: &[Rung<CreditMessage>] = &[
    Rung {
        when: "the amount is nothing",
        rejection: Rejection::AmountOutOfRange,
        spoil: |_, message| message.amount = Amount(0),
    },
    Rung {
        when: "the amount would take money",
        rejection: Rejection::AmountOutOfRange,
        spoil: |_, message| message.amount = Amount(-1),
    },
    Rung {
        when: "the amount is the least there is",
        rejection: Rejection::AmountOutOfRange,
        spoil: |_, message| message.amount = Amount(i64::MIN),
    },
    Rung {
        when: "the amount is over the limit of all amounts",
        rejection: Rejection::AmountOutOfRange,
        spoil: |_, message| message.amount = Amount(i64::MAX),
    },
    Rung {
        when: "the account does not exist",
        rejection: Rejection::CreditAccountNotFound,
        spoil: |_, message| message.credit_account_id = nobody(),
    },
    Rung {
        when: "the account is frozen",
        rejection: Rejection::AccountFrozen,
        spoil: |shard, _| shard.account_mut(nick()).status = AccountStatus::Frozen,
    },
    Rung {
        when: "the account is closed",
        rejection: Rejection::AccountClosed,
        spoil: |shard, _| shard.account_mut(nick()).status = AccountStatus::Closed,
    },
    Rung {
        when: "the account holds another currency",
        rejection: Rejection::CurrencyMismatch,
        spoil: |_, message| message.currency = eur(),
    },
    Rung {
        when: "the account would hold more than the limit",
        rejection: Rejection::LimitExceeded,
        spoil: |shard, _| shard.account_mut(nick()).balance = Amount(AMOUNT_LIMIT - 99),
    },
];

fn inbox(message: &CreditMessage, decision: Decision) -> InboxRecord {
    let slot = message.credit_account_id.slot();
    InboxRecord { transfer_id: message.transfer_id, slot, debit_shard: shard_id(2), decision }
}

fn decided(decision: Decision) -> Outcome {
    Outcome::Decided(Decided::Decision(decision))
}

fn to_nick() -> Decision {
    Decision::Credited { credit_user_id: user("nick") }
}

#[test]
fn each_refusal_is_the_decision_and_moves_nothing() {
    for Rung { when, rejection, spoil } in LADDER {
        let (mut shard, mut message) = (shard(), credit());
        spoil(&mut shard, &mut message);
        let accounts = shard.rows.accounts.clone();

        let (outcome, writes) = shard.ask(Command::Credit(message.clone()));

        let decision = Decision::Refused(*rejection);
        assert_eq!(outcome, decided(decision.clone()), "{when}");
        assert_eq!(writes, Writes { inbox: vec![inbox(&message, decision)], ..Writes::default() }, "{when}");
        assert_eq!(shard.rows.accounts, accounts, "{when}");
    }
}

#[test]
fn of_two_causes_the_earlier_rung_is_the_decision() {
    for (first, rung) in LADDER.iter().enumerate() {
        for later in &LADDER[first + 1..] {
            let (mut shard, mut message) = (shard(), credit());
            (later.spoil)(&mut shard, &mut message);
            (rung.spoil)(&mut shard, &mut message);
            let (outcome, _) = shard.ask(Command::Credit(message));
            assert_eq!(outcome, decided(Decision::Refused(rung.rejection)), "{} before {}", rung.when, later.when);
        }
    }
}

#[test]
fn these_and_no_others_can_refuse_a_credit() {
    let expected = codes([
        Rejection::AmountOutOfRange,
        Rejection::CreditAccountNotFound,
        Rejection::AccountFrozen,
        Rejection::AccountClosed,
        Rejection::CurrencyMismatch,
        Rejection::LimitExceeded,
    ]);
    assert_eq!(rejections(LADDER), expected);
}

#[test]
fn a_credit_posts_its_side_from_clearing_and_records_the_decision() {
    let (mut shard, message) = (shard(), credit());

    let (outcome, writes) = shard.ask(Command::Credit(message.clone()));

    assert_eq!(outcome, decided(to_nick()));
    let posted = Transfer {
        id: message.transfer_id,
        kind: TransferKind::Transfer,
        state: TransferState::Posted,
        reason: None,
        debit_account_id: Some(message.debit_account_id),
        credit_account_id: Some(nick()),
        amount: Amount(100),
        currency: sgd(),
        message: Some("rent".to_owned()),
        reference: None,
        created_at: message.created_at,
        decided_at: Some(shard.now),
        debit_user_id: Some(user("andrew")),
        credit_user_id: Some(user("nick")),
        hold: None,
    };
    let remote_user_id = Some(user("andrew"));
    let expected = Writes {
        changed: BTreeSet::from([nick()]),
        transfers: vec![PostedTransfer { transfer: posted, debit: None, credit: entry(1, 100), remote_user_id }],
        inbox: vec![inbox(&message, to_nick())],
        totals: BTreeMap::from([((Counterpart::Clearing(shard_id(2)), sgd()), Amount(-100))]),
        ..Writes::default()
    };
    assert_eq!(writes, expected);
    assert_eq!(shard.account(nick()).balance, Amount(100));
}

#[test]
fn a_repeat_gets_the_recorded_decision_and_changes_nothing_in_the_same_batch_too() {
    let mut shard = shard();
    let message = Command::Credit(credit());
    let batch = shard.stamp(&[message.clone(), message.clone()]);
    let (outcomes, writes) = shard.run(&batch);
    assert_eq!(outcomes, [decided(to_nick()), decided(to_nick())]);
    assert_eq!((writes.inbox.len(), writes.transfers.len()), (1, 1));
    assert_eq!(shard.ask(message), (decided(to_nick()), Writes::default()));
    assert_eq!(shard.account(nick()).balance, Amount(100));
}

#[test]
fn a_refusal_stands_even_if_the_account_could_take_it_later() {
    let mut shard = shard();
    shard.account_mut(nick()).status = AccountStatus::Frozen;
    let refused = decided(Decision::Refused(Rejection::AccountFrozen));
    assert_eq!(shard.ask(Command::Credit(credit())).0, refused);
    shard.account_mut(nick()).status = AccountStatus::Open;
    assert_eq!(shard.ask(Command::Credit(credit())), (refused, Writes::default()));
}

#[test]
fn a_credit_stands_even_if_the_account_could_not_take_it_now() {
    for Rung { when, spoil, .. } in LADDER {
        let mut shard = shard();
        shard.ask(Command::Credit(credit()));
        let mut repeat = credit();
        spoil(&mut shard, &mut repeat);
        assert_eq!(shard.ask(Command::Credit(repeat)), (decided(to_nick()), Writes::default()), "{when}");
    }
}

#[test]
fn a_credit_after_a_void_is_refused() {
    let mut shard = shard();
    shard.ask(Command::Void(void()));
    assert_eq!(shard.ask(Command::Credit(credit())), (decided(Decision::Voided), Writes::default()));
    assert_eq!(shard.account(nick()).balance, Amount(0));
}

/// The debit shard has checked it against its own topology, which may be newer.
#[test]
fn a_credit_is_not_held_to_the_limit_of_a_transfer() {
    let mut shard = shard();
    shard.currencies.clear();
    let message = CreditMessage { amount: Amount(AMOUNT_LIMIT), ..credit() };
    assert_eq!(shard.ask(Command::Credit(message)).0, decided(to_nick()));
    assert_eq!(shard.account(nick()).balance, Amount(AMOUNT_LIMIT));
}

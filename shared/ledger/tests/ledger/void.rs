//! "void" from another shard: it gives up, unless the decision has fallen.

use crate::world::{credit, nick, nobody, shard, shard_id, user, void};
use ledger::saga::Decision;
use ledger::{AccountStatus, Amount, Command, Decided, InboxRecord, Outcome, Rejection, VoidMessage, Writes};

fn decided(decision: Decision) -> Outcome {
    Outcome::Decided(Decided::Decision(decision))
}

#[test]
fn a_void_before_the_credit_is_the_decision() {
    let mut shard = shard();
    let (outcome, writes) = shard.ask(Command::Void(void()));
    assert_eq!(outcome, decided(Decision::Voided));
    let row = InboxRecord {
        transfer_id: void().transfer_id,
        slot: nick().slot(),
        debit_shard: shard_id(2),
        decision: Decision::Voided,
    };
    assert_eq!(writes, Writes { inbox: vec![row], ..Writes::default() });
}

/// Or the sender, whose account id may be anything, could never release.
#[test]
fn a_void_needs_no_account_and_no_status() {
    let mut shard = shard();
    shard.account_mut(nick()).status = AccountStatus::Closed;
    let to_nobody =
        VoidMessage { transfer_id: crate::world::andrews_transfer(2), credit_account_id: nobody(), ..void() };
    assert_eq!(shard.ask(Command::Void(void())).0, decided(Decision::Voided));
    assert_eq!(shard.ask(Command::Void(to_nobody)).0, decided(Decision::Voided));
}

#[test]
fn a_repeated_void_changes_nothing_in_the_same_batch_too() {
    let mut shard = shard();
    let batch = shard.stamp(&[Command::Void(void()), Command::Void(void())]);
    let (outcomes, writes) = shard.run(&batch);
    assert_eq!(outcomes, [decided(Decision::Voided), decided(Decision::Voided)]);
    assert_eq!(writes.inbox.len(), 1);
    assert_eq!(shard.ask(Command::Void(void())), (decided(Decision::Voided), Writes::default()));
}

#[test]
fn a_void_after_the_credit_gets_the_credit() {
    let mut shard = shard();
    let batch = shard.stamp(&[Command::Credit(credit()), Command::Void(void())]);
    let (outcomes, writes) = shard.run(&batch);
    let credited = Decision::Credited { credit_user_id: user("nick") };
    assert_eq!(outcomes, [decided(credited.clone()), decided(credited.clone())]);
    assert_eq!(writes.inbox.len(), 1);
    assert_eq!(shard.ask(Command::Void(void())), (decided(credited), Writes::default()));
    assert_eq!(shard.account(nick()).balance, Amount(100));
}

#[test]
fn a_void_after_a_refusal_gets_the_refusal() {
    let mut shard = shard();
    shard.account_mut(nick()).status = AccountStatus::Frozen;
    shard.ask(Command::Credit(credit()));
    let refused = decided(Decision::Refused(Rejection::AccountFrozen));
    assert_eq!(shard.ask(Command::Void(void())), (refused, Writes::default()));
}

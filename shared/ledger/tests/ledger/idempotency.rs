//! Keys: a repeat gets the first answer, another request under the same key is refused.

use crate::world::{create, external, key, reserve, reused, set_status, shard, transfer, transfer_away, user, yunus};
use ledger::{
    Amount, Command, CreateAccount, CreditTarget, Decided, ExternalMove, KeyRecord, Outcome, Rejection, StatusChange,
    TransferCommand, Writes,
};

/// Every kind of answer that is recorded under a key.
fn keyed() -> Vec<(&'static str, Command)> {
    vec![
        ("a local transfer", Command::Transfer(transfer())),
        ("a transfer to another shard", Command::Transfer(transfer_away())),
        ("a refused transfer", Command::Transfer(TransferCommand { amount: Amount(1_001), ..transfer() })),
        ("a transfer to nobody", Command::Transfer(TransferCommand { credit: CreditTarget::NoSuchUser, ..transfer() })),
        ("a reservation", reserve(transfer())),
        ("a reservation for another shard", reserve(transfer_away())),
        ("a refused reservation", reserve(TransferCommand { amount: Amount(1_001), ..transfer() })),
        ("a deposit", Command::Deposit(external())),
        ("a refused deposit", Command::Deposit(ExternalMove { amount: Amount(0), ..external() })),
        ("a withdrawal", Command::Withdraw(external())),
        ("a refused withdrawal", Command::Withdraw(ExternalMove { amount: Amount(1_001), ..external() })),
        ("an account", Command::CreateAccount(create())),
        ("a refused account", Command::CreateAccount(CreateAccount { region_known: false, ..create() })),
    ]
}

fn for_another_request(command: &Command) -> Command {
    match command.clone() {
        Command::Transfer(command) => Command::Transfer(TransferCommand { key: reused(command.key), ..command }),
        Command::Reserve(command) => {
            let key = reused(command.transfer.key);
            reserve(TransferCommand { key, ..command.transfer })
        }
        Command::Deposit(command) => Command::Deposit(ExternalMove { key: reused(command.key), ..command }),
        Command::Withdraw(command) => Command::Withdraw(ExternalMove { key: reused(command.key), ..command }),
        Command::CreateAccount(command) => {
            Command::CreateAccount(CreateAccount { key: command.key.map(reused), ..command })
        }
        keyless => panic!("{keyless:?} carries no key"),
    }
}

/// What a repeat is told of a first answer.
fn replay_of(first: Outcome) -> Outcome {
    match first {
        Outcome::Decided(Decided::Transfer(transfer)) => Outcome::ReplayedTransfer(transfer.id),
        Outcome::Decided(Decided::Account(account)) => Outcome::ReplayedAccount(account.id),
        Outcome::Decided(Decided::Rejected { rejection, transfer_id }) => {
            Outcome::ReplayedRejection { rejection, transfer_id }
        }
        other => panic!("{other:?} is not recorded"),
    }
}

fn key_reused() -> Outcome {
    Outcome::Decided(Decided::Rejected { rejection: Rejection::IdempotencyKeyReused, transfer_id: None })
}

#[test]
fn a_repeat_in_a_later_batch_gets_the_first_answer_and_writes_nothing() {
    for (what, command) in keyed() {
        let mut shard = shard();
        let (first, _) = shard.ask(command.clone());
        shard.now.0 += 1_000_000;
        assert_eq!(shard.ask(command), (replay_of(first), Writes::default()), "{what}");
    }
}

#[test]
fn a_repeat_in_the_same_batch_gets_the_first_answer_and_adds_nothing() {
    for (what, command) in keyed() {
        let (mut once, mut twice) = (shard(), shard());
        let (first, alone) = once.ask(command.clone());
        let batch = twice.stamp(&[command.clone(), command]);
        let (outcomes, writes) = twice.run(&batch);
        assert_eq!(outcomes, [first.clone(), replay_of(first)], "{what}");
        assert_eq!(writes, alone, "{what}");
    }
}

#[test]
fn a_key_with_another_request_is_refused_and_the_first_answer_stays() {
    for (what, command) in keyed() {
        let mut shard = shard();
        let (first, _) = shard.ask(command.clone());
        assert_eq!(shard.ask(for_another_request(&command)), (key_reused(), Writes::default()), "{what}");
        assert_eq!(shard.ask(command), (replay_of(first), Writes::default()), "{what}");
    }
}

#[test]
fn a_key_with_another_request_is_refused_in_the_same_batch_too() {
    for (what, command) in keyed() {
        let mut shard = shard();
        let batch = shard.stamp(&[command.clone(), for_another_request(&command)]);
        let (outcomes, writes) = shard.run(&batch);
        assert_eq!(outcomes[1], key_reused(), "{what}");
        assert_eq!(writes.keys.len(), 1, "{what}");
    }
}

/// The answer is final whatever has changed since.
#[test]
fn a_repeat_is_answered_before_the_account_is_looked_at() {
    let mut shard = shard();
    let refused = Command::Transfer(TransferCommand { amount: Amount(1_001), ..transfer() });
    let (first, _) = shard.ask(refused.clone());
    let more = ExternalMove { amount: Amount(5_000), ..external() };
    shard.ask(Command::Deposit(more));
    assert_eq!(shard.ask(refused.clone()), (replay_of(first.clone()), Writes::default()), "there is money now");
    shard.ask(set_status(yunus(), StatusChange::Freeze));
    assert_eq!(shard.ask(refused), (replay_of(first), Writes::default()), "it is frozen now");
}

/// The fingerprint is of the request; the router may resolve it to something else the second time.
#[test]
fn a_repeat_that_resolves_to_something_else_gets_the_first_answer() {
    let mut shard = shard();
    let unresolved = TransferCommand { credit: CreditTarget::NoSuchUser, ..transfer() };
    let (first, _) = shard.ask(Command::Transfer(unresolved));
    assert_eq!(shard.ask(Command::Transfer(transfer())), (replay_of(first), Writes::default()));
}

#[test]
fn what_is_not_recorded_does_not_use_up_the_key() {
    let foreign = Command::Transfer(TransferCommand { caller: user("nick"), ..transfer() });
    let absent = Command::Deposit(ExternalMove { account_id: crate::world::nobody(), ..external() });
    for unrecorded in [foreign, absent] {
        let mut shard = shard();
        assert_eq!(shard.ask(unrecorded), (Outcome::NotFound, Writes::default()));
        assert!(matches!(shard.ask(Command::Transfer(transfer())).0, Outcome::Decided(Decided::Transfer(_))));
        assert!(matches!(shard.ask(Command::Deposit(external())).0, Outcome::Decided(Decided::Transfer(_))));
    }
}

#[test]
fn different_keys_are_different_intents() {
    let mut shard = shard();
    for number in 30..33 {
        let command = Command::Transfer(TransferCommand { key: key(number), ..transfer() });
        assert!(matches!(shard.ask(command).0, Outcome::Decided(Decided::Transfer(_))));
    }
    assert_eq!(shard.account(yunus()).balance, Amount(700));
}

/// The schema rules such a row out, so it is damage.
#[test]
fn a_recorded_key_without_a_result_is_a_contradiction() {
    let mut shard = shard();
    let claim = transfer().key;
    let (hash, fingerprint, slot) = (claim.hash, claim.fingerprint, yunus().slot());
    let empty = KeyRecord { slot, hash, fingerprint, transfer_id: None, account_id: None, rejection: None };
    shard.rows.keys.insert((slot, hash), empty);
    assert_eq!(shard.ask(Command::Transfer(transfer())), (Outcome::Contradiction, Writes::default()));
}

#[test]
fn a_repeat_whose_target_cannot_be_found_out_gets_the_first_answer_and_a_first_request_gets_none() {
    let unresolved = Command::Transfer(TransferCommand { credit: CreditTarget::Unresolved, ..transfer() });
    let mut shard = shard();
    assert_eq!(shard.ask(unresolved.clone()), (Outcome::Unresolved, Writes::default()));
    let (first, _) = shard.ask(Command::Transfer(transfer()));
    assert_eq!(shard.ask(unresolved), (replay_of(first), Writes::default()));
}

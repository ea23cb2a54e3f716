//! Properties of random batches on one shard.

use crate::invariants::check;
use crate::random::{Wish, batch, config, shard};
use crate::shard::Shard;
use crate::world::{FOUNDED, account, external, key, region, sgd};
use ledger::{AMOUNT_LIMIT, Amount, Command, Counterpart, Decided, ExternalMove, Outcome, Rejection, Writes};
use placement::{AccountId, Locality};
use proptest::collection::vec;
use proptest::prelude::*;

/// All commands of a batch are made before its first one is decided.
fn commands(shard: &Shard, wishes: &[Wish]) -> Vec<Command> {
    wishes.iter().map(|wish| wish.command(&shard.rows)).collect()
}

/// A change of status, or a new account without a key, asked for again is done again.
fn is_safe_to_repeat(command: &Command) -> bool {
    match command {
        Command::Transfer(_) | Command::Deposit(_) | Command::Withdraw(_) => true,
        Command::CreateAccount(create) => create.key.is_some(),
        Command::Credit(_) | Command::Void(_) | Command::Settle(_) => true,
        Command::Reserve(_) | Command::Commit(_) | Command::Release(_) | Command::Expire(_) => true,
        Command::SetStatus(_) => false,
    }
}

/// What a repeat is told; `None` if the first time has left no record.
fn replay_of(first: &Outcome) -> Option<Outcome> {
    match first {
        Outcome::Decided(Decided::Rejected { rejection: Rejection::IdempotencyKeyReused, .. }) => Some(first.clone()),
        Outcome::Decided(Decided::Rejected { rejection, transfer_id }) => {
            Some(Outcome::ReplayedRejection { rejection: *rejection, transfer_id: *transfer_id })
        }
        Outcome::Decided(Decided::Account(account)) => Some(Outcome::ReplayedAccount(account.id)),
        Outcome::NotFound => None,
        same => Some(same.clone()),
    }
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn the_invariants_hold_after_every_batch(batches in vec(batch(), 1..6)) {
        let mut shard = shard();
        check(&shard);
        for wishes in batches {
            let commands = commands(&shard, &wishes);
            let batch = shard.stamp(&commands);
            let (outcomes, _) = shard.run(&batch);
            prop_assert!(!outcomes.contains(&Outcome::Contradiction));
            check(&shard);
            shard.now.0 += 1_000_000;
        }
    }

    #[test]
    fn a_batch_decided_again_gives_the_recorded_answers_and_writes_nothing(before in batch(), again in batch()) {
        let mut shard = shard();
        let batch = { let commands = commands(&shard, &before); shard.stamp(&commands) };
        shard.run(&batch);
        shard.now.0 += 1_000_000;
        let mut commands = commands(&shard, &again);
        commands.retain(is_safe_to_repeat);
        let batch = shard.stamp(&commands);
        let (first, _) = shard.run(&batch);

        // With new ids, as after a broken connection.
        let batch = shard.stamp(&commands);
        let (second, writes) = shard.run(&batch);

        prop_assert_eq!(writes, Writes::default());
        for ((command, first), second) in commands.iter().zip(&first).zip(second) {
            let expected = match (command, first) {
                (Command::Settle(_) | Command::Expire(_), Outcome::Decided(_)) => {
                    Some(Outcome::Decided(Decided::AlreadySettled))
                }
                (Command::Release(_), Outcome::Decided(Decided::Transfer(released))) => {
                    Some(Outcome::NotReserved(released.id))
                }
                // Too late is not recorded: another request of the batch may have used the key.
                (Command::Commit(_), Outcome::NotReserved(_)) => None,
                (_, Outcome::Decided(Decided::Transfer(transfer))) => Some(Outcome::ReplayedTransfer(transfer.id)),
                _ => replay_of(first),
            };
            prop_assert!(expected.as_ref().is_none_or(|expected| *expected == second), "{command:?}: {second:?}");
        }
    }

    #[test]
    fn a_batch_may_be_cut_anywhere(before in batch(), wishes in batch(), cut: prop::sample::Index) {
        let mut whole = shard();
        let batch = { let commands = commands(&whole, &before); whole.stamp(&commands) };
        whole.run(&batch);
        whole.now.0 += 1_000_000;
        let mut parts = whole.clone();
        let commands = commands(&whole, &wishes);
        let batch = whole.stamp(&commands);
        let (first, rest) = batch.split_at(cut.index(batch.len() + 1));

        let (outcomes, _) = whole.run(&batch);
        let (mut outcomes_of_parts, _) = parts.run(first);
        outcomes_of_parts.extend(parts.run(rest).0);

        prop_assert_eq!(outcomes, outcomes_of_parts);
        prop_assert_eq!(whole.rows, parts.rows);
    }

    #[test]
    fn a_batch_is_decided_the_same_way_every_time(wishes in batch()) {
        let (mut one, mut other) = (shard(), shard());
        let commands = commands(&one, &wishes);
        let batch = one.stamp(&commands);
        prop_assert_eq!(one.run(&batch), other.run(&batch));
    }
}

/// The largest batch there may be, of the largest amounts there may be: no total leaves its range.
#[test]
fn the_totals_of_the_largest_batch_are_in_range() {
    let mut shard = shard();
    let ids: Vec<AccountId> = (0..=u16::MAX)
        .take(ledger::BATCH_COMMANDS_MAX)
        .map(|discriminator| AccountId::new(region(1), Locality::of_user("rich"), discriminator))
        .collect();
    for id in &ids {
        let empty = ledger::Account { entry_count: 0, created_at: FOUNDED, ..account(*id, "rich", sgd(), 0) };
        shard.rows.accounts.insert(*id, empty);
    }
    let deposit = |(number, account_id)| {
        Command::Deposit(ExternalMove { key: key(number), account_id, amount: Amount(AMOUNT_LIMIT), ..external() })
    };
    let commands: Vec<Command> = (1_000_000..).zip(ids).map(deposit).collect();
    let batch = shard.stamp(&commands);

    let (_, writes) = shard.run(&batch);

    let sum = AMOUNT_LIMIT * i64::try_from(commands.len()).unwrap();
    assert_eq!(writes.totals[&(Counterpart::External, sgd())], Amount(-sum));
    check(&shard);
}

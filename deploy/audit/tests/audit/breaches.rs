//! Each breach is planted by itself into consistent books, and exactly the invariants that it breaks are reported.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use audit::Invariant;

use crate::databases::{Databases, run};

/// A planted breach.
pub struct Breach {
    pub name: &'static str,
    /// The shard it is planted on.
    shard: usize,
    /// What is done there; see the seed for the names.
    sql: &'static str,
    /// All that must be reported.
    broken: &'static [Invariant],
    /// Part of what the first of those says.
    says: &'static str,
}

pub const ALL: &[Breach] = &[
    Breach {
        name: "changed_balance_is_caught",
        shard: 1,
        sql: "UPDATE accounts SET balance = balance + 1 WHERE id = :a2",
        broken: &[Invariant::BooksAtZero, Invariant::HistoryExplainsBalance],
        says: "SGD: accounts 951, external -1000 and clearing 50 come to 1",
    },
    Breach {
        name: "overdraft_is_caught",
        shard: 1,
        sql: "ALTER TABLE accounts DROP CONSTRAINT no_overdraft; UPDATE accounts SET reserved = 900 WHERE id = :a",
        broken: &[Invariant::NoOverdraft, Invariant::ReservedExplained],
        says: "balance 850, reserved 900",
    },
    Breach {
        name: "reserved_without_an_open_transfer_is_caught",
        shard: 1,
        sql: "UPDATE accounts SET reserved = reserved + 1 WHERE id = :a",
        broken: &[Invariant::ReservedExplained],
        says: "56 reserved, open transfers hold 55",
    },
    Breach {
        name: "reservation_of_an_unknown_account_is_caught",
        shard: 1,
        sql: "UPDATE reservations SET debit_account = :b WHERE transfer_id = :open",
        broken: &[Invariant::ReservedExplained],
        says: "does not exist, and open transfers hold 20 of it",
    },
    Breach {
        name: "missing_entry_is_caught",
        shard: 1,
        sql: "DELETE FROM transfers WHERE id = :local",
        broken: &[Invariant::HistoryExplainsBalance, Invariant::KeysLeadSomewhere],
        says: "after entry 1 comes entry 3",
    },
    Breach {
        name: "missing_last_entry_is_caught",
        shard: 2,
        sql: "DELETE FROM transfers WHERE id = :withdrawal",
        broken: &[Invariant::HistoryExplainsBalance, Invariant::KeysLeadSomewhere],
        says: "3 entries, the last is 2",
    },
    Breach {
        name: "wrong_balance_after_an_entry_is_caught",
        shard: 1,
        sql: "UPDATE transfers SET debit_balance = 901 WHERE id = :local",
        broken: &[Invariant::HistoryExplainsBalance],
        says: "entry 2: 901 after a balance of 1000 and a change of -100",
    },
    Breach {
        name: "repeated_entry_number_is_caught",
        shard: 1,
        sql: "UPDATE transfers SET debit_entry = 2 WHERE id = :posted",
        broken: &[Invariant::HistoryExplainsBalance],
        says: "comes entry 2",
    },
    Breach {
        name: "entry_of_an_unknown_account_is_caught",
        shard: 1,
        sql: "UPDATE transfers SET credit_account = :a - 1 WHERE id = :local",
        broken: &[Invariant::HistoryExplainsBalance],
        says: "does not exist, and has entry 1",
    },
    Breach {
        name: "doubled_credit_is_caught",
        shard: 2,
        sql: "INSERT INTO transfers (id, debit_account, credit_account, amount, credit_entry, credit_balance, \
                debit_slot, credit_slot, kind, state, currency, decided_at) \
              VALUES (:new, :a, :b, 50, 4, 120, :slot_a, :slot_b, 0, 2, 'SGD', now()); \
              INSERT INTO inbox (transfer_id, slot, debit_shard, decision, decided_at) VALUES (:new, :slot_b, 1, 0, now()); \
              UPDATE accounts SET balance = 120, entry_count = 4 WHERE id = :b; UPDATE clearing SET total = -130",
        broken: &[Invariant::CreditsPaired, Invariant::ClearingExplained],
        says: "credited 50 SGD; no shard has the other half",
    },
    Breach {
        name: "debit_without_a_credit_is_caught",
        shard: 1,
        sql: "INSERT INTO transfers (id, debit_account, credit_account, amount, debit_entry, debit_balance, \
                debit_slot, credit_slot, kind, state, currency, decided_at) \
              VALUES (:new, :a, :b, 10, 4, 840, :slot_a, :slot_b, 0, 2, 'SGD', now()); \
              UPDATE accounts SET balance = 840, entry_count = 4 WHERE id = :a; \
              UPDATE clearing SET total = total + 10 WHERE writer = 0",
        broken: &[Invariant::DebitsPaired, Invariant::ClearingExplained],
        says: "debited 10 SGD; no shard has the other half",
    },
    Breach {
        name: "debit_of_a_refused_transfer_is_caught",
        shard: 1,
        sql: "UPDATE transfers SET state = 2, reason = NULL, debit_entry = 4, debit_balance = 843 WHERE id = :released; \
              UPDATE accounts SET balance = 843, entry_count = 4 WHERE id = :a; \
              UPDATE clearing SET total = total + 7 WHERE writer = 0",
        broken: &[Invariant::DebitsPaired, Invariant::RefusalsFollowed, Invariant::ClearingExplained],
        says: "debited 7 SGD; shard 2 refused or voided it",
    },
    Breach {
        name: "credit_of_another_amount_is_caught",
        shard: 2,
        sql: "UPDATE transfers SET amount = 51, credit_balance = 51 WHERE id = :posted; \
              UPDATE transfers SET credit_balance = 81 WHERE id = :credited; \
              UPDATE transfers SET debit_balance = 71 WHERE id = :withdrawal; \
              UPDATE accounts SET balance = 71 WHERE id = :b; UPDATE clearing SET total = -81",
        broken: &[Invariant::DebitsPaired, Invariant::CreditsPaired, Invariant::ClearingExplained],
        says: "debited 50 SGD; shard 2 credited 51 SGD",
    },
    Breach {
        name: "credit_of_a_released_transfer_is_caught",
        shard: 1,
        sql: "DELETE FROM outbox WHERE transfer_id = :credited; DELETE FROM reservations WHERE transfer_id = :credited; \
              UPDATE accounts SET reserved = 25 WHERE id = :a; \
              INSERT INTO transfers (id, debit_account, credit_account, amount, debit_slot, credit_slot, kind, state, \
                reason, currency, decided_at) \
              VALUES (:credited, :a, :b, 30, :slot_a, :slot_b, 0, 3, 16, 'SGD', now())",
        broken: &[Invariant::CreditsPaired, Invariant::ReleasesDecided, Invariant::ClearingExplained],
        says: "credited 30 SGD; shard 1 released it",
    },
    Breach {
        name: "release_without_a_decision_is_caught",
        shard: 2,
        sql: "DELETE FROM inbox WHERE transfer_id = :released",
        broken: &[Invariant::ReleasesDecided],
        says: "released 7 SGD; no shard has the other half",
    },
    Breach {
        name: "refusal_without_a_release_is_caught",
        shard: 1,
        sql: "DELETE FROM transfers WHERE id = :released",
        broken: &[Invariant::RefusalsFollowed, Invariant::KeysLeadSomewhere],
        says: "was refused or voided; no shard has the other half",
    },
    Breach {
        name: "credit_without_a_decision_is_caught",
        shard: 2,
        sql: "DELETE FROM inbox WHERE transfer_id = :credited",
        broken: &[Invariant::DecisionsKept],
        says: "is credited without a decision",
    },
    Breach {
        name: "decision_without_a_credit_is_caught",
        shard: 2,
        sql: "INSERT INTO inbox (transfer_id, slot, debit_shard, decision, decided_at) VALUES (:open, :slot_b, 1, 0, now())",
        broken: &[Invariant::DecisionsKept],
        says: "was decided to be credited, and is not",
    },
    Breach {
        name: "wrong_clearing_total_is_caught",
        shard: 1,
        sql: "UPDATE clearing SET total = total + 5 WHERE writer = 0; UPDATE external SET total = total - 5",
        broken: &[Invariant::ClearingExplained],
        says: "SGD: clearing comes to -25, open transfers between shards to -30",
    },
    Breach {
        name: "old_saga_is_caught",
        shard: 1,
        sql: "UPDATE reservations SET created_at = now() - interval '1 hour' WHERE transfer_id = :open",
        broken: &[Invariant::SagasInTime],
        says: "has been open since",
    },
    Breach {
        name: "saga_that_nothing_drives_is_caught",
        shard: 1,
        sql: "DELETE FROM outbox WHERE transfer_id = :open",
        broken: &[Invariant::SagasInTime],
        says: "no message drives it",
    },
    Breach {
        name: "message_about_a_held_transfer_is_caught",
        shard: 1,
        sql: "INSERT INTO outbox (transfer_id, slot, next_attempt_at, trace_id, parent_id) \
              VALUES (:held, :slot_a, now(), gen_random_uuid(), 1)",
        broken: &[Invariant::SagasInTime],
        says: "is held by its client, and a message drives it",
    },
    Breach {
        name: "reservation_that_does_not_expire_is_caught",
        shard: 1,
        sql: "UPDATE reservations SET expires_at = now() - interval '1 hour' WHERE transfer_id = :held",
        broken: &[Invariant::SagasInTime],
        says: "has been due to expire since",
    },
    Breach {
        name: "commit_of_an_expired_transfer_is_caught",
        shard: 1,
        sql: "INSERT INTO idempotency (slot, key_hash, fingerprint, transfer_id, recorded_at) \
              VALUES (:slot_a, gen_random_uuid(), gen_random_uuid(), :lapsed, now())",
        broken: &[Invariant::OneEffectPerKey],
        says: "was committed and released",
    },
    Breach {
        name: "second_commit_is_caught",
        shard: 1,
        sql: "INSERT INTO idempotency (slot, key_hash, fingerprint, transfer_id, recorded_at) \
              VALUES (:slot_a, gen_random_uuid(), gen_random_uuid(), :held, now()), \
                     (:slot_a, gen_random_uuid(), gen_random_uuid(), :held, now())",
        broken: &[Invariant::OneEffectPerKey],
        says: "was reserved and committed with 3 keys",
    },
    Breach {
        name: "refused_commit_of_a_plain_transfer_is_caught",
        shard: 1,
        sql: "INSERT INTO idempotency (slot, key_hash, fingerprint, transfer_id, rejection, recorded_at) \
              VALUES (:slot_a, gen_random_uuid(), gen_random_uuid(), :posted, 4, now())",
        broken: &[Invariant::KeysLeadSomewhere, Invariant::OneEffectPerKey],
        says: "its key says rejection 4",
    },
    Breach {
        name: "orphan_key_is_caught",
        shard: 1,
        sql: "INSERT INTO idempotency (slot, key_hash, fingerprint, transfer_id, recorded_at) \
              VALUES (:slot_a, gen_random_uuid(), gen_random_uuid(), :new, now())",
        broken: &[Invariant::KeysLeadSomewhere],
        says: "which does not exist",
    },
    Breach {
        name: "key_of_an_unknown_account_is_caught",
        shard: 1,
        sql: "UPDATE idempotency SET account_id = account_id + 100 WHERE account_id IS NOT NULL",
        broken: &[Invariant::KeysLeadSomewhere],
        says: "which does not exist",
    },
    Breach {
        name: "key_that_denies_its_transfer_is_caught",
        shard: 1,
        sql: "UPDATE idempotency SET rejection = 2 WHERE transfer_id = :posted",
        broken: &[Invariant::KeysLeadSomewhere],
        says: "its key says rejection 2",
    },
    Breach {
        name: "transfer_under_two_keys_is_caught",
        shard: 1,
        sql: "INSERT INTO idempotency (slot, key_hash, fingerprint, transfer_id, recorded_at) \
              VALUES (:slot_a, gen_random_uuid(), gen_random_uuid(), :posted, now())",
        broken: &[Invariant::OneEffectPerKey],
        says: "came of 2 keys",
    },
    Breach {
        name: "slot_with_two_owners_is_caught",
        shard: 2,
        sql: "INSERT INTO slot_owner (slot, epoch, state) VALUES (:slot_a, 1, 0)",
        broken: &[Invariant::OneOwner],
        says: "is owned by shard 1 and shard 2",
    },
    Breach {
        name: "slot_without_an_owner_is_caught",
        shard: 1,
        sql: "DELETE FROM slot_owner WHERE slot = (SELECT max(slot) FROM slot_owner WHERE slot <> :slot_a)",
        broken: &[Invariant::OneOwner],
        says: "has no owner",
    },
    Breach {
        name: "account_in_a_wrong_slot_is_caught",
        shard: 1,
        sql: "UPDATE accounts SET slot = (SELECT max(slot) FROM slot_owner WHERE slot <> :slot_a) WHERE id = :a2",
        broken: &[Invariant::AccountsInPlace],
        says: "and belongs to slot",
    },
    Breach {
        name: "account_handed_over_is_caught",
        shard: 1,
        sql: "UPDATE accounts SET user_id = 'mallory' WHERE id = :a2",
        broken: &[Invariant::AccountsInPlace],
        says: "is said to be of mallory, whose accounts have other ids",
    },
    Breach {
        name: "account_on_a_wrong_shard_is_caught",
        shard: 2,
        sql: "INSERT INTO accounts (id, slot, user_id, name, currency, balance, reserved, entry_count, status, created_at) \
              VALUES (:a2, :slot_a, :anna, 'savings', 'SGD', 0, 0, 0, 0, now())",
        broken: &[Invariant::AccountsInPlace],
        says: "is on a shard that does not have its slot",
    },
    Breach {
        name: "rejected_transfer_with_a_side_is_caught",
        shard: 1,
        sql: "UPDATE transfers SET debit_entry = 4, debit_balance = 850 WHERE id = :rejected",
        broken: &[Invariant::TransfersWellFormed, Invariant::HistoryExplainsBalance, Invariant::DebitsPaired],
        says: "is rejected, and has a side",
    },
    Breach {
        name: "posted_transfer_without_a_side_is_caught",
        shard: 1,
        sql: "UPDATE transfers SET state = 2, reason = NULL WHERE id = :rejected; \
              UPDATE idempotency SET rejection = NULL WHERE transfer_id = :rejected",
        broken: &[Invariant::TransfersWellFormed],
        says: "is posted, and has no side",
    },
];

impl Breach {
    /// Plants it and audits.
    pub fn is_caught(&self, databases: &Databases) -> Result<()> {
        run(async {
            let pair = databases.pair().await?;
            pair.shard(self.shard).batch_execute(&pair.seed.sql(self.sql)).await?;
            let report = pair.audit().await?;
            let broken: BTreeSet<Invariant> = report.broken().map(|check| check.invariant).collect();
            let found: Vec<_> = report.broken().map(|check| (check.invariant, check.shard, &check.first)).collect();
            ensure!(!report.holds, "the report says that all holds");
            ensure!(broken == self.broken.iter().copied().collect(), "found {found:#?}");
            let first = report.broken().find(|check| Some(&check.invariant) == self.broken.first());
            let first = first.and_then(|check| check.first.as_deref()).context("a violation has words")?;
            ensure!(first.contains(self.says), "{first}");
            Ok(())
        })
    }
}

pub fn consistent_books_are_clean(databases: Arc<Databases>) -> Result<()> {
    run(async {
        let report = databases.pair().await?.audit().await?;
        ensure!(report.holds, "{report:#?}");
        ensure!(report.invariants() == 16, "{report:#?}");
        Ok(())
    })
}

pub fn report_counts_what_was_looked_at(databases: Arc<Databases>) -> Result<()> {
    run(async {
        let report = databases.pair().await?.audit().await?;
        let checked = |invariant, shard: Option<u16>| {
            let found = report
                .checks
                .iter()
                .find(|check| check.invariant == invariant && check.shard.map(|shard| shard.get()) == shard);
            found.map(|check| check.checked)
        };
        let expected = [
            (Invariant::NoOverdraft, Some(1), 3),
            // Four entries, and an account without any.
            (Invariant::HistoryExplainsBalance, Some(1), 5),
            (Invariant::HistoryExplainsBalance, Some(2), 3),
            (Invariant::DebitsPaired, Some(1), 1),
            (Invariant::CreditsPaired, Some(2), 2),
            (Invariant::ReleasesDecided, Some(1), 1),
            (Invariant::RefusalsFollowed, Some(2), 1),
            (Invariant::SagasInTime, Some(1), 3),
            (Invariant::OneOwner, None, 4096),
            (Invariant::AccountsInPlace, Some(1), 3),
        ];
        for (invariant, shard, count) in expected {
            ensure!(
                checked(invariant, shard) == Some(count),
                "{invariant} on {shard:?}: {:?}",
                checked(invariant, shard)
            );
        }
        ensure!(serde_json::to_value(&report)?["checks"][0]["invariant"] == "books_at_zero");
        Ok(())
    })
}

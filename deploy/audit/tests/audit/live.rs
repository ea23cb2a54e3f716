//! The audit beside writers.

use std::cell::Cell;
use std::sync::Arc;

use anyhow::{Result, ensure};
use audit::{Limits, audit};

use crate::databases::{Databases, Pair, connect, run};
use crate::seed::transfer_id;

const AUDITS: u64 = 20;

const RESERVE: &str = "BEGIN; UPDATE accounts SET reserved = reserved + 1 WHERE id = :a; \
     INSERT INTO reservations (transfer_id, slot, state, debit_account, debit_user, credit_account, amount, currency, \
        created_at, void_after) \
     VALUES ('{id}', :slot_a, 0, :a, :anna, :b, 1, 'SGD', now(), now() + interval '1 hour'); \
     INSERT INTO outbox (transfer_id, slot, next_attempt_at, trace_id, parent_id) \
     VALUES ('{id}', :slot_a, now(), gen_random_uuid(), 1); COMMIT";
const CREDIT: &str = "BEGIN; UPDATE accounts SET balance = balance + 1, entry_count = entry_count + 1 WHERE id = :b; \
     INSERT INTO transfers (id, debit_account, credit_account, amount, credit_entry, credit_balance, debit_slot, \
        credit_slot, kind, state, currency, decided_at) \
     SELECT '{id}', :a, :b, 1, entry_count, balance, :slot_a, :slot_b, 0, 2, 'SGD', now() FROM accounts WHERE id = :b; \
     INSERT INTO inbox (transfer_id, slot, debit_shard, decision, decided_at) VALUES ('{id}', :slot_b, 1, 0, now()); \
     UPDATE clearing SET total = total - 1; COMMIT";
const COMMIT: &str = "BEGIN; UPDATE accounts SET balance = balance - 1, reserved = reserved - 1, \
        entry_count = entry_count + 1 WHERE id = :a; \
     INSERT INTO transfers (id, debit_account, credit_account, amount, debit_entry, debit_balance, debit_slot, \
        credit_slot, kind, state, currency, decided_at) \
     SELECT '{id}', :a, :b, 1, entry_count, balance, :slot_a, :slot_b, 0, 2, 'SGD', now() FROM accounts WHERE id = :a; \
     DELETE FROM outbox WHERE transfer_id = '{id}'; DELETE FROM reservations WHERE transfer_id = '{id}'; \
     UPDATE clearing SET total = total + 1 WHERE writer = 0; COMMIT";

/// One whole transfer from shard 1 to shard 2.
async fn transfer(pair: &Pair, number: u64) -> Result<()> {
    let id = transfer_id(pair.seed.anna, number).to_string();
    for (shard, step) in [(1, RESERVE), (2, CREDIT), (1, COMMIT)] {
        pair.shard(shard).batch_execute(&pair.seed.sql(step).replace("{id}", &id)).await?;
    }
    Ok(())
}

pub fn audit_of_a_working_system_raises_no_alarm(databases: Arc<Databases>) -> Result<()> {
    run(async {
        let pair = databases.pair().await?;
        let is_done = Cell::new(false);
        let work = async {
            let mut number = 100;
            while !is_done.get() {
                transfer(&pair, number).await?;
                number += 1;
            }
            anyhow::Ok(number - 100)
        };
        let watch = async {
            for _ in 0..AUDITS {
                let report = pair.audit().await?;
                ensure!(report.holds, "{:#?}", report.broken().collect::<Vec<_>>());
            }
            is_done.set(true);
            Ok(())
        };
        let (transfers, ()) = tokio::try_join!(work, watch)?;
        ensure!(transfers > AUDITS, "only {transfers} transfers beside {AUDITS} audits");
        Ok(())
    })
}

/// A slot without accounts goes from shard 1 to shard 2 just after the snapshots were taken, the target first.
pub fn slot_that_changes_hands_raises_no_alarm(databases: Arc<Databases>) -> Result<()> {
    run(async {
        let pair = databases.pair().await?;
        let slot: i16 = pair
            .shard(1)
            .query_one(&pair.seed.sql("SELECT max(slot) FROM slot_owner WHERE slot <> :slot_a"), &[])
            .await?
            .get(0);
        let take = "INSERT INTO slot_owner (slot, epoch, state) VALUES ($1, 2, 0)";
        pair.shard(2).execute(take, &[&slot]).await?;
        let source = connect(&pair.targets[0].postgres).await?;
        let leave = async {
            // The audit looks for the first time, sees two owners, and looks again.
            let seen = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                 AND application_name = 'walletctl' AND state = 'idle in transaction'";
            while source.query_one(seen, &[]).await?.get::<_, i64>(0) == 0 {
                tokio::task::yield_now().await;
            }
            source.execute("UPDATE slot_owner SET state = 3, epoch = 2 WHERE slot = $1", &[&slot]).await?;
            anyhow::Ok(())
        };
        let limits = Limits::default();
        let audited = async { Ok(audit(&pair.targets, &limits, &|_| ()).await?) };
        let (report, ()) = tokio::try_join!(audited, leave)?;
        ensure!(report.holds, "{:#?}", report.broken().collect::<Vec<_>>());
        Ok(())
    })
}

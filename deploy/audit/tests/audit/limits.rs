//! How much is read, by whom, and what cannot be audited.

use std::sync::Arc;

use anyhow::{Result, ensure};
use audit::{AuditError, Invariant, Limits, audit};
use placement::{ShardId, Slot};

use crate::databases::{Databases, Pair, connect, run};

async fn limited(pair: &Pair, limits: Limits) -> Result<Vec<(Invariant, Option<u16>, u64)>> {
    let report = audit(&pair.targets, &limits, &|_| ()).await?;
    let broken = report.broken();
    Ok(broken.map(|check| (check.invariant, check.shard.map(|shard| shard.get()), check.violations)).collect())
}

pub fn slots_and_shards_limit_what_is_read(databases: Arc<Databases>) -> Result<()> {
    run(async {
        let pair = databases.pair().await?;
        let plant = "UPDATE accounts SET reserved = reserved + 1 WHERE id = :a";
        pair.shard(1).batch_execute(&pair.seed.sql(plant)).await?;
        let shard = |number: u16| -> Result<Limits> {
            Ok(Limits { shards: Some(vec![ShardId::try_from(number)?]), ..Limits::default() })
        };
        let slot = |slot: Slot| Limits { slots: Some(vec![slot]), ..Limits::default() };
        let found = vec![(Invariant::ReservedExplained, Some(1), 1)];
        ensure!(limited(&pair, shard(1)?).await? == found);
        ensure!(limited(&pair, shard(2)?).await?.is_empty());
        ensure!(limited(&pair, slot(pair.seed.anna.slot())).await? == found);
        ensure!(limited(&pair, slot(pair.seed.ben.slot())).await?.is_empty());
        Ok(())
    })
}

pub fn missing_or_wrong_databases_are_errors(databases: Arc<Databases>) -> Result<()> {
    run(async {
        let pair = databases.pair().await?;
        let (one, two) = (pair.targets[0].clone(), pair.targets[1].clone());
        let limits = Limits::default();
        let missing = audit(std::slice::from_ref(&one), &limits, &|_| ()).await;
        ensure!(matches!(missing, Err(AuditError::Missing(shard)) if shard.get() == 2));
        let mut swapped = [one.clone(), two];
        swapped[1].postgres = one.postgres.clone();
        let wrong = audit(&swapped, &limits, &|_| ()).await;
        ensure!(matches!(wrong, Err(AuditError::WrongDatabase { shard, .. }) if shard.get() == 2));
        let twice = audit(&[one.clone(), one], &limits, &|_| ()).await;
        ensure!(matches!(twice, Err(AuditError::Superfluous(shard)) if shard.get() == 1));
        ensure!(matches!(audit(&[], &limits, &|_| ()).await, Err(AuditError::NoShards)));
        Ok(())
    })
}

pub fn role_that_may_only_read_is_enough(databases: Arc<Databases>) -> Result<()> {
    run(async {
        let mut pair = databases.pair().await?;
        let make = "CREATE ROLE auditor LOGIN PASSWORD 'auditor' IN ROLE pg_read_all_data";
        pair.shard(1).batch_execute(make).await?;
        for target in &mut pair.targets {
            target.postgres.user("auditor").password("auditor");
        }
        let auditor = connect(&pair.targets[0].postgres).await?;
        ensure!(auditor.execute("UPDATE fence SET version = version + 1", &[]).await.is_err());
        let report = pair.audit().await?;
        ensure!(report.holds, "{report:#?}");
        Ok(())
    })
}

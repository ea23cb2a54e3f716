//! Copies of a shard's database, to be tampered with.

use crate::support::World;
use anyhow::{Context, Result, ensure};
use audit::{KeptChains, ShardChains, ShardTarget, verify_chains};
use placement::ShardId;
use tokio_postgres::{Client, Config, NoTls};

/// A connection that may do anything, to a database of shard 1.
pub async fn superuser(world: &World, database: &str) -> Result<(Config, Client)> {
    let mut config: Config = world.cluster.shard_superuser_url(1)?.parse()?;
    config.dbname(database);
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(async move { drop(connection.await) });
    Ok((config, client))
}

/// What an operator has kept of an earlier report.
pub fn kept(found: &ShardChains) -> KeptChains {
    // As it is kept: in JSON.
    serde_json::from_value(serde_json::to_value(found).expect("a report is JSON")).expect("kept chains are JSON")
}

/// A copy of a shard's database.
pub struct Copy {
    config: Config,
    /// May write whatever it likes.
    pub client: Client,
}

/// What is tampered with.
const TABLES: [&str; 7] = ["transfers", "inbox", "idempotency", "accounts", "reservations", "batches", "chain_start"];

impl Copy {
    /// Nobody else may be connected to the shard meanwhile.
    pub async fn of_shard_1(world: &World) -> Result<Copy> {
        let (_, server) = superuser(world, "postgres").await?;
        let others = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = 'wallet'";
        server.batch_execute(others).await?;
        server.batch_execute("CREATE DATABASE tampered TEMPLATE wallet").await?;
        let (config, client) = superuser(world, "tampered").await?;
        client.batch_execute("SET wallet.fence = 'held'; SET timezone = 'UTC'").await?;
        // The tables as they were, beside the tables.
        let keep = TABLES.map(|table| format!("CREATE TABLE kept.{table} AS TABLE {table}")).join("; ");
        client.batch_execute(&format!("CREATE SCHEMA kept; {keep}")).await?;
        Ok(Copy { config, client })
    }

    /// Undoes whatever was done to the rows.
    pub async fn mend(&self) -> Result<()> {
        let insert = TABLES.map(|table| format!("INSERT INTO {table} TABLE kept.{table}")).join("; ");
        let mend = format!("BEGIN; TRUNCATE {}; {insert}; COMMIT", TABLES.join(", "));
        Ok(self.client.batch_execute(&mend).await?)
    }

    /// What the chains of the copy come to.
    pub async fn verified(&self, kept: &[KeptChains]) -> Result<ShardChains> {
        let target = ShardTarget { shard: ShardId::try_from(1)?, postgres: self.config.clone() };
        let report = verify_chains(&[target], kept, &|_| ()).await?;
        ensure!(report.holds == report.shards.iter().all(|shard| shard.violations == 0));
        report.shards.into_iter().next().context("one shard was verified")
    }
}

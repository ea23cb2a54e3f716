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

/// The tables as they were, beside the tables.
const KEEP: &str = "CREATE SCHEMA kept; CREATE TABLE kept.transfers AS TABLE transfers; \
     CREATE TABLE kept.inbox AS TABLE inbox; CREATE TABLE kept.batches AS TABLE batches";
const MEND: &str = "BEGIN; TRUNCATE transfers, inbox, batches; INSERT INTO transfers TABLE kept.transfers; \
     INSERT INTO inbox TABLE kept.inbox; INSERT INTO batches TABLE kept.batches; COMMIT";

impl Copy {
    /// Nobody else may be connected to the shard meanwhile.
    pub async fn of_shard_1(world: &World) -> Result<Copy> {
        let (_, server) = superuser(world, "postgres").await?;
        let others = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = 'wallet'";
        server.batch_execute(others).await?;
        server.batch_execute("CREATE DATABASE tampered TEMPLATE wallet").await?;
        let (config, client) = superuser(world, "tampered").await?;
        client.batch_execute("SET wallet.fence = 'held'; SET timezone = 'UTC'").await?;
        client.batch_execute(KEEP).await?;
        Ok(Copy { config, client })
    }

    /// Undoes whatever was done to the rows.
    pub async fn mend(&self) -> Result<()> {
        Ok(self.client.batch_execute(MEND).await?)
    }

    /// What the chains of the copy come to.
    pub async fn verified(&self, kept: &[KeptChains]) -> Result<ShardChains> {
        let target = ShardTarget { shard: ShardId::try_from(1)?, postgres: self.config.clone() };
        let report = verify_chains(&[target], kept, &|_| ()).await?;
        ensure!(report.holds == report.shards.iter().all(|shard| shard.violations == 0));
        report.shards.into_iter().next().context("one shard was verified")
    }
}

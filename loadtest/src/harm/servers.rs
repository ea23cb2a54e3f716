//! What is done to PostgreSQL servers beyond killing them.

use std::time::Duration;

use anyhow::{Context, Result};
use local_cluster::ProcessName;
use tokio::sync::watch;
use tokio_postgres::{Client, Config, NoTls};

use super::cluster::{Change, HarmedCluster, Told, locked, node, server};

/// How long a server may take until it refuses connections.
const EXHAUSTED_WITHIN: Duration = Duration::from_secs(10);
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(5);
/// How many race the shard-node for what becomes free.
const TAKERS: usize = 3;
/// How often the shard-node loses what it has; it may win some of it back the first time.
const CUTS: usize = 3;

impl HarmedCluster {
    pub(super) fn fill_disk(&self, shard: u16) -> Result<()> {
        locked(&self.marks.full_disks).insert(shard);
        self.cluster.fill_disk(&server(shard))
    }

    /// Takes every connection there is, those of the shard-node too, and every one that becomes free, until the heal.
    pub(super) async fn exhaust_connections(&self, shard: u16) -> Result<()> {
        let url: Config = self.cluster.shard_postgres_url(shard)?.parse()?;
        let (refused, mut refusals) = watch::channel(0);
        for _ in 0..TAKERS {
            locked(&self.marks.ongoing).spawn(take_connections(url.clone(), refused.clone()));
        }
        for _ in 0..CUTS {
            refusals.mark_unchanged();
            let waiting = tokio::time::timeout(EXHAUSTED_WITHIN, refusals.changed());
            waiting.await.context("the server goes on to take connections")??;
            for server in self.servers(shard) {
                self.proxies.ways.cut(&node(shard), &server);
            }
        }
        Ok(())
    }

    /// Kills the primary and promotes its standby. After an earlier failover the standby is made first.
    pub(super) async fn fail_over(&self, shard: u16, told: Told<'_>) -> Result<()> {
        let _turns = self.turns_of_servers(shard).await?;
        if !self.cluster.has_standby(shard)? {
            self.cluster.rebuild_standby(shard).await?;
        }
        told(Change::Started(&self.cluster.fail_over(shard).await?));
        Ok(())
    }

    pub(super) async fn turns_of_servers(&self, shard: u16) -> Result<[tokio::sync::MutexGuard<'_, ()>; 2]> {
        // Always in this order, so that two who want both do not wait for each other.
        let first = self.turn_of(&server(shard)).await?;
        let second = self.turn_of(&ProcessName::Postgres { shard, replica: 1 }).await?;
        Ok([first, second])
    }
}

async fn take_connections(url: Config, refused: watch::Sender<u64>) {
    let mut held: Vec<Client> = Vec::new();
    loop {
        match url.connect(NoTls).await {
            Ok((client, connection)) => {
                held.push(client);
                // It ends with its client, or with the server.
                tokio::spawn(async move { drop(connection.await) });
            }
            Err(_) => {
                refused.send_modify(|refusals| *refusals += 1);
                held.retain(|client| !client.is_closed());
                tokio::time::sleep(TRY_AGAIN_AFTER).await;
            }
        }
    }
}

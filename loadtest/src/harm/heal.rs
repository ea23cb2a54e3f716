//! Undoing all harm.

use std::collections::BTreeMap;
use std::mem;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use local_cluster::{ProcessName, Role, Signal};

use super::cluster::{HarmedCluster, Told, locked, server};

/// How long all processes may take until they are ready.
const PATIENCE: Duration = Duration::from_secs(30);

impl HarmedCluster {
    /// Undoes all harm. Harms that are still being inflicted are waited for.
    ///
    /// # Errors
    /// A process cannot be started, or a standby cannot be made again.
    pub async fn undo(&self, told: Told<'_>) -> Result<()> {
        // What these hold ends with them; a flapping partition must end before its ways are opened.
        let mut ongoing = mem::take(&mut *locked(&self.marks.ongoing));
        ongoing.shutdown().await;
        self.proxies.ways.open_all();
        let full = mem::take(&mut *locked(&self.marks.full_disks));
        for shard in &full {
            self.cluster.free_disk(&server(*shard))?;
        }
        for role in [Role::Postgres, Role::Redis, Role::ShardNode, Role::Router] {
            let names = self.cluster.processes().into_iter().map(|process| process.name);
            for name in names.filter(|name| name.role() == role) {
                let is_excused = role == Role::Postgres && name.shard().is_some_and(|shard| full.contains(&shard));
                self.mend(&name, is_excused, told).await?;
            }
        }
        try_join_all(self.layout().standbys.iter().map(|shard| self.mend_standby(*shard))).await?;
        Ok(())
    }

    /// Makes a process run, with the right clock.
    async fn mend(&self, name: &ProcessName, is_excused: bool, told: Told<'_>) -> Result<()> {
        let _turn = self.turn_of(name).await?;
        self.cluster.signal_all(name, Signal::SIGCONT).await?;
        if locked(&self.marks.wrong_clocks).remove(name) {
            self.restart_with(name, BTreeMap::new(), told).await?;
        }
        if self.cluster.process(name)?.is_alive() || self.is_deposed(name)? {
            return Ok(());
        }
        match name.role() {
            Role::Router | Role::ShardNode => self.note_death(name),
            _ if is_excused => {}
            _ => self.marks.note(death(name)),
        }
        self.start_one(name, told).await
    }

    /// Notes that one of the wallet's own programs has ended by itself.
    pub fn note_death(&self, name: &ProcessName) {
        locked(&self.marks.deaths).push(death(name));
    }

    /// Whether it was a primary before a failover: it comes back as a standby, made anew.
    fn is_deposed(&self, name: &ProcessName) -> Result<bool> {
        let shard =
            name.shard().filter(|shard| name.role() == Role::Postgres && self.layout().standbys.contains(shard));
        let Some(shard) = shard else { return Ok(false) };
        Ok(!self.cluster.has_standby(shard)? && self.cluster.primary(shard)? != *name)
    }

    async fn mend_standby(&self, shard: u16) -> Result<()> {
        let _turns = self.turns_of_servers(shard).await?;
        if self.cluster.has_standby(shard)? { Ok(()) } else { self.cluster.rebuild_standby(shard).await }
    }

    /// Waits until every process is ready.
    ///
    /// # Errors
    /// Some are not after 30 s; the message names them.
    pub async fn ready(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let names = self.cluster.processes().into_iter().map(|process| process.name);
        let readying = names.map(async |name| {
            let patience = deadline.saturating_duration_since(Instant::now());
            let ready = self.ready_within(&name, patience).await?;
            anyhow::Ok((!ready).then(|| name.to_string()))
        });
        let late: Vec<String> = try_join_all(readying).await?.into_iter().flatten().collect();
        let logs = self.cluster.data_dir().path().join("logs");
        ensure!(
            late.is_empty(),
            "not ready {} s after all harm was undone: {}; the logs are in {}",
            PATIENCE.as_secs(),
            late.join(", "),
            logs.display()
        );
        Ok(())
    }
}

fn death(name: &ProcessName) -> String {
    format!("{name} had ended by itself and was started again")
}

//! What is done to whole processes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use local_cluster::{ProcessName, Role, Signal};
use tokio::time::sleep;

use super::cluster::{Change, HarmedCluster, Told, locked};

/// In a rolling restart the next process is not restarted before this one is ready, or after so long: with other
/// harm about, it may not get ready before the heal.
const ROLLING_PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);

impl HarmedCluster {
    pub(super) async fn kill(&self, name: &ProcessName, pause_ms: u64, told: Told<'_>) -> Result<()> {
        let _turn = self.turn_of(name).await?;
        if !self.cluster.process(name)?.is_alive() {
            // Other harm has ended it; that one's heal knows how it comes back.
            return Ok(());
        }
        told(Change::Down(name));
        self.cluster.signal_all(name, Signal::SIGKILL).await?;
        sleep(Duration::from_millis(pause_ms)).await;
        self.start_one(name, told).await
    }

    pub(super) async fn freeze(&self, name: &ProcessName, pause_ms: u64, told: Told<'_>) -> Result<()> {
        let _turn = self.turn_of(name).await?;
        told(Change::Down(name));
        self.cluster.signal_all(name, Signal::SIGSTOP).await?;
        sleep(Duration::from_millis(pause_ms)).await;
        self.cluster.signal_all(name, Signal::SIGCONT).await?;
        told(Change::GoesOn(name));
        Ok(())
    }

    pub(super) async fn restart_all(&self, told: Told<'_>) -> Result<()> {
        for role in [Role::Router, Role::ShardNode, Role::Redis, Role::Postgres] {
            let processes = self.cluster.processes().into_iter().filter(|process| process.name.role() == role);
            for name in processes.map(|process| process.name) {
                let _turn = self.turn_of(&name).await?;
                // A deposed primary is down until the heal makes a standby of it.
                if self.cluster.process(&name)?.is_alive() {
                    self.restart(&name, told).await?;
                    self.ready_within(&name, ROLLING_PATIENCE).await?;
                }
            }
        }
        Ok(())
    }

    /// Restarts a process with a wall clock that is off.
    pub(super) async fn set_clock(&self, name: &ProcessName, ahead_seconds: i64, told: Told<'_>) -> Result<()> {
        let clock = self.clock.as_ref().context("clocks cannot be set wrong here")?;
        let _turn = self.turn_of(name).await?;
        locked(&self.marks.wrong_clocks).insert(name.clone());
        self.restart_with(name, clock.environment(ahead_seconds), told).await
    }

    /// Stops a process gracefully, if it runs, and starts it with further variables.
    pub(super) async fn restart_with(
        &self,
        name: &ProcessName,
        variables: BTreeMap<String, String>,
        told: Told<'_>,
    ) -> Result<()> {
        self.cluster.set_environment(name, variables);
        match self.cluster.process(name)?.is_alive() {
            true => self.restart(name, told).await,
            false => Ok(()),
        }
    }

    async fn restart(&self, name: &ProcessName, told: Told<'_>) -> Result<()> {
        told(Change::Down(name));
        self.cluster.stop_one(name).await?;
        self.start_one(name, told).await
    }

    /// Starts a process that does not run.
    pub(super) async fn start_one(&self, name: &ProcessName, told: Told<'_>) -> Result<()> {
        self.cluster.launch(name).await?;
        told(Change::Started(name));
        Ok(())
    }

    /// Waits until a process is ready; `false` if it is not by then.
    pub(super) async fn ready_within(&self, name: &ProcessName, patience: Duration) -> Result<bool> {
        let deadline = Instant::now() + patience;
        loop {
            let process = self.cluster.process(name)?;
            // A server that recovers may refuse for reasons that pass.
            if process.is_alive() && self.cluster.is_ready(&process).await.unwrap_or(false) {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            sleep(POLL).await;
        }
    }
}

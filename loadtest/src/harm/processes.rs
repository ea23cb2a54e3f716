//! What is done to whole processes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use local_cluster::{ProcessName, Role, Signal};
use tokio::time::sleep;

use super::cluster::{HarmedCluster, locked};

/// In a rolling restart the next process is not restarted before this one is ready, or after so long: with other
/// harm about, it may not get ready before the heal.
const ROLLING_PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);

impl HarmedCluster {
    pub(super) async fn kill(&self, name: &ProcessName, pause_ms: u64) -> Result<()> {
        let _turn = self.turn_of(name).await?;
        if !self.cluster.process(name)?.is_alive() {
            // Other harm has ended it; that one's heal knows how it comes back.
            return Ok(());
        }
        self.cluster.signal_all(name, Signal::SIGKILL).await?;
        sleep(Duration::from_millis(pause_ms)).await;
        self.cluster.launch(name).await
    }

    pub(super) async fn freeze(&self, name: &ProcessName, pause_ms: u64) -> Result<()> {
        let _turn = self.turn_of(name).await?;
        self.cluster.signal_all(name, Signal::SIGSTOP).await?;
        sleep(Duration::from_millis(pause_ms)).await;
        self.cluster.signal_all(name, Signal::SIGCONT).await
    }

    pub(super) async fn restart_all(&self) -> Result<()> {
        for role in [Role::Router, Role::ShardNode, Role::Redis, Role::Postgres] {
            let processes = self.cluster.processes().into_iter().filter(|process| process.name.role() == role);
            for name in processes.map(|process| process.name) {
                let _turn = self.turn_of(&name).await?;
                // A deposed primary is down until the heal makes a standby of it.
                if self.cluster.process(&name)?.is_alive() {
                    self.cluster.stop_one(&name).await?;
                    self.cluster.launch(&name).await?;
                    self.ready_within(&name, ROLLING_PATIENCE).await?;
                }
            }
        }
        Ok(())
    }

    /// Restarts a process with a wall clock that is off.
    pub(super) async fn set_clock(&self, name: &ProcessName, ahead_seconds: i64) -> Result<()> {
        let clock = self.clock.as_ref().context("clocks cannot be set wrong here")?;
        let _turn = self.turn_of(name).await?;
        locked(&self.marks.wrong_clocks).insert(name.clone());
        self.restart_with(name, clock.environment(ahead_seconds)).await
    }

    /// Stops a process gracefully, if it runs, and starts it with further variables.
    pub(super) async fn restart_with(&self, name: &ProcessName, variables: BTreeMap<String, String>) -> Result<()> {
        self.cluster.set_environment(name, variables);
        if !self.cluster.process(name)?.is_alive() {
            return Ok(());
        }
        self.cluster.stop_one(name).await?;
        self.cluster.launch(name).await
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

//! Keeping a cluster running: what ends unexpectedly is started again.

use std::collections::HashMap;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Result;
use futures_util::FutureExt;
use futures_util::future::select_all;
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::event::Event;
use crate::name::ProcessName;

/// The pause before a process is started again; it doubles each time it ends soon after.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// A process that ran for this long starts with the shortest pause again.
const STEADY: Duration = Duration::from_secs(60);

/// What is known of a process that ended before.
struct Restarts {
    pause: Duration,
    last: Instant,
    /// Set while it waits to be started.
    due: Option<Instant>,
}

impl Cluster {
    /// Starts again whatever ends, until `stop` completes.
    ///
    /// Only for a cluster that this program started.
    ///
    /// # Errors
    /// The state cannot be written. A process that cannot be started is reported and tried again.
    pub async fn supervise(&self, stop: impl Future<Output = ()>, progress: &mut dyn FnMut(Event)) -> Result<()> {
        tokio::pin!(stop);
        let mut restarts: HashMap<ProcessName, Restarts> = HashMap::new();
        loop {
            let next_due = restarts.values().filter_map(|restart| restart.due).min();
            tokio::select! {
                () = &mut stop => return Ok(()),
                (name, status) = self.next_exit(&restarts) => {
                    let pause = note_exit(&mut restarts, &name);
                    let how = status.map_or_else(|| "unknown how".to_owned(), |status| status.to_string());
                    let restart_in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                    progress(Event::Ended { name, how, restart_in_ms });
                }
                () = until(next_due) => self.restart_due(&mut restarts, progress).await?,
            }
        }
    }

    /// The next process to end, apart from those that are waiting to be started again.
    async fn next_exit(&self, waiting: &HashMap<ProcessName, Restarts>) -> (ProcessName, Option<ExitStatus>) {
        let is_waiting = |name: &ProcessName| waiting.get(name).is_some_and(|restart| restart.due.is_some());
        let children = self.locked_children().clone();
        let exits = children.into_iter().filter(|(name, _)| !is_waiting(name)).map(|(name, mut child)| {
            async move {
                let status = child.exited().await;
                (name, status)
            }
            .boxed()
        });
        let exits: Vec<_> = exits.collect();
        if exits.is_empty() {
            return std::future::pending().await;
        }
        select_all(exits).await.0
    }

    async fn restart_due(
        &self,
        restarts: &mut HashMap<ProcessName, Restarts>,
        progress: &mut dyn FnMut(Event),
    ) -> Result<()> {
        let now = Instant::now();
        for (name, restart) in restarts.iter_mut().filter(|(_, restart)| restart.due.is_some_and(|due| due <= now)) {
            restart.last = now;
            match self.launch(name).await {
                Ok(()) => {
                    restart.due = None;
                    progress(Event::Restarted(self.process(name)?));
                }
                Err(error) => {
                    restart.pause = (restart.pause * 2).min(PAUSE_MAX);
                    restart.due = Some(now + restart.pause);
                    progress(Event::RestartFailed { name: name.clone(), error: format!("{error:#}") });
                }
            }
        }
        Ok(())
    }
}

/// Decides when a process that has just ended is started again.
fn note_exit(restarts: &mut HashMap<ProcessName, Restarts>, name: &ProcessName) -> Duration {
    let now = Instant::now();
    let restart = restarts.entry(name.clone()).or_insert(Restarts { pause: PAUSE_MIN, last: now - STEADY, due: None });
    let ran_steadily = now.duration_since(restart.last) >= STEADY;
    restart.pause = if ran_steadily { PAUSE_MIN } else { (restart.pause * 2).min(PAUSE_MAX) };
    restart.due = Some(now + restart.pause);
    restart.pause
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

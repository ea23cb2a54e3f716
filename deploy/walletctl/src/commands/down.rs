//! `walletctl down`

use std::time::Duration;

use anyhow::{Result, ensure};
use local_cluster::{Cluster, DataDir, Process, ProcessIdentity, Signal, purge};

use crate::GlobalOptions;
use crate::data_dir_in_use::is_missing;
use crate::display::Display;
use crate::outcome::Outcome;
use crate::output::print;

/// Stop the local cluster; its data stays
///
/// Routers and shard-nodes first finish what they are doing. A cluster in the foreground of another terminal is asked
/// to stop there.
#[derive(Debug, clap::Args)]
pub(crate) struct Down {
    /// Delete the data too
    #[arg(long)]
    purge: bool,
}

/// Longer than all the patience that a stopping `up` has with its processes.
const OWNER_TIMEOUT: Duration = Duration::from_secs(150);

impl Down {
    pub(crate) async fn run(self, options: &GlobalOptions) -> Result<Outcome> {
        let cluster = self.attached(options)?;
        if options.dry_run {
            return self.say(cluster.as_ref(), options);
        }
        let mut display = Display::new();
        let where_ = options.data_dir.display();
        match &cluster {
            Some(cluster) => stop(cluster, &mut display).await?,
            // A start that was refused may have left an empty one to delete.
            None if self.purge && DataDir::open_for_deletion(&options.data_dir)?.is_some() => (),
            None => {
                print(&format!("{}; nothing to stop", is_missing(options)))?;
                return Ok(Outcome::Fine);
            }
        }
        if self.purge {
            purge(&options.data_dir, &mut |event| display.show(&event)).await?;
            print(&format!("stopped; the data in {where_} is deleted"))?;
        } else {
            print(&format!("stopped; data stays in {where_}"))?;
        }
        Ok(Outcome::Fine)
    }

    /// Data of another version cannot be read, but may still be deleted.
    fn attached(&self, options: &GlobalOptions) -> Result<Option<Cluster>> {
        match Cluster::attach(&options.data_dir) {
            Err(_) if self.purge => Ok(None),
            attached => attached,
        }
    }

    fn say(&self, cluster: Option<&Cluster>, options: &GlobalOptions) -> Result<Outcome> {
        if cluster.is_none() {
            print(&is_missing(options))?;
        }
        let running = cluster.map(Cluster::processes).unwrap_or_default().into_iter().filter(Process::is_alive);
        for process in running {
            print(&format!("would stop {} (pid {})", process.name, process.pid().unwrap_or_default()))?;
        }
        if self.purge && DataDir::open_for_deletion(&options.data_dir)?.is_some() {
            print(&format!("would delete {}", options.data_dir.display()))?;
        }
        Ok(Outcome::Fine)
    }
}

async fn stop(cluster: &Cluster, display: &mut Display) -> Result<()> {
    if let Some(owner) = cluster.state().owner.filter(ProcessIdentity::is_alive) {
        display.line(&format!("asking walletctl up (process {}) to stop", owner.pid));
        owner.signal(Signal::SIGTERM)?;
        ensure!(owner.gone(OWNER_TIMEOUT).await, "process {} does not end", owner.pid);
    }
    // All of it if nobody had it in the foreground, otherwise what is left.
    cluster.stop(&mut |event| display.show(&event)).await
}

//! Opening a data directory for a start: what another program, or a crash, may have left there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::data_dir::{Claim, DataDir};
use crate::event::{Event, join};
use crate::identity::{self, ProcessIdentity};
use crate::name::{Process, ProcessName, Role};
use crate::scratch::Watchdog;
use crate::spec::ClusterSpec;
use crate::state::State;
use crate::stop;

/// A data directory in which this program is alone.
pub(crate) struct Opened {
    pub(crate) data_dir: DataDir,
    pub(crate) claim: Claim,
    /// Whether nothing was there before.
    pub(crate) is_new: bool,
    /// Present if the directory is temporary.
    pub(crate) scratch: Option<Watchdog>,
}

/// Opens the data directory of `spec`, alone in it and with nothing of an earlier run alive.
///
/// # Errors
/// Another program works there, a cluster runs there, or it holds something else; nothing was changed.
pub(crate) async fn open(spec: &ClusterSpec, progress: &mut dyn FnMut(Event)) -> Result<Opened> {
    let (path, scratch) = match &spec.data_dir {
        Some(path) => (path.clone(), None),
        None => temporary().map(|(path, watchdog)| (path, Some(watchdog)))?,
    };
    if spec.fresh {
        purge(&path, progress).await?;
    }
    let is_new = !path.exists();
    let data_dir = DataDir::open_or_make(&path)?;
    let claim = claim(&data_dir)?;
    settle(&data_dir, progress).await?;
    Ok(Opened { data_dir, claim, is_new, scratch })
}

fn temporary() -> Result<(PathBuf, Watchdog)> {
    let directory =
        tempfile::Builder::new().prefix("wallet-").tempdir().context("cannot make a temporary directory")?;
    let watchdog = Watchdog::over(directory.path())?;
    Ok((directory.keep(), watchdog))
}

/// Deletes the data directory of a stopped cluster; stops what a crash left running there. Nothing there is fine too.
///
/// # Errors
/// A cluster runs there, or it is no data directory; nothing was changed.
pub async fn purge(path: &Path, progress: &mut dyn FnMut(Event)) -> Result<()> {
    let Some(data_dir) = DataDir::open_for_deletion(path)? else { return Ok(()) };
    let claim = claim(&data_dir)?;
    settle(&data_dir, progress).await?;
    data_dir.empty(&claim)?;
    data_dir.delete()
}

fn claim(data_dir: &DataDir) -> Result<Claim> {
    let claim = data_dir.claim()?;
    claim.with_context(|| {
        // A state that cannot be read does not change that somebody works here.
        let owner = State::read(data_dir).ok().flatten().and_then(|state| state.owner);
        let who = owner.map(|owner| format!(" (process {})", owner.pid)).unwrap_or_default();
        format!("another walletctl{who} works in {}; `walletctl down` stops its cluster", data_dir.path().display())
    })
}

/// Makes sure that nothing of an earlier run is left.
///
/// # Errors
/// All of it still runs: then it is no remains but a cluster.
async fn settle(data_dir: &DataDir, progress: &mut dyn FnMut(Event)) -> Result<()> {
    // Data of another version may have another state; its processes cannot be found by it.
    let Some(state) = State::read(data_dir).ok().flatten() else { return Ok(()) };
    let (alive, dead): (Vec<Process>, Vec<Process>) = state.processes.into_iter().partition(Process::is_alive);
    if !alive.is_empty() && dead.is_empty() {
        bail!(
            "a cluster runs in {} already; `walletctl status` shows it, `walletctl down` stops it",
            data_dir.path().display()
        );
    }
    if !alive.is_empty() {
        progress(Event::StoppingLeftovers { names: alive.iter().map(|process| process.name.clone()).collect() });
        stop::stop_all(&alive, progress).await?;
    }
    for process in dead.iter().filter(|process| process.name.role() == Role::Postgres) {
        backends_gone(data_dir, &process.name).await?;
    }
    Ok(())
}

/// A PostgreSQL killed a moment ago may still have back-ends, which are about to notice.
async fn backends_gone(data_dir: &DataDir, name: &ProcessName) -> Result<()> {
    const PATIENCE: Duration = Duration::from_secs(10);
    let mut left: Vec<ProcessIdentity> = identity::working_in(&data_dir.server_files(name));
    for identity in &left {
        identity.gone(PATIENCE).await;
    }
    left.retain(ProcessIdentity::is_alive);
    let pids = join(left.iter().map(|identity| identity.pid));
    ensure!(left.is_empty(), "{name} of an earlier run has processes left that do not end: {pids}; end them with kill");
    Ok(())
}

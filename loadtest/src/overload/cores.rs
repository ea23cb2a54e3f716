//! Keeps the load and the wallet on different cores: on two cores that they share, each would measure the other.

use std::fs;

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// This program and the processes `beside` it on the last core it may use, and the `others` with all that descend from
/// them on the rest. `None`: there is only one core.
///
/// # Errors
/// The system does not let us.
pub fn part(beside: &[u32], others: &[u32]) -> Result<Option<Cores>> {
    let ours = Pid::from_raw(0);
    let allowed = sched_getaffinity(ours).context("cannot tell which cores there are")?;
    let mut cores: Vec<usize> = (0..CpuSet::count()).filter(|core| allowed.is_set(*core).unwrap_or(false)).collect();
    let (Some(load), false) = (cores.pop(), cores.is_empty()) else { return Ok(None) };
    let sets = [(others, set_of(&cores)?), (beside, set_of(&[load])?)];
    for (pids, set) in &sets {
        for pid in with_descendants(pids)? {
            confine(pid, set)?;
        }
    }
    sched_setaffinity(ours, &set_of(&[load])?).context("cannot choose a core for this program")?;
    Ok(Some(Cores { load, wallet: cores }))
}

/// Who runs where.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Cores {
    /// The core of this program, and of the routers where they are kept beside it.
    pub load: usize,
    /// Those of the rest.
    pub wallet: Vec<usize>,
}

fn set_of(cores: &[usize]) -> Result<CpuSet> {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core)?;
    }
    Ok(set)
}

/// All threads of a process; one that has ended meanwhile needs no core.
fn confine(pid: u32, set: &CpuSet) -> Result<()> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Ok(()) };
    for thread in threads.flatten() {
        let Some(thread) = thread.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        match sched_setaffinity(Pid::from_raw(thread), set) {
            Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
            Err(error) => return Err(error).with_context(|| format!("cannot choose cores for process {pid}")),
        }
    }
    Ok(())
}

/// Children that are made later inherit the cores of their parent (sched_setaffinity(2)).
fn with_descendants(pids: &[u32]) -> Result<Vec<u32>> {
    let parents: Vec<(u32, u32)> = processes()?.filter_map(|pid| Some((pid, parent_of(pid)?))).collect();
    let mut found = pids.to_vec();
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    Ok(found)
}

fn processes() -> Result<impl Iterator<Item = u32>> {
    let entries = fs::read_dir("/proc").context("cannot read /proc")?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()))
}

/// Field 4 of proc_pid_stat(5).
fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descendants_are_found() {
        // A shell that has to wait for its child does not become it.
        let mut shell = std::process::Command::new("sh").args(["-c", "sleep 60; true"]).spawn().unwrap();
        let child = loop {
            let found = with_descendants(&[shell.id()]).unwrap();
            if let [_, child] = found[..] {
                break child;
            }
            std::thread::yield_now();
        };
        let only_first = set_of(&[first_core()]).unwrap();
        confine(child, &only_first).unwrap();
        let child = Pid::from_raw(i32::try_from(child).unwrap());
        assert_eq!(sched_getaffinity(child).unwrap(), only_first);
        nix::sys::signal::kill(child, nix::sys::signal::Signal::SIGKILL).unwrap();
        shell.wait().unwrap();
        assert_eq!(with_descendants(&[u32::MAX]).unwrap(), [u32::MAX]);
    }

    fn first_core() -> usize {
        let allowed = sched_getaffinity(Pid::from_raw(0)).unwrap();
        (0..CpuSet::count()).find(|core| allowed.is_set(*core).unwrap()).unwrap()
    }
}

//! Which process a pid means: ids are reused, so a pid alone proves nothing.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

const POLL: Duration = Duration::from_millis(10);

/// A process that cannot be confused with another one: its id, when it started, and in which boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// The process id.
    pub pid: u32,
    /// Clock ticks from boot to its start (field 22 of `/proc/PID/stat`).
    pub start_ticks: u64,
    /// The kernel's id of the boot it was started in.
    pub boot_id: String,
}

impl ProcessIdentity {
    /// Reads the identity of a running process.
    ///
    /// # Errors
    /// There is no such process, or `/proc` cannot be read.
    pub fn of(pid: u32) -> io::Result<Self> {
        Ok(Self { pid, start_ticks: read_stat(pid)?.start_ticks, boot_id: boot_id()? })
    }

    /// The identity of the calling process.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn own() -> io::Result<Self> {
        Self::of(std::process::id())
    }

    /// Whether exactly this process still runs. One that ended and was not yet waited for does not.
    pub fn is_alive(&self) -> bool {
        let Ok(stat) = read_stat(self.pid) else { return false };
        stat.start_ticks == self.start_ticks
            && !matches!(stat.state, 'Z' | 'X')
            && boot_id().is_ok_and(|boot| boot == self.boot_id)
    }

    /// Sends a signal; a process that is gone already is not an error.
    ///
    /// # Errors
    /// The process belongs to somebody else.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        if !self.is_alive() {
            return Ok(());
        }
        match kill(Pid::from_raw(self.pid.cast_signed()), signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Waits until the process is gone; `false` if it still runs after `within`.
    pub async fn gone(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        while self.is_alive() {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(POLL).await;
        }
        true
    }

    /// As [`Self::gone`], for where nothing can be awaited.
    pub(crate) fn gone_blocking(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        while self.is_alive() && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        !self.is_alive()
    }

    /// Proportional memory (PSS) of the process and all its descendants in bytes: what it would free by ending.
    /// `None` if it is gone, and where the kernel does not tell, as for another user's process.
    pub fn memory_bytes(&self) -> Option<u64> {
        if !self.is_alive() {
            return None;
        }
        tree(self.pid).into_iter().map(pss_bytes).sum()
    }
}

struct Stat {
    state: char,
    parent: u32,
    start_ticks: u64,
}

fn read_stat(pid: u32) -> io::Result<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    parse_stat(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unexpected form of /proc/PID/stat"))
}

/// The command's name stands in parentheses and may itself contain any character, so fields count from the last one.
fn parse_stat(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_whitespace().collect();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        start_ticks: fields.get(19)?.parse().ok()?,
    })
}

fn boot_id() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

fn all_pids() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn tree(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> =
        all_pids().into_iter().filter_map(|pid| Some((pid, read_stat(pid).ok()?.parent))).collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found
}

/// One that has ended since it was listed holds nothing any more.
fn pss_bytes(pid: u32) -> Option<u64> {
    let text = match std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) {
        Ok(text) => text,
        Err(error) => {
            let errno = error.raw_os_error().map(Errno::from_raw);
            return matches!(errno, Some(Errno::ENOENT | Errno::ESRCH)).then_some(0);
        }
    };
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The processes whose working directory is `directory`: every process of a PostgreSQL works in its data directory,
/// so this finds back-ends that outlived their postmaster too.
pub(crate) fn working_in(directory: &Path) -> Vec<ProcessIdentity> {
    let works_there = |pid: &u32| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == directory);
    all_pids()
        .into_iter()
        .filter(works_there)
        .filter_map(|pid| ProcessIdentity::of(pid).ok())
        .filter(ProcessIdentity::is_alive)
        .collect()
}

/// The command line of a process, for messages; empty if it is gone or hidden.
pub(crate) fn command_line(pid: u32) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ").trim().to_owned()
}

/// The process that listens on a local TCP port, if this user may know.
pub(crate) fn listener_of(port: u16) -> Option<u32> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| listening_inode(table, port))?;
    let socket = PathBuf::from(format!("socket:[{inode}]"));
    all_pids().into_iter().find(|pid| {
        let handles = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        handles.filter_map(|handle| std::fs::read_link(handle.path()).ok()).any(|target| target == socket)
    })
}

fn listening_inode(table: &str, port: u16) -> Option<String> {
    const LISTEN: &str = "0A";
    let text = std::fs::read_to_string(table).ok()?;
    text.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let local = u16::from_str_radix(fields.get(1)?.rsplit(':').next()?, 16).ok()?;
        (local == port && *fields.get(3)? == LISTEN).then(|| fields.get(9).map(|inode| (*inode).to_owned()))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_process_is_alive_and_has_memory() {
        let own = ProcessIdentity::own().unwrap();
        assert!(own.is_alive());
        assert!(own.memory_bytes().unwrap() > 0);
    }

    #[test]
    fn reused_pid_is_another_process() {
        let mut other = ProcessIdentity::own().unwrap();
        other.start_ticks += 1;
        assert!(!other.is_alive());
    }

    #[test]
    fn pid_of_another_boot_is_another_process() {
        let mut other = ProcessIdentity::own().unwrap();
        other.boot_id = "another".to_owned();
        assert!(!other.is_alive());
    }

    #[test]
    fn ended_child_that_nobody_waited_for_is_gone() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let identity = ProcessIdentity::of(child.id()).unwrap();
        identity.signal(Signal::SIGKILL).unwrap();
        assert!(identity.gone_blocking(Duration::from_secs(5)));
        child.wait().unwrap();
    }

    #[test]
    fn stat_is_read_past_a_name_with_parentheses() {
        let fields = (4..=52).map(|field| field.to_string()).collect::<Vec<_>>().join(" ");
        let stat = parse_stat(&format!("77 (a) b (c) S {fields}")).unwrap();
        assert_eq!((stat.state, stat.parent, stat.start_ticks), ('S', 4, 22));
    }

    #[test]
    fn listener_is_found_by_its_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(listener_of(listener.local_addr().unwrap().port()), Some(std::process::id()));
    }
}

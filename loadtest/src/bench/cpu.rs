//! CPU time of processes, from `/proc` (proc_pid_stat(5)).

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// Linux counts CPU time for user space in hundredths of a second (`USER_HZ`), on every architecture.
const TICK: Duration = Duration::from_millis(10);

/// Whose time is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// One process, all of its threads.
    Process(u32),
    /// A process and its children, those that have ended included: a PostgreSQL with its back-ends.
    Family(u32),
    /// The children of this program that have ended.
    OwnEndedChildren,
}

/// The processes to look at, by the name they are shown under; those of one name are added up.
#[derive(Debug, Clone, Default)]
pub struct Probe {
    parts: Vec<(&'static str, Whose)>,
}

/// CPU time by name.
pub type CpuTimes = BTreeMap<&'static str, Duration>;

impl Probe {
    /// Also looks at these.
    pub fn with(mut self, name: &'static str, whose: Whose) -> Self {
        self.parts.push((name, whose));
        self
    }

    /// The CPU time that each name has used so far.
    ///
    /// # Errors
    /// A process is gone.
    pub fn read(&self) -> Result<CpuTimes> {
        let mut times = CpuTimes::new();
        for (name, whose) in &self.parts {
            *times.entry(*name).or_default() += whose.read().with_context(|| format!("no CPU time of {name}"))?;
        }
        Ok(times)
    }

    /// The CPU time that each name has used since an earlier reading.
    ///
    /// # Errors
    /// A process is gone.
    pub fn since(&self, before: &CpuTimes) -> Result<CpuTimes> {
        let mut times = self.read()?;
        for (name, time) in &mut times {
            *time = time.saturating_sub(before.get(name).copied().unwrap_or_default());
        }
        Ok(times)
    }
}

impl Whose {
    fn read(self) -> Result<Duration> {
        match self {
            Self::Process(pid) => Ok(Stat::of(pid)?.own),
            Self::OwnEndedChildren => Ok(Stat::of(std::process::id())?.ended_children),
            Self::Family(pid) => {
                let parent = Stat::of(pid)?;
                // A child that ends in between is missing in this reading and there in the next one.
                let children = processes()?.filter_map(|pid| Stat::of(pid).ok()).filter(|stat| stat.parent == pid);
                Ok(parent.own + parent.ended_children + children.map(|child| child.own + child.ended_children).sum())
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    own: Duration,
    ended_children: Duration,
}

impl Stat {
    fn of(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/stat");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        Self::parse(&text).with_context(|| format!("{path} is in an unknown form"))
    }

    fn parse(text: &str) -> Option<Self> {
        // Field 2, the name in parentheses, may itself contain blanks and parentheses.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks = |field: usize| -> Option<u32> { fields.get(field - 3)?.parse().ok() };
        Some(Self {
            parent: ticks(4)?,
            own: TICK * (ticks(14)? + ticks(15)?),
            ended_children: TICK * (ticks(16)? + ticks(17)?),
        })
    }
}

fn processes() -> Result<impl Iterator<Item = u32>> {
    let entries = fs::read_dir("/proc").context("cannot read /proc")?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_may_contain_anything() {
        let stat = "7 (a) b (c) S 5 7 7 0 -1 4194304 100 200 0 0 30 12 400 8 20 0 1 0 100 0 0";
        let wanted = Stat { parent: 5, own: Duration::from_millis(420), ended_children: Duration::from_millis(4080) };
        assert_eq!(Stat::parse(stat), Some(wanted));
        assert_eq!(Stat::parse("7 (a) S 5"), None);
    }

    #[test]
    fn work_of_this_program_is_seen() {
        let probe = Probe::default().with("us", Whose::Process(std::process::id()));
        let before = probe.read().unwrap();
        let start = std::time::Instant::now();
        while start.elapsed() < Duration::from_millis(100) {
            std::hint::spin_loop();
        }
        assert!(probe.since(&before).unwrap()["us"] >= Duration::from_millis(20));
    }

    #[test]
    fn missing_process_is_an_error() {
        assert!(Probe::default().with("nobody", Whose::Process(u32::MAX)).read().is_err());
    }
}

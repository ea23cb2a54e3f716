//! Processes whose wall clock is wrong: libfaketime stands between them and the system.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::event::Event;
use crate::install;

const PACKAGE: &str = "libfaketime";
const LIBRARY: &str = "faketime/libfaketime.so.1";

/// The library that makes a process see another wall clock. PostgreSQL, shard-nodes and routers run with it; Redis with
/// jemalloc, as Debian has it, does not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongClock {
    library: PathBuf,
}

impl WrongClock {
    /// Finds libfaketime; installs Debian's package where it is missing, telling `progress` before it does.
    ///
    /// # Errors
    /// It cannot be installed; the message names the package.
    pub async fn find_or_install(progress: &mut dyn FnMut(Event)) -> Result<Self> {
        if find().is_none() {
            install::install(|| if find().is_none() { vec![PACKAGE] } else { vec![] }, progress).await?;
        }
        let library = find().with_context(|| format!("apt installed {PACKAGE}, yet {LIBRARY} was not found"))?;
        Ok(Self { library })
    }

    /// The environment of a process whose wall clock is ahead by so many seconds; negative: behind. Its monotonic clock
    /// and the times of files stay right.
    pub fn environment(&self, ahead_seconds: i64) -> BTreeMap<String, String> {
        let library = self.library.display().to_string();
        let variables = [
            ("LD_PRELOAD", library.as_str()),
            ("FAKETIME", &format!("{ahead_seconds:+}")),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("NO_FAKE_STAT", "1"),
        ];
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }
}

/// Deletes what libfaketime leaves of a killed process.
pub(crate) fn remove_remains(pid: u32) {
    for name in ["faketime_shm", "sem.faketime_sem"] {
        // Of a process with a right clock there is none.
        drop(std::fs::remove_file(format!("/dev/shm/{name}_{pid}")));
    }
}

/// Debian keeps it in a directory of the architecture's, others in one of these.
fn find() -> Option<PathBuf> {
    let architectures = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let fixed = ["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(PathBuf::from);
    fixed.into_iter().chain(architectures).map(|directory| directory.join(LIBRARY)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_is_ahead_or_behind() {
        let clock = WrongClock { library: "/x.so".into() };
        assert_eq!(clock.environment(3_600)["FAKETIME"], "+3600");
        assert_eq!(clock.environment(-3_600)["FAKETIME"], "-3600");
    }
}

//! What a caller is told while a cluster starts and stops.

use std::fmt;
use std::time::Duration;

use crate::name::{Process, ProcessName};
use crate::tools::Tools;

/// A step of a cluster's start or stop, in a form that reads well as a line of text too.
#[derive(Debug, Clone)]
pub enum Event {
    /// Packages are missing and are being installed.
    Installing {
        /// Their Debian names.
        packages: Vec<&'static str>,
    },
    /// The tools are there.
    ToolsFound(Tools),
    /// The workspace is being built.
    Building,
    /// It is built.
    Built {
        /// How long that took.
        took: Duration,
    },
    /// Processes of an earlier run are still there and are being stopped.
    StoppingLeftovers {
        /// Which ones.
        names: Vec<ProcessName>,
    },
    /// This is what will be started.
    Planned {
        /// All of it.
        processes: Vec<Process>,
    },
    /// A process serves.
    Ready(Process),
    /// Sessions, users and the first money are being made.
    Seeding,
    /// Processes are asked to stop.
    Stopping {
        /// Which ones.
        names: Vec<ProcessName>,
    },
    /// A process did not stop in time and was killed.
    Killed(ProcessName),
    /// A process ended that should not have.
    Ended {
        /// Which one.
        name: ProcessName,
        /// How, such as `signal: 9 (SIGKILL)`.
        how: String,
        /// When it is started again, in milliseconds from now.
        restart_in_ms: u64,
    },
    /// A process that had ended was started again.
    Restarted(Process),
    /// A process could not be started again; it will be tried once more.
    RestartFailed {
        /// Which one.
        name: ProcessName,
        /// Why.
        error: String,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Installing { packages } => write!(f, "installing {} with apt-get", packages.join(" ")),
            Self::ToolsFound(tools) => write!(
                f,
                "postgres {} found in {}, redis {}",
                tools.postgres_version,
                tools.postgres_bin.display(),
                tools.redis_version
            ),
            Self::Building => write!(f, "building router and shard-node"),
            Self::Built { took } => write!(f, "built in {:.1} s", took.as_secs_f64()),
            Self::StoppingLeftovers { names } => {
                write!(f, "an earlier run left processes behind, stopping them: {}", join(names.iter()))
            }
            Self::Planned { processes } => write!(f, "starting {} processes", processes.len()),
            Self::Ready(process) => write!(f, "{} ready on {}", process.name, process.address),
            Self::Seeding => write!(f, "making sessions and accounts"),
            Self::Stopping { names } => write!(f, "stopping {}", join(names.iter())),
            Self::Killed(name) => write!(f, "{name} did not stop in time and was killed"),
            Self::Ended { name, how, restart_in_ms } => {
                write!(f, "{name} ended unexpectedly ({how}); starting it again in {restart_in_ms} ms")
            }
            Self::Restarted(process) => {
                write!(f, "{} started again, pid {}", process.name, process.pid().unwrap_or_default())
            }
            Self::RestartFailed { name, error } => write!(f, "{name} could not be started again: {error}"),
        }
    }
}

pub(crate) fn join<T: fmt::Display>(items: impl Iterator<Item = T>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

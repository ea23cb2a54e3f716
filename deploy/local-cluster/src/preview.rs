//! What a start would do, found out without changing anything.

use anyhow::Result;

use crate::binaries::Binaries;
use crate::data_dir::DataDir;
use crate::name::Process;
use crate::ports::check_free;
use crate::spec::ClusterSpec;
use crate::state::State;
use crate::tools::{FoundTools, Tools};

/// What [`crate::Cluster::start`] would do.
#[derive(Debug)]
pub struct Preview {
    /// Debian packages that would be installed first.
    pub missing_packages: Vec<&'static str>,
    /// Whether it would continue with existing data.
    pub continues: bool,
    /// What would be started, with the addresses.
    pub processes: Vec<Process>,
    /// Processes of this data directory that run now.
    pub running: Vec<Process>,
    /// Why ports would be refused, with their numbers and, where known, who has them.
    pub taken_ports: Option<String>,
}

impl Preview {
    /// Looks at what `spec` would meet.
    ///
    /// # Errors
    /// The start would be refused because of the spec itself, or of the data that is there.
    pub fn of(spec: &ClusterSpec) -> Result<Self> {
        spec.check()?;
        let existing = match &spec.data_dir {
            Some(path) if !spec.fresh => {
                DataDir::open(path)?.map(|data_dir| State::read(&data_dir)).transpose()?.flatten()
            }
            _ => None,
        };
        let continues = existing.is_some();
        // They only go into the state, which is not kept.
        let (tools, binaries) = (Tools::unknown(), Some(Binaries::unknown()));
        let state = match existing {
            Some(state) => state.continued(spec, tools, binaries)?,
            None => State::plan(spec, tools, binaries)?,
        };
        let running: Vec<Process> = state.processes.iter().filter(|process| process.is_alive()).cloned().collect();
        let taken_ports = if running.is_empty() { check_free(&state.processes).err() } else { None };
        Ok(Self {
            missing_packages: FoundTools::look().missing_packages(),
            continues,
            running,
            taken_ports: taken_ports.map(|error| error.to_string()),
            processes: state.processes,
        })
    }
}

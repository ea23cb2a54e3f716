//! A cluster that was started, by this program or an earlier one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use crate::config_files::postgres_url;
use crate::data_dir::{Claim, DataDir, read_json};
use crate::event::Event;
use crate::identity::ProcessIdentity;
use crate::keeper::Child;
use crate::name::{Process, ProcessName, Role};
use crate::scratch::Watchdog;
use crate::secrets::Secrets;
use crate::service_user::ServiceUser;
use crate::spec::Lifetime;
use crate::state::State;
use crate::{disk, postgres, redis_server, stop, wrong_clock};

/// How long a signalled process is waited for where the signal is sure to end it.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// A cluster on this machine. Made by [`Cluster::start`] it owns its processes: unless they are detached, dropping it
/// ends them at once. Made by [`Cluster::attach`] it only looks at them.
pub struct Cluster {
    pub(crate) data_dir: DataDir,
    pub(crate) secrets: Secrets,
    pub(crate) service_user: Option<ServiceUser>,
    pub(crate) lifetime: Lifetime,
    /// Whether dropping this ends the processes.
    pub(crate) owns: bool,
    pub(crate) state: Mutex<State>,
    pub(crate) children: Mutex<HashMap<ProcessName, Child>>,
    /// Variables that some processes get beyond those of their kind.
    pub(crate) extra_env: Mutex<HashMap<ProcessName, BTreeMap<String, String>>>,
    /// The PostgreSQL servers that wait for their standby before they acknowledge a commit.
    pub(crate) synchronous: Mutex<BTreeSet<ProcessName>>,
    /// Present if all is deleted in the end.
    pub(crate) scratch: Option<Watchdog>,
    /// Keeps other programs out of the data directory.
    pub(crate) _claim: Option<Claim>,
}

impl Cluster {
    /// Looks at the cluster of a data directory, whether it runs or not; `None` if there is none.
    ///
    /// # Errors
    /// The directory is something else, of another version, or damaged.
    pub fn attach(path: &Path) -> Result<Option<Self>> {
        let Some(data_dir) = DataDir::open(path)? else { return Ok(None) };
        let Some(state) = State::read(&data_dir)? else { return Ok(None) };
        let secrets = read_json(&data_dir.secrets())?.context("the data directory has no secrets.json")?;
        Ok(Some(Self {
            service_user: ServiceUser::for_files_in(data_dir.path())?,
            data_dir,
            secrets,
            lifetime: Lifetime::Detached,
            owns: false,
            state: Mutex::new(state),
            children: Mutex::default(),
            extra_env: Mutex::default(),
            synchronous: Mutex::default(),
            scratch: None,
            _claim: None,
        }))
    }

    /// The directory that holds everything.
    pub fn data_dir(&self) -> &DataDir {
        &self.data_dir
    }

    /// A copy of what is known of the cluster.
    pub fn state(&self) -> State {
        self.locked_state().clone()
    }

    /// All processes, whether they run or not.
    pub fn processes(&self) -> Vec<Process> {
        self.locked_state().processes.clone()
    }

    /// Whether any part of it runs, or a program has it in its foreground.
    pub fn runs(&self) -> bool {
        let state = self.locked_state();
        state.processes.iter().any(Process::is_alive) || state.owner.as_ref().is_some_and(ProcessIdentity::is_alive)
    }

    /// The process of that name.
    ///
    /// # Errors
    /// The cluster has none.
    pub fn process(&self, name: &ProcessName) -> Result<Process> {
        self.locked_state().process(name).cloned()
    }

    /// The names of the regions.
    pub fn regions(&self) -> Vec<String> {
        self.locked_state().regions.clone()
    }

    /// Where the first router of a region serves, as `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// There is no such region.
    pub fn router_url(&self, region: &str) -> Result<String> {
        Ok(format!("http://{}", self.router_address(region, 0)?))
    }

    /// Where a router of a region serves.
    ///
    /// # Errors
    /// There is no such router.
    pub fn router_address(&self, region: &str, replica: u16) -> Result<SocketAddr> {
        Ok(self.process(&ProcessName::Router { region: region.to_owned(), replica })?.address)
    }

    /// Connection parameters, in libpq's form, for the database that a shard-node works with.
    ///
    /// # Errors
    /// There is no such shard.
    pub fn shard_postgres_url(&self, shard: u16) -> Result<String> {
        Ok(postgres_url(&self.servers(shard)?, "wallet", "wallet", &self.secrets.postgres_wallet))
    }

    /// As [`Self::shard_postgres_url`], for PostgreSQL's superuser in the database `postgres`.
    ///
    /// # Errors
    /// There is no such shard.
    pub fn shard_superuser_url(&self, shard: u16) -> Result<String> {
        Ok(postgres_url(&self.servers(shard)?, "postgres", "postgres", &self.secrets.postgres_superuser))
    }

    fn servers(&self, shard: u16) -> Result<Vec<SocketAddr>> {
        let state = self.locked_state();
        let servers: Vec<SocketAddr> = state.servers(shard).map(|server| server.address).collect();
        ensure!(!servers.is_empty(), "this cluster has no shard {shard}");
        Ok(servers)
    }

    /// The address of a region's Redis, as `redis://127.0.0.1:8580/`.
    ///
    /// # Errors
    /// There is no such region.
    pub fn redis_url(&self, region: &str) -> Result<String> {
        let address = self.process(&ProcessName::Redis { region: region.to_owned() })?.address;
        Ok(redis_server::url(address))
    }

    /// The secret that the processes prove to each other with.
    pub fn secret(&self) -> &str {
        &self.secrets.cluster
    }

    /// The topology that the cluster started from. A later one is in the shards' databases.
    ///
    /// # Errors
    /// The file is missing or damaged.
    pub fn topology(&self) -> Result<placement::Topology> {
        read_json(&self.data_dir.topology())?.context("the data directory has no topology.json")
    }

    /// Sends a signal to a process. After `SIGKILL` and `SIGQUIT` it waits until the process is gone, with all its
    /// descendants, so that what follows sees the failure and a restart finds no remains.
    ///
    /// # Errors
    /// There is no such process, or it does not run, or it does not end.
    pub async fn kill(&self, name: &ProcessName, signal: Signal) -> Result<()> {
        let process = self.process(name)?;
        let identity = process.identity.as_ref().filter(|identity| identity.is_alive());
        let identity = identity.with_context(|| format!("{name} does not run"))?;
        identity.signal(signal)?;
        if matches!(signal, Signal::SIGKILL | Signal::SIGQUIT) {
            ensure!(identity.gone(END_TIMEOUT).await, "{name} did not end after {signal}");
            self.backends_gone(name).await?;
        }
        Ok(())
    }

    /// The back-ends of a killed PostgreSQL notice that and end by themselves.
    pub(crate) async fn backends_gone(&self, name: &ProcessName) -> Result<()> {
        if name.role() == Role::Postgres {
            for identity in crate::identity::working_in(&self.data_dir.server_files(name)) {
                ensure!(identity.gone(END_TIMEOUT).await, "process {} of {name} does not end", identity.pid);
            }
        }
        Ok(())
    }

    /// Sends a signal to a process and all that belong to it: to a PostgreSQL's back-ends too. After `SIGKILL` it waits
    /// until all are gone. One that does not run is left alone.
    ///
    /// # Errors
    /// There is no such process, or it does not end.
    pub async fn signal_all(&self, name: &ProcessName, signal: Signal) -> Result<()> {
        let process = self.process(name)?;
        let mut targets: Vec<ProcessIdentity> = process.identity.into_iter().collect();
        if name.role() == Role::Postgres {
            targets.extend(crate::identity::working_in(&self.data_dir.server_files(name)));
        }
        for target in &targets {
            target.signal(signal)?;
        }
        if signal == Signal::SIGKILL {
            for target in &targets {
                ensure!(target.gone(END_TIMEOUT).await, "process {} of {name} did not end after {signal}", target.pid);
            }
            self.backends_gone(name).await?;
        }
        Ok(())
    }

    /// Stops a process gracefully, at last by force. One that does not run is left alone.
    ///
    /// # Errors
    /// There is no such process, or it does not end.
    pub async fn stop_one(&self, name: &ProcessName) -> Result<()> {
        stop::stop(&self.process(name)?).await?;
        self.backends_gone(name).await
    }

    /// Sets variables that a process gets from its next start on, beyond those of its kind; none takes them back.
    pub fn set_environment(&self, name: &ProcessName, variables: BTreeMap<String, String>) {
        let mut all = self.extra_env.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(name.clone(), variables);
    }

    pub(crate) fn extra_environment(&self, name: &ProcessName) -> BTreeMap<String, String> {
        let all = self.extra_env.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(name).cloned().unwrap_or_default()
    }

    /// Stops a process gracefully if it runs, starts it again and waits until it is ready.
    ///
    /// # Errors
    /// There is no such process, or it does not stop, start, or get ready; then the message has the end of its log.
    pub async fn restart(&self, name: &ProcessName) -> Result<()> {
        self.stop_one(name).await?;
        self.launch(name).await?;
        self.wait_until_ready(name).await
    }

    /// Stops all processes in order: routers, shard-nodes, then Redis and PostgreSQL. Those killed meanwhile are no
    /// trouble. A scratch cluster is deleted when the value is dropped.
    ///
    /// # Errors
    /// Some do not end.
    pub async fn stop(&self, progress: &mut dyn FnMut(Event)) -> Result<()> {
        stop::stop_all(&self.processes(), progress).await?;
        self.update(|state| {
            state.owner = None;
            state.processes.iter_mut().for_each(|process| process.identity = None);
        })
    }

    pub(crate) fn locked_state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn locked_children(&self) -> MutexGuard<'_, HashMap<ProcessName, Child>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and writes it down.
    pub(crate) fn update(&self, change: impl FnOnce(&mut State)) -> Result<()> {
        let mut state = self.locked_state();
        change(&mut state);
        state.write(&self.data_dir)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.owns && self.lifetime == Lifetime::WithThisProgram {
            stop::end_all_now(&self.processes());
        }
        if self.owns {
            let ended = self.processes().into_iter().filter(|process| !process.is_alive());
            ended.filter_map(|process| process.identity).for_each(|identity| wrong_clock::remove_remains(identity.pid));
        }
        if self.scratch.is_some() {
            let processes = self.processes();
            for process in processes.iter().filter(|process| process.name.role() == Role::Postgres) {
                postgres::release_shared_memory(&self.data_dir.server_files(&process.name));
            }
            disk::unmount_all(&self.data_dir);
            // The watchdog, dropped after this, tries again.
            drop(self.data_dir.delete());
        }
    }
}

//! Starting a cluster.

use std::sync::Mutex;

use anyhow::{Context, Result};
use futures_util::future::{FutureExt, try_join_all};
use placement::Topology;
use tokio::sync::mpsc;

use crate::binaries::Binaries;
use crate::cluster::Cluster;
use crate::data_dir::{DataDir, write_json};
use crate::event::Event;
use crate::identity::ProcessIdentity;
use crate::leftovers::{Opened, open};
use crate::name::{Process, ProcessName, Role};
use crate::secrets::Secrets;
use crate::service_user::ServiceUser;
use crate::spec::{ClusterSpec, Lifetime, Parts};
use crate::state::State;
use crate::tools::Tools;
use crate::{config_files, disk, ports, postgres, seed};

const EVENTS_MAX: usize = 64;
const UNHEARD: &str = "nobody listens to the progress of the start";

impl Cluster {
    /// Starts a cluster and waits until all of it is ready. Over existing data it continues with that data.
    ///
    /// Tools that are missing are installed first. Until everything that can be checked was checked (rights, data of
    /// another shape or version, another program in the same directory, taken ports), nothing is started or changed.
    ///
    /// # Errors
    /// One of those checks failed, or a process did not get ready; then all that was started is stopped again. The
    /// message says what to do.
    pub async fn start(spec: ClusterSpec, progress: &mut dyn FnMut(Event)) -> Result<Self> {
        spec.check()?;
        let tools = Tools::find_or_install(progress).await?;
        progress(Event::ToolsFound(tools.clone()));
        let binaries = match spec.parts {
            Parts::All => Some(Binaries::find(spec.quiet_build, spec.fault_programs, progress).await?),
            Parts::ServersOnly => None,
        };
        let opened = open(&spec, progress).await?;
        let (state, topology) = match checked(&spec, &opened.data_dir, tools, binaries) {
            Ok(checked) => checked,
            Err(refusal) => {
                // An empty directory would look like that of a cluster.
                if opened.is_new {
                    opened.data_dir.delete().with_context(|| format!("and after this failure: {refusal:#}"))?;
                }
                return Err(refusal);
            }
        };
        let cluster = Self::prepared(&spec, opened, state, topology.as_ref())?;
        match cluster.bring_up(spec.seed, progress).await {
            Ok(()) => Ok(cluster),
            Err(error) => {
                // Dropping it would be enough, unless it is detached.
                cluster.stop(&mut |_| ()).await.with_context(|| format!("and after this failure: {error:#}"))?;
                Err(error)
            }
        }
    }

    /// Writes all files that processes start from.
    fn prepared(spec: &ClusterSpec, opened: Opened, mut state: State, topology: Option<&Topology>) -> Result<Self> {
        let Opened { data_dir, claim, scratch, is_new: _ } = opened;
        let secrets = Secrets::read_or_make(&data_dir)?;
        for (name, bytes) in &spec.disks {
            disk::mount(&data_dir.disk(name), *bytes)?;
        }
        config_files::write(&data_dir, &state, &secrets)?;
        // A later topology is in the databases; this is the first one.
        if let Some(topology) = topology.filter(|_| !data_dir.topology().exists()) {
            write_json(&data_dir.topology(), topology, 0o644)?;
        }
        state.owner = match spec.lifetime {
            Lifetime::WithThisProgram => Some(ProcessIdentity::own()?),
            Lifetime::Detached => None,
        };
        state.write(&data_dir)?;
        Ok(Self {
            service_user: ServiceUser::for_files_in(data_dir.path())?,
            data_dir,
            secrets,
            lifetime: spec.lifetime,
            owns: true,
            state: Mutex::new(state),
            children: Mutex::default(),
            extra_env: Mutex::default(),
            synchronous: Mutex::default(),
            scratch,
            _claim: Some(claim),
        })
    }

    async fn bring_up(&self, seed: bool, progress: &mut dyn FnMut(Event)) -> Result<()> {
        let processes = self.processes();
        progress(Event::Planned { processes: processes.clone() });
        let has = |role| processes.iter().filter(move |process| process.name.role() == role);
        let (events, ready) = mpsc::channel(EVENTS_MAX);
        let firsts = has(Role::Postgres).filter(|postgres| postgres.name.replica() == 0);
        let shards = firsts.map(|postgres| self.bring_up_shard(postgres, events.clone()).boxed_local());
        let redis = has(Role::Redis).map(|redis| self.bring_up_one(redis, events.clone()).boxed_local());
        reporting(try_join_all(shards.chain(redis)), ready, progress).await?;

        let (events, ready) = mpsc::channel(EVENTS_MAX);
        let routers = has(Role::Router).map(|router| self.bring_up_one(router, events.clone()));
        reporting(try_join_all(routers), ready, progress).await?;
        if seed && has(Role::Router).next().is_some() {
            progress(Event::Seeding);
            seed::seed(self).await.context("cannot make the first users and accounts")?;
        }
        Ok(())
    }

    /// A PostgreSQL from its files up to its shard-nodes.
    async fn bring_up_shard(&self, postgres: &Process, events: mpsc::Sender<Event>) -> Result<()> {
        let state = self.state();
        self.postgres_files(&postgres.name, &state.tools).make(&self.secrets).await?;
        self.bring_up_one(postgres, events.clone()).await?;
        postgres::make_database(postgres.address, &self.secrets).await?;
        for standby in
            state.servers(postgres.name.shard().unwrap_or_default()).filter(|server| server.name != postgres.name)
        {
            self.make_standby(&standby.name).await?;
            events.send(Event::Ready(self.process(&standby.name)?)).await.context(UNHEARD)?;
        }
        let is_ours = |process: &&Process| matches!(process.name, ProcessName::ShardNode { shard, .. } if Some(shard) == postgres.name.shard());
        let nodes = state.processes.iter().filter(is_ours);
        try_join_all(nodes.map(|node| self.bring_up_one(node, events.clone()))).await?;
        Ok(())
    }

    async fn bring_up_one(&self, process: &Process, events: mpsc::Sender<Event>) -> Result<()> {
        self.launch(&process.name).await?;
        self.wait_until_ready(&process.name).await?;
        let ready = self.process(&process.name)?;
        events.send(Event::Ready(ready)).await.context(UNHEARD)
    }
}

/// The state to start with, and the first topology if there are shard-nodes that it could list.
///
/// # Errors
/// The data there is of another cluster, or ports are taken; nothing was changed.
fn checked(
    spec: &ClusterSpec,
    data_dir: &DataDir,
    tools: Tools,
    binaries: Option<Binaries>,
) -> Result<(State, Option<Topology>)> {
    let state = match State::read(data_dir)? {
        Some(state) => state.continued(spec, tools, binaries)?,
        None => State::plan(spec, tools, binaries)?,
    };
    let topology = state.binaries.is_some().then(|| config_files::topology(&state)).transpose()?;
    ports::check_free(&state.processes)?;
    Ok((state, topology))
}

/// Runs `work`, passing on what it reports.
async fn reporting<T>(
    work: impl Future<Output = Result<T>>,
    mut events: mpsc::Receiver<Event>,
    progress: &mut dyn FnMut(Event),
) -> Result<T> {
    tokio::pin!(work);
    let result = loop {
        tokio::select! {
            biased;
            Some(event) = events.recv() => progress(event),
            result = &mut work => break result,
        }
    };
    while let Ok(event) = events.try_recv() {
        progress(event);
    }
    result
}

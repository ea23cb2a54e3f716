//! Starting each kind of process, and telling when it is ready.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hyper::Method;

use crate::cluster::Cluster;
use crate::identity::ProcessIdentity;
use crate::launch::{Launch, last_lines};
use crate::name::{Process, ProcessName, Role};
use crate::spec::Lifetime;
use crate::{http, keeper, postgres, redis_server, wrong_clock};

const POLL: Duration = Duration::from_millis(20);

/// How long a process may take until it is ready. PostgreSQL may have to recover after a crash.
fn patience(role: Role) -> Duration {
    match role {
        Role::Postgres => Duration::from_secs(300),
        Role::ShardNode => Duration::from_secs(120),
        Role::Redis | Role::Router => Duration::from_secs(60),
    }
}

const LOG_LINES: usize = 15;

impl Cluster {
    /// Starts a process that does not run, and writes down that it does. It is not ready yet.
    ///
    /// # Errors
    /// There is no such process, it runs already, or it cannot be started.
    pub async fn launch(&self, name: &ProcessName) -> Result<()> {
        let before = self.process(name)?;
        ensure!(!before.is_alive(), "{name} runs already");
        before.identity.iter().for_each(|identity| wrong_clock::remove_remains(identity.pid));
        self.prepare(name)?;
        let log = self.data_dir.log(name);
        let command = self.command(name)?;
        let child = keeper::spawn(command).await.with_context(|| format!("cannot start {name}"))?;
        let identity = ProcessIdentity::of(child.pid);
        self.locked_children().insert(name.clone(), child);
        let identity = identity.map_err(|_| ended_at_once(name, &last_lines(&log, LOG_LINES)))?;
        self.update(|state| {
            let process = state.processes.iter_mut().find(|process| process.name == *name);
            if let Some(process) = process {
                process.identity = Some(identity);
            }
        })
    }

    fn prepare(&self, name: &ProcessName) -> Result<()> {
        let process = self.process(name)?;
        match name.role() {
            Role::Postgres => {
                let state = self.state();
                let files = self.postgres_files(name, &state.tools);
                files.remove_lock_of_reused_pid()?;
                files.configure(process.address, &name.to_string(), &self.postgres_settings(&state, name)?)
            }
            Role::Redis => redis_server::make_files(&self.data_dir.server_files(name), self.service_user.as_ref()),
            Role::ShardNode | Role::Router => Ok(()),
        }
    }

    pub(crate) fn postgres_files<'a>(&'a self, name: &ProcessName, tools: &'a crate::Tools) -> postgres::Files<'a> {
        postgres::Files {
            directory: self.data_dir.server_files(name),
            tools,
            owner: self.service_user.as_ref(),
            sync: self.scratch.is_none(),
        }
    }

    fn command(&self, name: &ProcessName) -> Result<std::process::Command> {
        let state = self.state();
        let config = self.data_dir.config(name);
        let ours = || state.binaries.clone().context("this cluster was started without shard-nodes and routers");
        let (program, arguments, environment): (PathBuf, _, _) = match name.role() {
            Role::Postgres => {
                let files = self.data_dir.server_files(name);
                (state.tools.postgres_program("postgres"), vec!["-D".into(), files.into()], BTreeMap::new())
            }
            Role::Redis => (state.tools.redis_server.clone(), vec![config.into()], BTreeMap::new()),
            Role::ShardNode => {
                (ours()?.shard_node, vec!["--config".into(), config.into()], state.shard_node_env.clone())
            }
            Role::Router => (ours()?.router, vec!["--config".into(), config.into()], state.router_env.clone()),
        };
        let is_server = matches!(name.role(), Role::Postgres | Role::Redis);
        let launch = Launch {
            program: &program,
            arguments,
            environment: &environment,
            only_for_program: self.extra_environment(name),
            working_directory: self.data_dir.path(),
            run_as: self.service_user.as_ref().filter(|_| is_server),
            ends_with_us: (self.lifetime == Lifetime::WithThisProgram).then(|| parent_death_signal(name.role())),
        };
        launch.command_with_log(&self.data_dir.log(name))
    }

    /// Waits until a process serves.
    ///
    /// # Errors
    /// It ends, or takes too long; the message has the end of its log.
    pub async fn wait_until_ready(&self, name: &ProcessName) -> Result<()> {
        let patience = patience(name.role());
        let deadline = Instant::now() + patience;
        loop {
            let process = self.process(name)?;
            let log = || last_lines(&self.data_dir.log(name), LOG_LINES);
            if !process.is_alive() {
                return Err(ended_at_once(name, &log()));
            }
            if self.is_ready(&process).await? {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{name} is not ready after {} s; the end of its log:\n{}", patience.as_secs(), log());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Whether a process serves now.
    ///
    /// # Errors
    /// A PostgreSQL is reached but does not know its own superuser.
    pub async fn is_ready(&self, process: &Process) -> Result<bool> {
        match process.name.role() {
            Role::Postgres => postgres::accepts(process.address, &self.secrets).await,
            Role::Redis => Ok(redis_server::accepts(process.address).await),
            Role::ShardNode | Role::Router => {
                let Some(admin) = process.admin_address else { return Ok(false) };
                let answer = http::call(admin, Method::GET, "/readyz", &[], None).await;
                Ok(answer.is_ok_and(|answer| answer.status.is_success()))
            }
        }
    }
}

/// What a process gets when this program is killed. PostgreSQL and Redis put their files in order, which takes them a
/// moment; ours are made to be killed.
fn parent_death_signal(role: Role) -> &'static str {
    match role {
        Role::Postgres => "QUIT",
        Role::Redis => "TERM",
        Role::ShardNode | Role::Router => "KILL",
    }
}

fn ended_at_once(name: &ProcessName, log: &str) -> anyhow::Error {
    anyhow::anyhow!("{name} ended while it started; the end of its log:\n{log}")
}

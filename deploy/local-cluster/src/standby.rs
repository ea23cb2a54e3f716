//! A synchronous standby for the PostgreSQL of a shard, and failing over to it.
//!
//! A server is a standby while its directory holds `standby.signal`, as PostgreSQL has it. The primary waits for the
//! standby before it acknowledges a commit (`synchronous_standby_names`), so a promoted standby has every acknowledged
//! one. A promoted standby serves alone until the other server is rebuilt from it: PostgreSQL's own operators do the
//! same, since a shard without a second server is to serve all the same.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use crate::cluster::Cluster;
use crate::data_dir::remove;
use crate::launch::Launch;
use crate::name::{Process, ProcessName};
use crate::state::State;
use crate::{postgres, tools};

/// What makes a server start as a standby; PostgreSQL removes it when it is promoted.
const SIGNAL_FILE: &str = "standby.signal";

/// How long a standby may take until it follows.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

impl Cluster {
    /// The PostgreSQL of a shard that is to take writes.
    ///
    /// # Errors
    /// There is no such shard.
    pub fn primary(&self, shard: u16) -> Result<ProcessName> {
        let state = self.state();
        let primary = state.servers(shard).find(|server| !self.is_standby(&server.name));
        Ok(primary.with_context(|| format!("shard {shard} has no primary"))?.name.clone())
    }

    /// Whether the shard has a standby without which nothing is acknowledged.
    ///
    /// # Errors
    /// There is no such shard.
    pub fn has_standby(&self, shard: u16) -> Result<bool> {
        let primary = self.primary(shard)?;
        Ok(self.synchronous.lock().unwrap_or_else(PoisonError::into_inner).contains(&primary))
    }

    /// Ends the primary of a shard with `SIGKILL` and promotes its standby, which serves alone from then on. The old
    /// primary does not run and, if it were started, would not take writes. Returns the new primary.
    ///
    /// # Errors
    /// The shard has no standby that has everything; then nothing was done. Or the promotion failed.
    pub async fn fail_over(&self, shard: u16) -> Result<ProcessName> {
        ensure!(self.has_standby(shard)?, "shard {shard} has no synchronous standby");
        let (old, new) = self.pair(&self.primary(shard)?)?;
        ensure!(new.is_alive(), "{}, the standby, does not run", new.name);
        self.signal_all(&old.name, Signal::SIGKILL).await?;
        // What stands in its files may not be in the standby's: it must not come back as a primary.
        File::create(self.data_dir.server_files(&old.name).join(SIGNAL_FILE))?;
        self.require_standby(&old.name, false);
        let client = postgres::connect(new.address, &self.secrets).await?;
        let promoted: bool = client.query_one("SELECT pg_promote(true, 30)", &[]).await?.get(0);
        ensure!(promoted, "{} was not promoted in time", new.name);
        Ok(new.name)
    }

    /// Makes the server that is not a shard's primary anew from the primary, as its synchronous standby.
    ///
    /// # Errors
    /// The shard has one server, the primary does not run, or the copy failed.
    pub async fn rebuild_standby(&self, shard: u16) -> Result<()> {
        let (_, standby) = self.pair(&self.primary(shard)?)?;
        self.signal_all(&standby.name, Signal::SIGKILL).await?;
        let files = self.data_dir.server_files(&standby.name);
        postgres::release_shared_memory(&files);
        remove(&files)?;
        self.make_standby(&standby.name).await
    }

    /// Makes a standby from the shard's primary, starts it, and lets the primary wait for it from then on.
    pub(crate) async fn make_standby(&self, standby: &ProcessName) -> Result<()> {
        let (_, primary) = self.pair(standby)?;
        self.copy(&primary, standby).await?;
        File::create(self.data_dir.server_files(standby).join(SIGNAL_FILE))?;
        self.launch(standby).await?;
        self.wait_until_ready(standby).await?;
        self.require_standby(&primary.name, true);
        self.reconfigure(&primary)?;
        self.until_synchronous(&primary).await
    }

    async fn copy(&self, primary: &Process, standby: &ProcessName) -> Result<()> {
        let state = self.state();
        let files = self.postgres_files(standby, &state.tools);
        // PostgreSQL refuses a directory that others may look into, as the data is in it.
        fs::DirBuilder::new().mode(0o700).create(&files.directory)?;
        files.hand_over(&files.directory)?;
        let mut arguments: Vec<OsString> = vec!["--pgdata".into(), files.directory.clone().into()];
        let (host, port) = (primary.address.ip().to_string(), primary.address.port().to_string());
        let fixed = ["--host", &host, "--port", &port, "--username=postgres", "--checkpoint=fast", "--no-sync"];
        arguments.extend(fixed.map(OsString::from));
        let program = state.tools.postgres_program("pg_basebackup");
        let launch = Launch {
            program: &program,
            arguments,
            environment: &BTreeMap::from([("PGPASSWORD".to_owned(), self.secrets.postgres_superuser.clone())]),
            only_for_program: BTreeMap::new(),
            working_directory: &files.directory,
            run_as: self.service_user.as_ref(),
            ends_with_us: Some("KILL"),
        };
        tools::run(launch.command(), "pg_basebackup").await
    }

    fn require_standby(&self, primary: &ProcessName, required: bool) {
        let mut synchronous = self.synchronous.lock().unwrap_or_else(PoisonError::into_inner);
        if required {
            synchronous.insert(primary.clone());
        } else {
            synchronous.remove(primary);
        }
    }

    /// Writes a running server's settings again and has it read them.
    fn reconfigure(&self, server: &Process) -> Result<()> {
        let state = self.state();
        let files = self.postgres_files(&server.name, &state.tools);
        let settings = self.postgres_settings(&state, &server.name)?;
        files.configure(server.address, &server.name.to_string(), &settings)?;
        let identity = server.identity.as_ref().with_context(|| format!("{} does not run", server.name))?;
        Ok(identity.signal(Signal::SIGHUP)?)
    }

    async fn until_synchronous(&self, primary: &Process) -> Result<()> {
        let client = postgres::connect(primary.address, &self.secrets).await?;
        let question = "SELECT FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = 'sync'";
        let deadline = Instant::now() + PATIENCE;
        while client.query_opt(question, &[]).await?.is_none() {
            ensure!(Instant::now() < deadline, "the standby of {} does not follow", primary.name);
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// A server and the other one of its shard.
    fn pair(&self, name: &ProcessName) -> Result<(Process, Process)> {
        let state = self.state();
        let shard = name.shard().with_context(|| format!("{name} is of no shard"))?;
        let other = state.servers(shard).find(|server| server.name != *name);
        let other = other.with_context(|| format!("shard {shard} has no standby"))?.clone();
        Ok((state.process(name)?.clone(), other))
    }

    fn is_standby(&self, name: &ProcessName) -> bool {
        is_standby(&self.data_dir.server_files(name))
    }

    /// The settings of one server beyond the usual ones.
    pub(crate) fn postgres_settings(&self, state: &State, name: &ProcessName) -> Result<BTreeMap<String, String>> {
        let mut settings = BTreeMap::new();
        if let Ok((_, other)) = self.pair(name) {
            let waits = self.synchronous.lock().unwrap_or_else(PoisonError::into_inner).contains(name);
            settings.extend([
                ("primary_conninfo", self.follow(&other.address, name)),
                ("synchronous_standby_names", if waits { "*".to_owned() } else { String::new() }),
                // A standby that was away for a while finds what it missed.
                ("wal_keep_size", "512MB".to_owned()),
                // The default of 5 s would keep commits waiting after each interruption.
                ("wal_retrieve_retry_interval", "100ms".to_owned()),
            ]);
        }
        let mut settings: BTreeMap<String, String> =
            settings.into_iter().map(|(setting, value)| (setting.to_owned(), value)).collect();
        settings.extend(state.postgres_settings.clone());
        Ok(settings)
    }

    fn follow(&self, primary: &std::net::SocketAddr, name: &ProcessName) -> String {
        let (ip, port, password) = (primary.ip(), primary.port(), &self.secrets.postgres_superuser);
        format!("host={ip} port={port} user=postgres password={password} application_name={name} connect_timeout=2")
    }
}

fn is_standby(files: &Path) -> bool {
    files.join(SIGNAL_FILE).exists()
}

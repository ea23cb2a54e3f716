//! The PostgreSQL of a shard: its files, and what must be in it before a shard-node may come.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

use crate::config_files;
use crate::data_dir::{remove, write_atomically};
use crate::identity::{ProcessIdentity, working_in};
use crate::launch::Launch;
use crate::secrets::Secrets;
use crate::service_user::ServiceUser;
use crate::tools::{self, Tools};

const SUPERUSER: &str = "postgres";

/// The files of one PostgreSQL.
pub(crate) struct Files<'a> {
    pub(crate) directory: PathBuf,
    pub(crate) tools: &'a Tools,
    pub(crate) owner: Option<&'a ServiceUser>,
    /// Whether new files are flushed to the disk; what is deleted in the end need not be.
    pub(crate) sync: bool,
}

impl Files<'_> {
    /// Runs `initdb` unless that is done. A crash in between leaves only a directory of another name.
    pub(crate) async fn make(&self, secrets: &Secrets) -> Result<()> {
        if self.directory.exists() {
            return Ok(());
        }
        let unfinished = beside(&self.directory, "unfinished");
        remove(&unfinished)?;
        fs::create_dir(&unfinished).with_context(|| format!("cannot make {}", unfinished.display()))?;
        self.hand_over(&unfinished)?;
        self.initdb(&unfinished, secrets).await?;
        fs::rename(&unfinished, &self.directory)?;
        Ok(())
    }

    async fn initdb(&self, directory: &Path, secrets: &Secrets) -> Result<()> {
        let password = beside(directory, "password");
        write_atomically(&password, secrets.postgres_superuser.as_bytes(), 0o600)?;
        self.hand_over(&password)?;
        let mut arguments: Vec<OsString> = vec!["--pgdata".into(), directory.into(), "--pwfile".into()];
        arguments.push(password.clone().into());
        let fixed =
            ["--username=postgres", "--auth=scram-sha-256", "--data-checksums", "--locale=C.UTF-8", "--encoding=UTF8"];
        arguments.extend(fixed.map(OsString::from));
        if !self.sync {
            arguments.push("--no-sync".into());
        }
        let program = self.tools.postgres_program("initdb");
        let launch = Launch {
            program: &program,
            arguments,
            environment: &BTreeMap::new(),
            only_for_program: BTreeMap::new(),
            working_directory: directory,
            run_as: self.owner,
            ends_with_us: Some("KILL"),
        };
        let done = tools::run(launch.command(), "initdb").await;
        fs::remove_file(&password)?;
        done
    }

    /// Writes `postgresql.conf`, replacing what is there if that is another one. It belongs to whom the directory does.
    pub(crate) fn configure(
        &self,
        address: SocketAddr,
        name: &str,
        overrides: &BTreeMap<String, String>,
    ) -> Result<()> {
        let path = self.directory.join("postgresql.conf");
        let content = config_files::postgres(address, name, overrides);
        // A server whose disk is full is started as it is: there may be no room to write the same once more.
        if fs::read_to_string(&path).is_ok_and(|there| there == content) {
            return Ok(());
        }
        write_atomically(&path, content.as_bytes(), 0o600)
    }

    /// Removes the lock file of a dead postmaster whose pid now belongs to some other process: PostgreSQL itself would
    /// take that one for a running postmaster. Other lock files it judges better, so they stay.
    pub(crate) fn remove_lock_of_reused_pid(&self) -> Result<()> {
        let path = self.directory.join("postmaster.pid");
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            text => text.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let pid = text.lines().next().and_then(|line| line.trim().parse().ok());
        let pid_is_in_use = pid.is_some_and(|pid| ProcessIdentity::of(pid).is_ok());
        if pid_is_in_use && self.processes().is_empty() {
            fs::remove_file(&path)?;
        }
        Ok(())
    }

    /// Every process of this PostgreSQL, back-ends without a postmaster included.
    pub(crate) fn processes(&self) -> Vec<ProcessIdentity> {
        working_in(&self.directory)
    }

    pub(crate) fn hand_over(&self, path: &Path) -> Result<()> {
        self.owner.map_or(Ok(()), |owner| owner.own(path))
    }
}

/// A path in the same directory, so on the same disk.
fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{extension}"));
    name.into()
}

/// Frees what a killed PostgreSQL left in the kernel, for data that will not be started again. Its next start would have
/// done that, and the kernel has room for only so many.
pub(crate) fn release_shared_memory(directory: &Path) {
    const SHARED_MEMORY_LINE: usize = 6;
    let text = fs::read_to_string(directory.join("postmaster.pid")).unwrap_or_default();
    let id = text.lines().nth(SHARED_MEMORY_LINE).and_then(|line| line.split_whitespace().nth(1));
    if let Some(id) = id.filter(|_| working_in(directory).is_empty()) {
        // If it is gone by now, so much the better.
        drop(Command::new("ipcrm").args(["--shmem-id", id]).stderr(Stdio::null()).status());
    }
}

/// Whether a server takes connections.
pub(crate) async fn accepts(address: SocketAddr, secrets: &Secrets) -> Result<bool> {
    match connect(address, secrets).await {
        Ok(_) => Ok(true),
        Err(error) => match error.code() {
            // Without a code there was no answer; with this one it still recovers.
            None | Some(&SqlState::CANNOT_CONNECT_NOW) => Ok(false),
            Some(_) => Err(error).context("PostgreSQL refuses its own superuser"),
        },
    }
}

/// Makes the role and the database `wallet` unless they are there.
pub(crate) async fn make_database(address: SocketAddr, secrets: &Secrets) -> Result<()> {
    let client = connect(address, secrets).await?;
    let role = "SELECT FROM pg_roles WHERE rolname = 'wallet'";
    if client.query_opt(role, &[]).await?.is_none() {
        let password = &secrets.postgres_wallet;
        if !password.chars().all(|c| c.is_ascii_hexdigit()) {
            bail!("the password for PostgreSQL in secrets.json was changed to something that is not hexadecimal");
        }
        client.batch_execute(&format!("CREATE ROLE wallet LOGIN PASSWORD '{password}'")).await?;
    }
    let database = "SELECT FROM pg_database WHERE datname = 'wallet'";
    if client.query_opt(database, &[]).await?.is_none() {
        client.batch_execute("CREATE DATABASE wallet OWNER wallet").await?;
    }
    Ok(())
}

pub(crate) async fn connect(address: SocketAddr, secrets: &Secrets) -> Result<Client, tokio_postgres::Error> {
    let url = config_files::postgres_url(&[address], SUPERUSER, "postgres", &secrets.postgres_superuser);
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
    // It ends with the client, and its errors reach the client's calls too.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

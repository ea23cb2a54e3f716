//! Finds PostgreSQL and Redis on this machine, or has them installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::install;

/// The oldest PostgreSQL that the schema works on.
pub const POSTGRES_MAJOR_MIN: u32 = 15;

/// The programs of other people that the cluster runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tools {
    /// The directory of `postgres`, `initdb` and, where it is installed, `pgbench`.
    pub postgres_bin: PathBuf,
    /// For people, such as `15.18`.
    pub postgres_version: String,
    /// The Redis server.
    pub redis_server: PathBuf,
    /// For people, such as `7.0.15`.
    pub redis_version: String,
}

/// What of [`Tools`] is there. Both filled is all that is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundTools {
    /// Directory and version of the PostgreSQL to use.
    pub postgres: Option<(PathBuf, String)>,
    /// Path and version of the Redis to use.
    pub redis: Option<(PathBuf, String)>,
    /// PostgreSQL servers that are too old, as `9.6 in /usr/lib/...`.
    pub too_old: Vec<String>,
}

impl FoundTools {
    /// Looks in `PATH`, in Debian's `/usr/lib/postgresql/*/bin` (newest first) and where `pg_config` says.
    pub fn look() -> Self {
        let mut too_old = Vec::new();
        let mut postgres = None;
        for bin in postgres_candidates() {
            let Some(version) = version_of(&bin.join("postgres")) else { continue };
            if major(&version) >= POSTGRES_MAJOR_MIN && bin.join("initdb").exists() {
                postgres = Some((bin, version));
                break;
            }
            too_old.push(format!("{version} in {}", bin.display()));
        }
        let redis = on_path("redis-server").and_then(|path| version_of(&path).map(|version| (path, version)));
        Self { postgres, redis, too_old }
    }

    /// The Debian packages that would bring what is missing.
    pub fn missing_packages(&self) -> Vec<&'static str> {
        let mut packages = Vec::new();
        if self.postgres.is_none() {
            packages.push("postgresql");
        }
        if self.redis.is_none() {
            packages.push("redis-server");
        }
        packages
    }

    fn complete(self) -> Option<Tools> {
        let ((postgres_bin, postgres_version), (redis_server, redis_version)) = (self.postgres?, self.redis?);
        Some(Tools { postgres_bin, postgres_version, redis_server, redis_version })
    }
}

impl Tools {
    /// Finds the tools; installs with apt what is missing, telling `progress` before it does.
    /// Safe to be called by several programs at once.
    ///
    /// # Errors
    /// Something is missing and cannot be installed, for want of rights, of apt or of a recent enough package.
    /// The message names the packages.
    pub async fn find_or_install(progress: &mut dyn FnMut(Event)) -> Result<Self> {
        let found = FoundTools::look();
        if let Some(tools) = found.complete() {
            return Ok(tools);
        }
        install::install(|| FoundTools::look().missing_packages(), progress).await?;
        let found = FoundTools::look();
        let (missing, too_old) = (found.missing_packages().join(" "), found.too_old.join(", "));
        match found.complete() {
            Some(tools) => Ok(tools),
            None if !too_old.is_empty() => bail!(
                "PostgreSQL {POSTGRES_MAJOR_MIN} or later is needed, and apt brought only {too_old}; \
                 https://apt.postgresql.org has newer ones"
            ),
            None => bail!("apt installed {missing}, yet the programs were not found"),
        }
    }

    /// A stand-in where only the shape of a cluster matters.
    pub(crate) fn unknown() -> Self {
        let unknown = String::new;
        let nowhere = PathBuf::new;
        Self { postgres_bin: nowhere(), postgres_version: unknown(), redis_server: nowhere(), redis_version: unknown() }
    }

    /// The full path of one of PostgreSQL's programs, such as `pgbench`.
    pub fn postgres_program(&self, name: &str) -> PathBuf {
        self.postgres_bin.join(name)
    }
}

fn postgres_candidates() -> Vec<PathBuf> {
    let resolved = on_path("postgres").and_then(|path| path.canonicalize().ok());
    let mut bins: Vec<PathBuf> = resolved.and_then(|path| Some(path.parent()?.to_owned())).into_iter().collect();
    let mut packaged: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| (major(&entry.file_name().to_string_lossy()), entry.path().join("bin")))
        .collect();
    packaged.sort_unstable_by(|one, other| other.cmp(one));
    bins.extend(packaged.into_iter().map(|(_, bin)| bin));
    bins.extend(output_of(Command::new("pg_config").arg("--bindir")).map(PathBuf::from));
    bins
}

/// The full path of a program in `PATH`.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|candidate| is_program(candidate))
}

/// Whether a program is in `PATH`.
pub fn is_on_path(program: &str) -> bool {
    on_path(program).is_some()
}

pub(crate) fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

fn version_of(program: &Path) -> Option<String> {
    version_in(&output_of(Command::new(program).arg("--version"))?)
}

/// The first word that starts with a digit, past a `v=` that Redis writes.
fn version_in(text: &str) -> Option<String> {
    let mut words = text.split_whitespace().map(|word| word.strip_prefix("v=").unwrap_or(word));
    words.find(|word| word.starts_with(|first: char| first.is_ascii_digit())).map(str::to_owned)
}

fn major(version: &str) -> u32 {
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_default()
}

fn output_of(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs a short command to its end.
pub(crate) async fn run(command: Command, what: &str) -> Result<()> {
    let mut command = tokio::process::Command::from(command);
    let output = command.kill_on_drop(true).output().await.with_context(|| format!("cannot run {what}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    bail!("{what} failed with {}:\n{}", output.status, String::from_utf8_lossy(&text).trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let version = |text| version_in(text).unwrap();
        assert_eq!(version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), "15.18");
        assert_eq!(version("postgres (PostgreSQL) 18beta1"), "18beta1");
        assert_eq!(version("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64"), "7.0.15");
        assert_eq!(major("18beta1"), 18);
        assert_eq!(major("9.6.24"), 9);
        assert_eq!(version_in("no version"), None);
    }

    #[test]
    fn missing_tools_name_their_packages() {
        let nothing = FoundTools { postgres: None, redis: None, too_old: vec![] };
        assert_eq!(nothing.missing_packages(), ["postgresql", "redis-server"]);
        let redis_only = FoundTools { redis: Some(("/usr/bin/redis-server".into(), "7.0".into())), ..nothing };
        assert_eq!(redis_only.missing_packages(), ["postgresql"]);
        assert_eq!(redis_only.complete(), None);
    }
}

//! The directory that holds everything of one cluster, and who may work in it.

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::unistd::{Uid, User};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::name::ProcessName;

/// The format of the directory; another one is left alone.
const FORMAT: u32 = 1;

/// A data directory of a cluster: `VERSION`, `state.json`, `secrets.json`, `topology.json`, `config/`, `logs/` and one
/// directory for each PostgreSQL and Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDir {
    root: PathBuf,
}

/// The right to change a data directory. It ends with this value, or with the program.
#[derive(Debug)]
pub(crate) struct Claim {
    _file: File,
}

/// What stands at a path.
enum Found {
    Nothing,
    Data { format: String },
    SomethingElse,
}

impl DataDir {
    /// Opens the data directory at `path`; `None` if there is none yet.
    ///
    /// # Errors
    /// What stands there is something else, or data of another version. Nothing is changed.
    pub fn open(path: &Path) -> Result<Option<Self>> {
        match look_at(path)? {
            Found::Nothing => Ok(None),
            Found::Data { format } if format == FORMAT.to_string() => Ok(Some(Self::at(path)?)),
            Found::Data { format } => bail!(
                "{} holds data of format {format}, and this program knows format {FORMAT}; nothing was changed: \
                 use the program that made it, another --data-dir, or --fresh to delete the data",
                path.display()
            ),
            Found::SomethingElse => bail!("{} is not a wallet data directory; nothing was changed", path.display()),
        }
    }

    /// Opens the data directory at `path`, making one where nothing is.
    ///
    /// # Errors
    /// As [`Self::open`], or the directory cannot be made.
    pub(crate) fn open_or_make(path: &Path) -> Result<Self> {
        if let Some(found) = Self::open(path)? {
            return Ok(found);
        }
        fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))?;
        let made = Self::at(path)?;
        made.init()?;
        Ok(made)
    }

    /// As [`Self::open`], for data that is about to be deleted: its format does not matter.
    ///
    /// # Errors
    /// What stands there is something else.
    pub fn open_for_deletion(path: &Path) -> Result<Option<Self>> {
        match look_at(path)? {
            Found::Nothing => Ok(None),
            Found::Data { .. } => Ok(Some(Self::at(path)?)),
            Found::SomethingElse => {
                bail!("{} is not a wallet data directory and will not be deleted", path.display())
            }
        }
    }

    fn at(path: &Path) -> Result<Self> {
        let root = path.canonicalize().with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self { root })
    }

    /// Makes the parts that every data directory has.
    pub(crate) fn init(&self) -> Result<()> {
        // Root's servers run as another user, who has to pass through.
        let mode = if Uid::effective().is_root() { 0o711 } else { 0o700 };
        fs::set_permissions(&self.root, Permissions::from_mode(mode))?;
        for name in ["config", "logs"] {
            fs::create_dir_all(self.root.join(name))?;
        }
        write_atomically(&self.root.join("VERSION"), format!("wallet data, format {FORMAT}\n").as_bytes(), 0o644)
    }

    /// Takes the right to change what is here, without waiting.
    ///
    /// # Errors
    /// Another program has it.
    pub(crate) fn claim(&self) -> Result<Option<Claim>> {
        let owner = self.root.metadata()?.uid();
        ensure!(owner == Uid::effective().as_raw(), belongs_to(&self.root, owner));
        let path = self.root.join("lock");
        let file = File::options().create(true).append(true).open(&path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Claim { _file: file })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }

    /// Deletes everything but the lock, which the caller holds.
    pub(crate) fn empty(&self, _claim: &Claim) -> Result<()> {
        // The version goes last: after a crash in between, what is left is still known to be ours.
        let names = fs::read_dir(&self.root)?.map(|entry| Ok(entry?.file_name())).collect::<Result<Vec<_>>>()?;
        let kept_for_last = |name: &std::ffi::OsStr| name == "lock" || name == "VERSION";
        for name in names.iter().filter(|name| !kept_for_last(name)) {
            remove(&self.root.join(name))?;
        }
        remove(&self.root.join("VERSION"))
    }

    /// Deletes the directory itself.
    pub(crate) fn delete(&self) -> Result<()> {
        remove(&self.root)
    }

    /// The directory itself, as an absolute path.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The file that a process writes its log to.
    pub fn log(&self, name: &ProcessName) -> PathBuf {
        self.root.join("logs").join(format!("{name}.log"))
    }

    /// The configuration file of a router, shard-node or Redis.
    pub fn config(&self, name: &ProcessName) -> PathBuf {
        let extension = if matches!(name, ProcessName::Redis { .. }) { "conf" } else { "toml" };
        self.root.join("config").join(format!("{name}.{extension}"))
    }

    /// The files of a PostgreSQL or Redis: on the disk of its own, if it has one.
    pub fn server_files(&self, name: &ProcessName) -> PathBuf {
        let disk = self.disk(name);
        if disk.exists() { disk.join("files") } else { self.root.join(name.to_string()) }
    }

    /// Where the disk of a server's own is mounted.
    pub(crate) fn disk(&self, name: &ProcessName) -> PathBuf {
        self.disks().join(name.to_string())
    }

    /// All disks stand here.
    pub(crate) fn disks(&self) -> PathBuf {
        self.root.join("disks")
    }

    /// The topology that shard-nodes start from.
    pub fn topology(&self) -> PathBuf {
        self.root.join("topology.json")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.root.join("state.json")
    }

    pub(crate) fn secrets(&self) -> PathBuf {
        self.root.join("secrets.json")
    }
}

/// A user's name says more than the number, where there is one.
fn belongs_to(path: &Path, owner: u32) -> String {
    let name = User::from_uid(Uid::from_raw(owner)).ok().flatten().map_or_else(|| owner.to_string(), |user| user.name);
    format!("{} belongs to user {name}; run this as that user, or choose another --data-dir", path.display())
}

fn look_at(path: &Path) -> Result<Found> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => {
            let owner = path.metadata().map(|metadata| metadata.uid()).ok();
            let another = owner.filter(|owner| *owner != Uid::effective().as_raw());
            let what = another.map_or_else(|| format!("cannot open {}", path.display()), |uid| belongs_to(path, uid));
            return Err(error).context(what);
        }
    };
    match fs::read_to_string(path.join("VERSION")) {
        Ok(text) => Ok(match text.trim().strip_prefix("wallet data, format ") {
            Some(format) => Found::Data { format: format.to_owned() },
            None => Found::SomethingElse,
        }),
        // A directory with nothing but a lock is what a crash within `empty` leaves.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let empty = entries.flatten().all(|entry| entry.file_name() == "lock");
            Ok(if empty { Found::Nothing } else { Found::SomethingElse })
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.join("VERSION").display())),
    }
}

/// Deletes a file or a directory; nothing there is fine too.
pub(crate) fn remove(path: &Path) -> Result<()> {
    const TRIES: u32 = 50;
    const PAUSE: Duration = Duration::from_millis(100);
    let mut removed = try_remove(path);
    for _ in 0..TRIES {
        // An interrupted initdb leaves a process that notices its end a moment later, and writes until then.
        if !removed.as_ref().is_err_and(|error| error.kind() == ErrorKind::DirectoryNotEmpty) {
            break;
        }
        std::thread::sleep(PAUSE);
        removed = try_remove(path);
    }
    removed.with_context(|| format!("cannot delete {}", path.display()))
}

fn try_remove(path: &Path) -> std::io::Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Writes a file so that a reader, or a crash, finds the old content or the new one.
pub(crate) fn write_atomically(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let what = || format!("cannot write {}", path.display());
    let directory = path.parent().with_context(what)?;
    let mut file =
        tempfile::Builder::new().permissions(Permissions::from_mode(mode)).tempfile_in(directory).with_context(what)?;
    file.write_all(content).with_context(what)?;
    leave_to_owner_of(directory, file.as_file()).with_context(what)?;
    file.as_file().sync_all().with_context(what)?;
    file.persist(path).with_context(what)?;
    Ok(())
}

/// What root writes in somebody's directory is to stay that one's own.
fn leave_to_owner_of(directory: &Path, file: &File) -> std::io::Result<()> {
    let owner = directory.metadata()?;
    if Uid::effective().is_root() && owner.uid() != 0 {
        fchown(file, Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(())
}

pub(crate) fn write_json(path: &Path, value: &impl Serialize, mode: u32) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    write_atomically(path, &text, mode)
}

/// Reads a JSON file; `None` if it does not exist.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match fs::read(path) {
        Ok(text) => {
            let value = serde_json::from_slice(&text).with_context(|| format!("{} is damaged", path.display()))?;
            Ok(Some(value))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_and_empty_directories_become_data_directories() {
        let temp = tempfile::tempdir().unwrap();
        for path in [temp.path().to_owned(), temp.path().join("deep/below")] {
            assert!(DataDir::open(&path).unwrap().is_none());
            DataDir::open_or_make(&path).unwrap();
            assert!(DataDir::open(&path).unwrap().is_some());
        }
    }

    #[test]
    fn directory_of_something_else_is_left_alone() {
        let temp = tempfile::tempdir().unwrap();
        fs::write(temp.path().join("thesis.txt"), "years of work").unwrap();
        assert!(DataDir::open(temp.path()).is_err());
        assert!(DataDir::open_or_make(temp.path()).is_err());
        assert!(DataDir::open_for_deletion(temp.path()).is_err());
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
    }

    #[test]
    fn another_format_is_refused_but_may_be_deleted() {
        let temp = tempfile::tempdir().unwrap();
        fs::write(temp.path().join("VERSION"), "wallet data, format 99\n").unwrap();
        assert!(DataDir::open(temp.path()).unwrap_err().to_string().contains("format 99"));
        assert!(DataDir::open_for_deletion(temp.path()).unwrap().is_some());
    }

    #[test]
    fn second_claim_has_to_wait_for_the_end_of_the_first() {
        let temp = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open_or_make(temp.path()).unwrap();
        let claim = data_dir.claim().unwrap().unwrap();
        assert!(data_dir.claim().unwrap().is_none());
        drop(claim);
        assert!(data_dir.claim().unwrap().is_some());
    }

    #[test]
    fn emptied_directory_can_be_used_again() {
        let temp = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open_or_make(temp.path()).unwrap();
        let claim = data_dir.claim().unwrap().unwrap();
        data_dir.empty(&claim).unwrap();
        assert!(DataDir::open(temp.path()).unwrap().is_none());
        DataDir::open_or_make(temp.path()).unwrap();
    }
}

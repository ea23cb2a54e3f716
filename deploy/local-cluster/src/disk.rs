//! Disks of limited size for PostgreSQL servers, so that a full disk can be met: each is a tmpfs of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

use crate::cluster::Cluster;
use crate::data_dir::{DataDir, remove};
use crate::name::ProcessName;

/// The file that takes what room there is. It stands beside the server's files, not among them.
const BALLAST: &str = "ballast";

/// The pieces that a disk is filled with, in bytes, down to the size of a page.
const PIECES: [i64; 4] = [64 << 20, 1 << 20, 64 << 10, 4 << 10];

/// Whether this program may mount disks, tried out on a small one.
pub fn can_mount() -> bool {
    let Ok(directory) = tempfile::tempdir() else { return false };
    let disk = directory.path().join("disk");
    let mounted = mount(&disk, 1 << 20).is_ok();
    unmount(&disk);
    mounted
}

/// Makes a directory that is a disk of so many bytes.
pub(crate) fn mount(disk: &Path, bytes: u64) -> Result<()> {
    fs::create_dir_all(disk).with_context(|| format!("cannot make {}", disk.display()))?;
    let mut command = Command::new("mount");
    command.args(["-t", "tmpfs", "-o", &format!("size={bytes},mode=0711"), "wallet-disk"]).arg(disk);
    let output = command.stdin(Stdio::null()).output().context("cannot run mount")?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cannot mount a disk at {}: {}", disk.display(), text.trim());
    Ok(())
}

/// Unmounts whatever disks a data directory has; what is on them is gone.
pub(crate) fn unmount_all(data_dir: &DataDir) {
    for disk in fs::read_dir(data_dir.disks()).into_iter().flatten().flatten() {
        unmount(&disk.path());
    }
}

/// Lazily, so that a process which still ends there is in nobody's way. One that is not mounted is fine too.
fn unmount(disk: &Path) {
    let mut command = Command::new("umount");
    command.args(["--lazy", "--"]).arg(disk).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // The watchdog of the directory tries again.
    drop(command.status());
}

impl Cluster {
    /// Fills the disk of a PostgreSQL to its last page.
    ///
    /// # Errors
    /// That server has no disk of its own, or the file that fills it cannot be written.
    pub fn fill_disk(&self, name: &ProcessName) -> Result<()> {
        let path = self.ballast(name)?;
        let open = File::options().create(true).append(true).open(&path);
        let file = open.with_context(|| format!("cannot write {}", path.display()))?;
        let mut end = i64::try_from(file.metadata()?.len())?;
        for piece in PIECES {
            loop {
                match fallocate(&file, FallocateFlags::empty(), end, piece) {
                    Ok(()) => end += piece,
                    Err(Errno::ENOSPC) => break,
                    Err(errno) => return Err(errno).with_context(|| format!("cannot fill {}", path.display())),
                }
            }
        }
        Ok(())
    }

    /// Makes room again on the disk of a PostgreSQL. The server may have ended meanwhile and must then be launched.
    ///
    /// # Errors
    /// That server has no disk of its own, or the file that fills it cannot be deleted.
    pub fn free_disk(&self, name: &ProcessName) -> Result<()> {
        remove(&self.ballast(name)?)
    }

    fn ballast(&self, name: &ProcessName) -> Result<PathBuf> {
        let disk = self.data_dir.disk(name);
        ensure!(disk.exists(), "{name} has no disk of its own");
        Ok(disk.join(BALLAST))
    }
}

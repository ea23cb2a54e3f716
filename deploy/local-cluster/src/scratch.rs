//! A temporary directory that goes away even when this program is killed.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// Waits until its standard input ends, which is when this program does, gives the servers (which get their
/// parent-death signals at the same moment) time to end, and deletes the directory with the disks mounted in it, and
/// what libfaketime leaves of processes that are no more.
const SCRIPT: &str = r#"
read -r _
for _ in 1 2 3 4 5 6 7 8 9 10; do
    [ -e "$1" ] || break
    sleep 0.5
    for disk in "$1"/disks/*; do umount -l -- "$disk" 2>/dev/null; done
    rm -rf -- "$1" 2>/dev/null
done
for left in /dev/shm/faketime_shm_* /dev/shm/sem.faketime_sem_*; do
    [ -e "/proc/${left##*_}/exe" ] || rm -f -- "$left" 2>/dev/null
done
"#;

/// Deletes a directory when it is dropped or this program ends.
#[derive(Debug)]
pub(crate) struct Watchdog {
    shell: Child,
}

impl Watchdog {
    pub(crate) fn over(directory: &Path) -> Result<Self> {
        // In a session of its own, or Ctrl-C would end it together with this program.
        let mut command = Command::new("setsid");
        command.args(["sh", "-c", SCRIPT, "watchdog"]).arg(directory).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let shell = command.spawn().context("cannot start a shell to clean up in the end")?;
        Ok(Self { shell })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // Its owner has deleted the directory, so it ends at once; without a wait it would stay a zombie.
        drop(self.shell.wait());
    }
}

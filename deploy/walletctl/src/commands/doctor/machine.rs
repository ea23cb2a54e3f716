//! What the machine itself gives: rights, room, a disk that keeps its word.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use local_cluster::service_user_for;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;

use super::Check;

const GIBIBYTE: u64 = 1 << 30;

/// What the default cluster needs with some room for work.
const MEMORY_MIN: u64 = GIBIBYTE;
const DISK_MIN: u64 = 2 * GIBIBYTE;
const OPEN_FILES_MIN: u64 = 4096;

/// A flush that takes less has not reached any disk; one that takes more makes every transfer slow.
const FLUSH_MIN: Duration = Duration::from_micros(10);
const FLUSH_MAX: Duration = Duration::from_millis(20);

pub(super) fn checks(data_dir: &Path) -> Vec<Check> {
    vec![user(data_dir), memory(), disk(data_dir), flush(data_dir), open_files()]
}

fn user(data_dir: &Path) -> Check {
    const CHECK: &str = "unprivileged user";
    match service_user_for(&existing_part(data_dir)) {
        Ok(None) => Check::ok(CHECK, "this one"),
        Ok(Some(name)) => Check::ok(CHECK, format!("root runs PostgreSQL and Redis as {name}")),
        Err(error) => Check::failed(CHECK, format!("{error:#}"), "run as another user, or choose another --data-dir"),
    }
}

fn memory() -> Check {
    const CHECK: &str = "memory";
    match available_memory() {
        Some(bytes) if bytes < MEMORY_MIN => {
            Check::warning(CHECK, format!("{} available", gibibytes(bytes)), "end other programs, or use fewer shards")
        }
        Some(bytes) => Check::ok(CHECK, format!("{} available", gibibytes(bytes))),
        None => Check::warning(CHECK, "unknown: /proc/meminfo does not tell", ""),
    }
}

fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn disk(data_dir: &Path) -> Check {
    const CHECK: &str = "disk space";
    let directory = existing_part(data_dir);
    match statvfs(&directory) {
        Ok(found) => {
            let bytes = found.blocks_available() * found.fragment_size();
            let result = format!("{} free at {}", gibibytes(bytes), directory.display());
            if bytes < DISK_MIN {
                Check::failed(CHECK, result, "make room, or choose another --data-dir")
            } else {
                Check::ok(CHECK, result)
            }
        }
        Err(error) => Check::warning(CHECK, format!("unknown: {error}"), ""),
    }
}

fn flush(data_dir: &Path) -> Check {
    const CHECK: &str = "fsync";
    match flush_time(&existing_part(data_dir)) {
        Ok(time) if time < FLUSH_MIN => Check::warning(
            CHECK,
            format!("{time:.1?}: too fast to be true"),
            "after a power cut data may be missing here",
        ),
        Ok(time) if time > FLUSH_MAX => {
            Check::warning(CHECK, format!("{time:.1?}"), "transfers will be slow; use a faster disk")
        }
        Ok(time) => Check::ok(CHECK, format!("{time:.1?}")),
        Err(error) => Check::failed(CHECK, format!("{error:#}"), "choose another --data-dir"),
    }
}

/// The median time to make one PostgreSQL page durable.
fn flush_time(directory: &Path) -> Result<Duration> {
    const ROUNDS: usize = 11;
    let mut file: File =
        tempfile::tempfile_in(directory).with_context(|| format!("cannot write in {}", directory.display()))?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&[7; 8192])?;
        let begin = Instant::now();
        file.sync_data()?;
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    Ok(times[ROUNDS / 2])
}

fn open_files() -> Check {
    const CHECK: &str = "open files";
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, _)) if soft < OPEN_FILES_MIN => Check::warning(
            CHECK,
            format!("at most {soft}"),
            format!("ulimit -n {OPEN_FILES_MIN}, for many clients at once"),
        ),
        Ok((soft, _)) => Check::ok(CHECK, format!("at most {soft}")),
        Err(error) => Check::warning(CHECK, format!("unknown: {error}"), ""),
    }
}

/// The directory itself, or the nearest one above it that exists.
fn existing_part(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let found = absolute.ancestors().find(|ancestor| ancestor.is_dir());
    found.map_or_else(|| PathBuf::from("/"), Path::to_owned)
}

fn gibibytes(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / GIBIBYTE as f64)
}

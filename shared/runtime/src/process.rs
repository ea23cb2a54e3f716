//! What the process itself uses, read from `/proc` when somebody asks, under Prometheus's usual names.

use std::fs;
use std::io;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, Opts};

/// Linux counts CPU time for user space in hundredths of a second (`USER_HZ`), on every architecture.
const TICKS_A_SECOND: f64 = 100.0;

/// Asks the kernel for one number.
type Reading = fn() -> io::Result<f64>;

/// Reads `/proc/self` on each scrape; what cannot be read is left out.
pub(crate) struct ProcessCollector {
    sources: Vec<(Gauge, Reading)>,
}

impl ProcessCollector {
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str| Gauge::with_opts(Opts::new(name, help));
        Ok(Self {
            sources: vec![
                (gauge("process_cpu_seconds_total", "CPU time used, in seconds")?, cpu_seconds),
                (gauge("process_resident_memory_bytes", "Resident memory, in bytes")?, resident_bytes),
                (gauge("process_open_fds", "Open file descriptors")?, open_descriptors),
            ],
        })
    }
}

impl Collector for ProcessCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.sources.iter().flat_map(|(gauge, _)| gauge.desc()).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = Vec::with_capacity(self.sources.len());
        for (gauge, read) in &self.sources {
            match read() {
                Ok(value) => {
                    gauge.set(value);
                    families.extend(gauge.collect());
                }
                Err(error) => tracing::debug!(%error, "a process metric cannot be read"),
            }
        }
        families
    }
}

/// Fields 14 and 15 of proc_pid_stat(5): ticks in user and in kernel mode, of all threads.
fn cpu_seconds() -> io::Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // Field 2, the name in parentheses, may itself contain blanks.
    let (_, rest) = stat.rsplit_once(')').ok_or(io::ErrorKind::InvalidData)?;
    let ticks: Result<Vec<f64>, _> = rest.split_whitespace().skip(11).take(2).map(str::parse).collect();
    let ticks = ticks.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(ticks.iter().sum::<f64>() / TICKS_A_SECOND)
}

fn resident_bytes() -> io::Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let kilobytes: f64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok())
        .ok_or(io::ErrorKind::InvalidData)?;
    Ok(kilobytes * 1024.0)
}

fn open_descriptors() -> io::Result<f64> {
    let count = fs::read_dir("/proc/self/fd")?.count();
    // One of them is the directory being read.
    Ok(f64::from(u32::try_from(count.saturating_sub(1)).unwrap_or(u32::MAX)))
}

//! `walletctl up`

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use local_cluster::{Cluster, ClusterSpec, DEFAULT_BASE, DataDir, Event, Lifetime, Preview, State};

use crate::GlobalOptions;
use crate::banner::{Banner, Took};
use crate::display::Display;
use crate::interrupt::Interrupts;
use crate::outcome::{Outcome, UsageError};
use crate::output::{print, print_json};

/// Start the whole wallet on this machine
///
/// One PostgreSQL for each shard, one Redis, one router and the shard-nodes of each region, with four users and the
/// first money. PostgreSQL and Redis are installed with apt where they are missing. Stays in the foreground until
/// Ctrl-C and then stops everything; data stays, and the next start continues with it.
#[derive(Debug, clap::Args)]
pub(crate) struct Up {
    /// Return when everything is ready; `walletctl down` stops it, and nothing restarts what dies meanwhile
    #[arg(long)]
    detach: bool,

    /// The first router's port; all other ports follow from it [default: 8080]
    #[arg(long, value_name = "PORT")]
    base_port: Option<u16>,

    /// Names of the regions [default: sg,eu]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    regions: Option<Vec<String>>,

    /// Shards in each region [default: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    shards_per_region: Option<u16>,

    /// Delete the data of the last time first
    #[arg(long)]
    fresh: bool,

    /// Delete without asking
    #[arg(long, requires = "fresh")]
    yes: bool,
}

impl Up {
    pub(crate) async fn run(self, options: &GlobalOptions) -> Result<Outcome> {
        let spec = self.spec(&options.data_dir)?;
        spec.check().map_err(|error| UsageError(format!("{error:#}")))?;
        if options.dry_run {
            return say(&Preview::of(&spec)?, options);
        }
        if self.fresh {
            confirm_deletion(&options.data_dir, self.yes)?;
        }
        // From here on nobody is asked anything.
        let began = Instant::now();
        let mut interrupts = Interrupts::listen()?;
        let mut display = Display::new();
        let Some((cluster, build)) = start(spec, &mut display, &mut interrupts, options).await? else {
            return Ok(Outcome::NotWell);
        };
        let took = Took { build, rest: began.elapsed().saturating_sub(build.unwrap_or_default()) };
        announce(&cluster, took, self.ending(options), options).await?;
        if self.detach {
            return Ok(Outcome::Fine);
        }
        run_until_interrupted(&cluster, &mut display, &mut interrupts, options).await
    }

    /// What is not said is as it was the last time, or as usual.
    fn spec(&self, data_dir: &Path) -> Result<ClusterSpec> {
        let last = if self.fresh { None } else { last_state(data_dir)? };
        let usual = ClusterSpec::kept_in(data_dir);
        let (regions, shards_per_region, base_port, currencies) = match last {
            Some(last) => (last.regions, last.shards_per_region, last.base_port, last.currencies),
            None => (usual.regions.clone(), usual.shards_per_region, Some(DEFAULT_BASE), usual.currencies.clone()),
        };
        Ok(ClusterSpec {
            regions: self.regions.clone().unwrap_or(regions),
            shards_per_region: self.shards_per_region.unwrap_or(shards_per_region),
            base_port: self.base_port.or(base_port),
            currencies,
            fresh: self.fresh,
            lifetime: if self.detach { Lifetime::Detached } else { Lifetime::WithThisProgram },
            ..usual
        })
    }

    fn ending(&self, options: &GlobalOptions) -> String {
        let data_dir = options.data_dir.display();
        match self.detach {
            true => format!(
                "`walletctl down` stops, data stays in {data_dir}/\nnothing restarts what dies now; `walletctl up` \
                 without --detach does"
            ),
            false => format!("Ctrl-C stops, data stays in {data_dir}/"),
        }
    }
}

fn last_state(data_dir: &Path) -> Result<Option<State>> {
    let found = DataDir::open(data_dir)?.map(|data_dir| State::read(&data_dir)).transpose()?;
    Ok(found.flatten())
}

/// Starts the cluster and tells how long a build took, if there was one; `None` if that was interrupted.
async fn start(
    spec: ClusterSpec,
    display: &mut Display,
    interrupts: &mut Interrupts,
    options: &GlobalOptions,
) -> Result<Option<(Cluster, Option<Duration>)>> {
    let is_detached = spec.lifetime == Lifetime::Detached;
    let mut build = None;
    let mut report = |event| {
        if let Event::Built { took } = &event {
            build = Some(*took);
        }
        display.show(&event);
    };
    let started = tokio::select! {
        started = Cluster::start(spec, &mut report) => Some(started),
        () = interrupts.next() => None,
    };
    display.finish();
    if let Some(started) = started {
        return started.map(|cluster| Some((cluster, build)));
    }
    display.line("interrupted; stopping what was started");
    // In the foreground, giving up the start has ended everything.
    if let (true, Some(cluster)) = (is_detached, Cluster::attach(&options.data_dir)?) {
        cluster.stop(&mut |event| display.show(&event)).await?;
    }
    Ok(None)
}

async fn announce(cluster: &Cluster, took: Took, ending: String, options: &GlobalOptions) -> Result<()> {
    let banner = Banner::of(cluster, took, ending).await?;
    if options.json { print_json(&banner.json()) } else { print(&banner.text()?) }
}

async fn run_until_interrupted(
    cluster: &Cluster,
    display: &mut Display,
    interrupts: &mut Interrupts,
    options: &GlobalOptions,
) -> Result<Outcome> {
    cluster.supervise(interrupts.next(), &mut |event| display.show(&event)).await?;
    display.line("stopping; Ctrl-C again ends everything at once");
    let mut report = |event| display.show(&event);
    tokio::select! {
        stopped = cluster.stop(&mut report) => stopped?,
        // Dropping the cluster ends it.
        () = interrupts.next() => return Ok(Outcome::NotWell),
    }
    display.line(&format!("stopped; data stays in {}/", options.data_dir.display()));
    Ok(Outcome::Fine)
}

/// Asks before data is deleted.
///
/// # Errors
/// The answer is no, or there is nobody to ask, or the directory holds something else.
fn confirm_deletion(data_dir: &Path, yes: bool) -> Result<()> {
    if yes || DataDir::open_for_deletion(data_dir)?.is_none() {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(UsageError("--fresh deletes data; where nobody can be asked it takes --yes".to_owned()).into());
    }
    eprint!("Delete the data in {}? [y/N] ", data_dir.display());
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("cannot read the answer")?;
    anyhow::ensure!(matches!(answer.trim(), "y" | "Y" | "yes"), "nothing was deleted");
    Ok(())
}

fn say(preview: &Preview, options: &GlobalOptions) -> Result<Outcome> {
    if !preview.missing_packages.is_empty() {
        print(&format!("would install {} with apt-get", preview.missing_packages.join(" ")))?;
    }
    let data = if preview.continues { "continue with the data in" } else { "make" };
    print(&format!("would {data} {}", options.data_dir.display()))?;
    for process in &preview.processes {
        print(&format!("would start {} on {}", process.name, process.address))?;
    }
    for process in &preview.running {
        print(&format!("but {} runs already (pid {})", process.name, process.pid().unwrap_or_default()))?;
    }
    if let Some(taken) = &preview.taken_ports {
        print(taken)?;
    }
    let would_start = preview.running.is_empty() && preview.taken_ports.is_none();
    Ok(if would_start { Outcome::Fine } else { Outcome::NotWell })
}

//! `loadtest expiry`: lets two-step transfers expire at a fixed rate, and looks how late that comes.

mod found;
mod report;
mod reserve;

use anyhow::Result;
use clap::Args;
use indicatif::ProgressBar;
use std::rc::Rc;
use std::time::Duration;

use local_cluster::{Cluster, ClusterSpec};

use crate::bench::probe;
use crate::fleet::Manner;
use crate::opening::{self, Opened, Wanted};
use crate::sessions::Visitors;
use crate::target::Target;
use crate::{Outcome, progress};
use report::Report;
use reserve::Reserving;

/// What every account starts with: enough to have many reservations at once.
const BALANCE: i64 = 100_000;
const ACCOUNTS_OF_USER: usize = 10;
const TIMEOUT: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(60);

/// Reserves at a fixed rate on one shard, leaves everything alone, and looks how soon after its due time each expires.
///
/// Starts a scratch cluster with one shard and deletes it in the end. Due times and times of expiry are PostgreSQL's.
/// Exit status: 0 fine, 1 the expiry did not keep up, 2 usage, 3 a reservation was lost. Build with --release.
#[derive(Debug, Clone, Args)]
pub struct ExpiryOptions {
    /// Reservations a second
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: u32,

    /// How long there are new ones, in seconds
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: u64,

    /// After how many seconds each expires
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub expires_in: u32,

    /// Accounts to open
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(2..))]
    pub accounts: u32,

    /// Connections, each with one request in flight
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    pub clients: u32,

    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// The wallet cannot be started, or refuses to reserve.
pub async fn expiry(options: ExpiryOptions) -> Result<Outcome> {
    if cfg!(debug_assertions) {
        eprintln!("note: this is a debug build; its figures mean little");
    }
    let line = progress::line("starting the wallet")?;
    let spec =
        ClusterSpec { regions: vec!["sg".to_owned()], shards_per_region: 1, seed: false, ..ClusterSpec::scratch() };
    let cluster = Cluster::start(spec, &mut |event| line.set_message(event.to_string())).await?;
    let report = measure(&options, &cluster, &line).await;
    line.set_message("stopping");
    cluster.stop(&mut |_| ()).await?;
    line.finish_and_clear();
    let report = report?;
    match options.json {
        true => println!("{}", serde_json::to_string_pretty(&report)?),
        false => println!("{}", report.text()),
    }
    Ok(report.outcome())
}

async fn measure(options: &ExpiryOptions, cluster: &Cluster, line: &ProgressBar) -> Result<Report> {
    line.set_message("opening accounts");
    let Opened { population, .. } = open(options, cluster).await?;
    let probe = probe(cluster)?;
    let before = probe.read()?;
    line.set_message(format!("reserving {} a second for {} s", options.rate, options.seconds));
    let reserving = Reserving::new(Rc::new(population), options);
    let reserved = reserving.run().await?;
    line.set_message("waiting for the last ones to expire");
    let found = found::when_all_are_over(&cluster.shard_postgres_url(1)?).await?;
    Ok(Report::new(options, reserved, found, probe.since(&before)?))
}

async fn open(options: &ExpiryOptions, cluster: &Cluster) -> Result<Opened> {
    let target = Target::of_cluster(cluster).await?;
    let mut visitors = Visitors::connect(&target.redis).await?;
    let accounts = usize::try_from(options.accounts)?;
    let wanted = Wanted {
        run: "expiry".to_owned(),
        users: accounts.div_ceil(ACCOUNTS_OF_USER),
        accounts,
        balance: BALANCE,
        currency: "SGD".to_owned(),
        session_life: Duration::from_secs(24 * 3600),
    };
    let manner = Manner { clients: 64, timeout: TIMEOUT, patience: PATIENCE };
    opening::open(&target.routers, &mut visitors, &wanted, &manner, || ()).await
}

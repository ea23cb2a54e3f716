//! `loadtest overload`: sends several times what the wallet can carry, and looks at what it still does.
//!
//! - [`place`] is the wallet that is loaded, [`cores`] keeps it and this program on different cores;
//! - [`best`] finds the highest rate in a closed loop, [`flood`] sends a multiple of it in an open one, [`recovery`]
//!   asks until everything is as before;
//! - [`ground`] makes the requests and remembers them all, so that the proof of `loadtest run` covers every one;
//! - [`report`] has the targets.

mod best;
mod cores;
mod flood;
mod ground;
mod place;
mod recovery;
mod repeats;
mod report;
mod tally;

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use serde::Serialize;
use tokio::time::Instant;

use crate::fleet::Manner;
use crate::{Outcome, progress, proof, settle};
use flood::Terms;
use ground::Ground;
use place::Place;
use report::Report;

/// How long one answer is waited for.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long outcomes are asked for after the load.
const PATIENCE: Duration = Duration::from_secs(120);

/// Sends several times the load the wallet can carry, and looks at what it still does, and how soon it recovers.
///
/// Without --router it starts a scratch cluster of two regions with two shards each, and keeps shards and load on
/// different cores. Exit status: 0 fine, 1 a target was missed, 2 usage, 3 the wallet broke its word. Build with
/// --release.
#[derive(Debug, Clone, Args)]
pub struct OverloadOptions {
    /// A router to send to, such as http://127.0.0.1:8080; may be given several times [default: a scratch cluster]
    #[arg(long = "router", value_name = "URL", requires = "redis")]
    routers: Vec<String>,

    /// The Redis of each region that has a router, to write sessions to
    #[arg(long, value_name = "URL", requires = "routers")]
    redis: Vec<String>,

    /// How long the best rate is taken for, and how long too much is sent, in seconds: as often as shards compare their
    /// transfers, so that the work for that is in both
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,

    /// How many times the best rate is sent
    #[arg(long, value_name = "FACTOR", default_value_t = 3.0)]
    factor: f64,

    /// Connections it is sent over at most, each with one request in flight
    #[arg(long, value_name = "N", default_value_t = 12_000)]
    connections: usize,

    /// Which core the routers of a scratch cluster are kept on
    #[arg(long, value_enum, default_value_t = RoutersOn::CoreOfLoad)]
    routers_on: RoutersOn,

    /// Accounts to open
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    accounts: usize,

    /// Share of the transfers between accounts of different shards, 0 to 1 [default: as many as the ring makes of
    /// pairs drawn at random from four shards]
    #[arg(long, value_name = "SHARE", default_value_t = 0.75, hide_default_value = true)]
    cross_shard: f64,

    /// How long each number of clients is tried, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..))]
    trial: u64,

    /// Write the report as JSON to this file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Where the routers of a scratch cluster run. To refuse a request takes the edge about a tenth of the time that all of
/// the wallet takes to carry one; where both share one core, refusing two for each that is carried takes from those.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoutersOn {
    /// With the load: the edge is a machine of its own, as in a region of any size
    CoreOfLoad,
    /// With the shards: all of the wallet is one machine
    CoreOfShards,
}

/// Runs the command.
///
/// # Errors
/// The wallet cannot be started or reached, or does not answer where it is not overloaded.
pub async fn overload(options: OverloadOptions) -> Result<Outcome> {
    if cfg!(debug_assertions) {
        eprintln!("note: this is a debug build; its figures mean little");
    }
    let line = progress::line("starting the wallet")?;
    let (place, ground) = Place::prepare(&options, &line).await?;
    let ground = Rc::new(ground);
    let report = measure(&options, &place, &ground, &line).await;
    line.set_message("stopping");
    place.leave().await?;
    line.finish_and_clear();
    let report = report?;
    println!("{}", report.text());
    if let Some(path) = &options.report {
        let json = serde_json::to_vec_pretty(&report)?;
        std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(if !report.proof.holds {
        Outcome::Breach
    } else if report.missed_targets.is_empty() {
        Outcome::Fine
    } else {
        Outcome::Failed
    })
}

async fn measure(options: &OverloadOptions, place: &Place, ground: &Rc<Ground>, line: &ProgressBar) -> Result<Report> {
    let best = best::find(ground, place, options.trial, options.seconds, line).await?;
    line.set_message("asking while nothing else is sent");
    let usual = recovery::usual(ground).await?;
    line.set_message(format!("sending {} times {:.0} transfers/s", options.factor, best.per_second));
    let terms = Terms {
        start: Instant::now(),
        per_second: best.per_second * options.factor,
        connections: options.connections,
        warmup: Duration::from_secs(6),
        length: Duration::from_secs(options.seconds),
    };
    let recovering = recovery::after(ground, terms.end(), usual);
    let (flood, recovery) = tokio::join!(flood::send(ground, place, &terms), recovering);
    let (flood, recovery) = (flood?, recovery?);
    line.set_message("sending refused ones again");
    let repeats = repeats::send(ground, &flood.refused).await?;
    line.set_message("reading histories");
    settle::settle(&ground.population, &ground.journal, &manner()).await?;
    let journal = ground.journal.take();
    let verdict = proof::prove(&ground.population, &journal, &manner(), || ()).await?;
    Ok(Report::new(place.describe(), best, &terms, flood, recovery, repeats, verdict))
}

/// How the wallet is called where speed is not measured.
fn manner() -> Manner {
    Manner { clients: 64, timeout: TIMEOUT, patience: PATIENCE }
}

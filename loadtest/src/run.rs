//! `loadtest run`: loads a wallet, measures it, and proves that it kept its word.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use indicatif::ProgressBar;

use crate::Outcome;
use crate::fleet::Manner;
use crate::html;
use crate::load::{Load, Pressure, Ran};
use crate::mix::{Mix, Shares};
use crate::opening::{self, Wanted};
use crate::population::Population;
use crate::progress;
use crate::proof;
use crate::sessions::Visitors;
use crate::settle;
use crate::summary::{Summary, Terms};
use crate::target::TargetOptions;

/// Sessions outlast the longest wait after the load by this much.
const SESSION_MARGIN: Duration = Duration::from_secs(3600);

/// The share of transfers across shards where nothing else was asked for.
const CROSS_SHARD_USUAL: f64 = 0.2;

/// Loads a wallet with reads and transfers between new accounts, and proves that no money was made or lost.
///
/// Exit status: 0 fine, 1 failed or not proved to the end, 2 usage, 3 the wallet broke its word.
#[derive(Debug, Clone, Args)]
pub struct RunOptions {
    #[command(flatten)]
    target: TargetOptions,

    /// Accounts to open, spread over all regions and shards
    #[arg(long, value_name = "N", default_value_t = 1000)]
    accounts: usize,

    /// Users that hold the accounts, at most 100 each
    #[arg(long, value_name = "N", default_value_t = 200)]
    users: usize,

    /// What each account starts with
    #[arg(long, value_name = "AMOUNT", default_value_t = 10_000)]
    balance: i64,

    /// The currency of the accounts
    #[arg(long, value_name = "CODE", default_value = "SGD")]
    currency: String,

    /// How long requests are sent, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    duration: u64,

    /// Connections, each with at most one request in flight; in an open loop also the bound on requests in flight
    #[arg(long, value_name = "N", default_value_t = 64)]
    clients: usize,

    /// Open loop: send this many requests a second, whatever the answers do, and measure each from the time it was
    /// meant to be sent [default: closed loop, every client sends when it has its answer]
    #[arg(long, value_name = "REQUESTS_PER_SECOND", value_parser = positive)]
    rate: Option<f64>,

    /// Share of the requests that read a balance, 0 to 1; the others move money
    #[arg(long, value_name = "SHARE", default_value_t = 0.5)]
    reads: f64,

    /// Share of the transfers between accounts of different shards, 0 to 1 [default: 0.2 where there are several]
    #[arg(long, value_name = "SHARE")]
    cross_shard: Option<f64>,

    /// Share of the transfers between accounts of different regions, a part of --cross-shard [default: as it falls]
    #[arg(long, value_name = "SHARE")]
    cross_region: Option<f64>,

    /// Share of the transfers that ask for more than the account holds, and must be refused
    #[arg(long, value_name = "SHARE", default_value_t = 0.01)]
    refused: f64,

    /// Draws the same requests again [default: another one each time]
    #[arg(long)]
    seed: Option<u64>,

    /// How long one answer is waited for, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    timeout_ms: u64,

    /// How long after the end the outcome of each transfer is asked for, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    patience: u64,

    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,

    /// Write a page with pictures to this file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if number.is_finite() && number > 0.0 { Ok(number) } else { Err("must be above 0".to_owned()) }
}

/// Runs the command.
///
/// # Errors
/// The wallet cannot be reached or refuses what a load needs.
pub async fn run(options: RunOptions) -> Result<Outcome> {
    let target = options.target.find().await?;
    let mut visitors = Visitors::connect(&target.redis).await?;
    let run = format!("lt-{:06x}", rand::random::<u32>() >> 8);
    let bar = progress::bar("opening accounts", options.accounts)?;
    let wanted = options.wanted(&run);
    let opened = opening::open(&target.routers, &mut visitors, &wanted, &options.manner(), || bar.inc(1)).await?;
    bar.finish_and_clear();
    if !opened.owners_are_certain {
        eprintln!("note: slots have moved between shards, so the share of cross-shard transfers is only about right");
    }
    let summary = load_and_prove(&options, &run, Rc::new(opened.population)).await?;
    visitors.dismiss().await?;
    options.show(&summary)?;
    Ok(if !summary.proof.holds {
        Outcome::Breach
    } else if summary.is_proved() {
        Outcome::Fine
    } else {
        Outcome::Failed
    })
}

async fn load_and_prove(options: &RunOptions, run: &str, population: Rc<Population>) -> Result<Summary> {
    let pressure = options.pressure();
    let mix = Mix::new(options.shares(&population), &population)?;
    let load = Rc::new(Load::new(population.clone(), mix, run.to_owned())?);
    let ran = run_with_progress(&load, &pressure).await?;
    let journal = RefCell::new(load.take_journal());
    let manner = options.manner();
    let waiting = progress::line("waiting for pending transfers")?;
    settle::settle(&population, &journal, &manner).await?;
    waiting.finish_and_clear();
    let bar = progress::bar("reading histories", population.accounts.len())?;
    let verdict = proof::prove(&population, &journal.into_inner(), &manner, || bar.inc(1)).await?;
    bar.finish_and_clear();
    let (rate, seed) = (pressure.rate, pressure.seed);
    let terms =
        Terms { run: run.to_owned(), rate, clients: pressure.clients, accounts: population.accounts.len(), seed };
    Ok(Summary::new(terms, &ran, verdict))
}

/// Runs the load with a live line. Ctrl-C ends it early; what was sent is still proved.
async fn run_with_progress(load: &Rc<Load>, pressure: &Pressure) -> Result<Ran> {
    let line = progress::line("loading")?;
    tokio::task::spawn_local(end_early(Rc::downgrade(load), line.clone()));
    let ticker = tokio::task::spawn_local(tick(Rc::downgrade(load), line.clone(), pressure.duration));
    let ran = load.run(pressure).await;
    ticker.abort();
    line.finish_and_clear();
    ran
}

/// The first Ctrl-C ends the load, the second one the program.
async fn end_early(load: Weak<Load>, line: ProgressBar) {
    for told in ["ending early; what was sent is still proved (again to leave at once)", ""] {
        // Where signals cannot be listened to, Ctrl-C ends the program as usual.
        if tokio::signal::ctrl_c().await.is_err() {
            return;
        }
        match load.upgrade().filter(|_| !told.is_empty()) {
            Some(load) => load.stop(),
            None => std::process::exit(130),
        }
        line.println(told);
    }
}

async fn tick(load: Weak<Load>, line: ProgressBar, duration: Duration) {
    let start = Instant::now();
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    seconds.tick().await;
    loop {
        seconds.tick().await;
        let Some(load) = load.upgrade() else { return };
        let second = load.with_measures(|measures| measures.next_second());
        line.set_message(progress::describe(&second, start.elapsed(), duration));
    }
}

impl RunOptions {
    fn shares(&self, population: &Population) -> Shares {
        let Self { reads, cross_region, refused, .. } = *self;
        let usual = if population.shards.len() > 1 { CROSS_SHARD_USUAL } else { 0.0 };
        let cross_shard = self.cross_shard.unwrap_or(usual.max(cross_region.unwrap_or_default()));
        Shares { reads, cross_shard, cross_region, doomed: refused }
    }

    fn pressure(&self) -> Pressure {
        Pressure {
            clients: self.clients,
            rate: self.rate,
            duration: Duration::from_secs(self.duration),
            timeout: Duration::from_millis(self.timeout_ms),
            patience: Duration::from_secs(self.patience),
            seed: self.seed.unwrap_or_else(rand::random),
        }
    }

    fn manner(&self) -> Manner {
        Manner {
            clients: 32,
            timeout: Duration::from_millis(self.timeout_ms),
            patience: Duration::from_secs(self.patience),
        }
    }

    fn wanted(&self, run: &str) -> Wanted {
        Wanted {
            run: run.to_owned(),
            users: self.users.min(self.accounts),
            accounts: self.accounts,
            balance: self.balance,
            currency: self.currency.clone(),
            session_life: Duration::from_secs(self.duration + self.patience) + SESSION_MARGIN,
        }
    }

    fn show(&self, summary: &Summary) -> Result<()> {
        if self.json {
            println!("{}", serde_json::to_string_pretty(summary)?);
        } else {
            println!("{}", summary.text());
        }
        if let Some(path) = &self.report {
            std::fs::write(path, html::page(summary)?).with_context(|| format!("cannot write {}", path.display()))?;
            eprintln!("report: {}", path.display());
        }
        Ok(())
    }
}

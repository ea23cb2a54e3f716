//! `simulator run`: the seeded simulation.

use crate::Verdict;
use anyhow::{Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use simulator::Bug;
use simulator::sim::{Options, Report, Tally, run as play, story};
use std::time::Instant;

/// Plays a wallet of three shards with two nodes each in virtual time: half a minute in which processes crash,
/// connections break in the middle of commits and the network loses, repeats and delays, then a minute and a half in
/// which everything must come to its end. A seed gives the same run everywhere. A seed that breaks a promise is
/// printed with the command that replays it and the story of its transfer.
#[derive(Debug, Args)]
pub struct RunOptions {
    /// How many seeds.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many requests clients begin with in each run; what they hold leads to more.
    #[arg(long, default_value_t = 80)]
    steps: usize,
    /// Plant this bug; the run ends with the first seed that shows it.
    #[arg(long)]
    bug: Option<Bug>,
}

/// Carries the command out.
pub fn run(options: &RunOptions) -> Result<Verdict> {
    if let Some(bug) = options.bug.filter(|bug| !Bug::of_simulation().any(|known| known == *bug)) {
        bail!("{} can be planted in the model only", bug.name());
    }
    let started = Instant::now();
    let bar = ProgressBar::new(options.seeds);
    bar.set_style(ProgressStyle::with_template("seeds {bar:30} {human_pos}/{human_len}  {eta} left")?);
    let (mut events, mut requests, mut tally) = (0, 0, Tally::default());
    let mut last = 0;
    for seed in options.seed..options.seed.saturating_add(options.seeds) {
        let played = Options { seed, requests: options.steps, bug: options.bug };
        let report = play(played)?;
        if report.breach.is_some() {
            bar.finish_and_clear();
            tell(played, &report)?;
            return Ok(if options.bug.is_some() { Verdict::Fine } else { Verdict::Breach });
        }
        events += report.events;
        tally.add(&report.tally);
        requests += report.requests;
        last = report.trace;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{} seeds from {}: no promise broken. {requests} requests, {events} events in {seconds:.1} s ({:.0} seeds/s).",
        options.seeds,
        options.seed,
        options.seeds as f64 / seconds
    );
    for (what, count) in tally.lines() {
        println!("{count:>10} {what}");
    }
    println!("The last run's trace is {last:016x}.");
    Ok(if options.bug.is_some() { Verdict::Breach } else { Verdict::Fine })
}

fn tell(options: Options, report: &Report) -> Result<()> {
    for line in story(options)? {
        println!("{line}");
    }
    if let Some(breach) = &report.breach {
        println!("Broken: {}.", breach.promise);
        if let Some(transfer) = breach.transfer {
            println!("Transfer: {transfer}.");
        }
    }
    let bug = options.bug.map(|bug| format!(" --bug {}", bug.name())).unwrap_or_default();
    println!(
        "Seed {}, trace {:016x}. Again: cargo run --release -p simulator -- run --seeds 1 --seed {} --steps {}{bug}",
        options.seed, report.trace, options.seed, options.requests
    );
    Ok(())
}

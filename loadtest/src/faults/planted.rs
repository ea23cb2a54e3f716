//! Does the suite catch what it is there for? Bugs are planted in the real programs, one after the other.

use std::cell::Cell;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use super::options::FaultsOptions;
use super::points::{self, Point};
use super::suite::{self, Cluster};
use crate::Outcome;

/// A bug has so long to show, in minutes.
const MINUTES_MAX: f64 = 10.0;

/// What came of one bug.
#[derive(Debug, Clone, Serialize)]
pub struct Caught {
    /// The bug.
    pub bug: String,
    /// The checks that found something, in their order.
    pub by: Vec<String>,
    /// Whether one of them is there to find this.
    pub is_caught: bool,
    /// After how many seconds of faults.
    pub after_seconds: u64,
    /// Rounds that it took.
    pub rounds: u64,
    /// What one of them said.
    pub what: String,
    /// The story that was told of it.
    pub story: Option<String>,
}

/// Plants one bug after the other, each in a cluster of its own, until a check finds it or 10 minutes are over.
///
/// # Errors
/// A cluster cannot be started or hurt, or there is no such bug.
pub async fn run(options: &FaultsOptions, seed: u64, is_interrupted: &Cell<bool>) -> Result<Outcome> {
    let mut bugs = all().await?;
    if let Some(wanted) = &options.plant {
        bugs.retain(|bug| bug.name == *wanted);
        ensure!(
            !bugs.is_empty(),
            "there is no bug {wanted:?}: `GET /faults` on the admin port of a router or shard-node lists them"
        );
    }
    let mut caught = vec![];
    for bug in &bugs {
        if is_interrupted.get() {
            break;
        }
        eprintln!("planting {} ({} of {})", bug.name, caught.len() + 1, bugs.len());
        let one = plant(options, seed, bug, is_interrupted).await.with_context(|| format!("with {}", bug.name))?;
        eprintln!("{}", words(&one));
        caught.push(one);
    }
    println!("{}", table(&caught));
    if let Some(path) = &options.report {
        let json = serde_json::to_vec_pretty(&caught)?;
        std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let all_caught = caught.len() == bugs.len() && caught.iter().all(|one| one.is_caught);
    Ok(if all_caught { Outcome::Fine } else { Outcome::Failed })
}

/// The bugs that the programs have.
async fn all() -> Result<Vec<Point>> {
    let cluster = suite::start(Cluster::Planted).await?;
    let listed = points::list(&cluster).await;
    cluster.stop().await?;
    Ok(listed?.into_iter().filter(|point| point.name.starts_with("bug::")).collect())
}

async fn plant(options: &FaultsOptions, seed: u64, bug: &Point, is_interrupted: &Cell<bool>) -> Result<Caught> {
    let options = FaultsOptions { minutes: MINUTES_MAX, crash_hits: Some(0), ..options.clone() };
    let began = Instant::now();
    let report = suite::run_planted(&options, seed, &bug.name, is_interrupted).await?;
    let mut by: Vec<String> = vec![];
    for breach in &report.breaches {
        let mut words = breach.split([':', ' ']).filter(|word| !word.is_empty());
        let check = match words.next().unwrap_or_default() {
            "audit" => format!("audit::{}", words.next().unwrap_or_default()),
            check => check.to_owned(),
        };
        if !by.contains(&check) {
            by.push(check);
        }
    }
    let after_seconds = if by.is_empty() { began.elapsed().as_secs() } else { report.seconds };
    let in_time = after_seconds as f64 <= MINUTES_MAX * 60.0;
    let is_caught = in_time && by.iter().any(|check| bug.caught_by.contains(check));
    let what = report.breaches.first().cloned().unwrap_or_default();
    Ok(Caught { bug: bug.name.clone(), by, is_caught, after_seconds, rounds: report.rounds, what, story: report.story })
}

fn words(caught: &Caught) -> String {
    let Caught { bug, by, is_caught, after_seconds, what, .. } = caught;
    match (is_caught, by.is_empty()) {
        (true, _) => format!("{bug} was caught after {after_seconds} s: {what}"),
        (false, true) => format!("{bug} was NOT caught in {after_seconds} s"),
        (false, false) => format!("{bug} was NOT caught; something else was, after {after_seconds} s: {what}"),
    }
}

fn table(caught: &[Caught]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(vec!["bug", "caught by", "after"]);
    for one in caught {
        let by = format!("{}{}", if one.is_caught { "" } else { "NOT CAUGHT " }, one.by.join(", "));
        table.add_row(vec![one.bug.clone(), by, format!("{} s", one.after_seconds)]);
    }
    table
}

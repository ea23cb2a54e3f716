//! `walletctl verify`

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use audit::{AuditError, ChainReport, CheckResult, Limits, Progress, Report, ShardTarget, audit};
use indicatif::{ProgressBar, ProgressStyle};
use placement::{ShardId, Slot};
use serde::Serialize;

use super::verify_chain::{self, ChainOptions};
use super::verify_events::{self, Events};
use crate::GlobalOptions;
use crate::duration;
use crate::outcome::{Outcome, UsageError};
use crate::output::{print, print_json, table};
use crate::shards::{ShardAt, ShardsOption};

/// Prove from the data of all shards that no money was made or lost; exit status 3 if an invariant is broken
///
/// Reads every shard in one snapshot, writes and locks nothing, and may run while the wallet works: what the
/// snapshots of two shards disagree about is looked at again before it counts.
#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    /// Only this shard; may be repeated. The others are still asked for their halves of its transfers
    #[arg(long, value_name = "ID")]
    shard: Vec<ShardId>,

    /// Only what belongs to this slot; may be repeated. Leaves out the sums of whole shards
    #[arg(long, value_name = "SLOT")]
    slot: Vec<Slot>,

    /// The age at which an open transfer between shards is a breach, such as 90s, 5m, 1h
    #[arg(long, value_name = "AGE", value_parser = duration::parse, default_value = "5m")]
    saga_age: Duration,

    #[command(flatten)]
    chain: ChainOptions,

    #[command(flatten)]
    shards: ShardsOption,
}

/// All that was found, as JSON.
#[derive(Serialize)]
struct Found<'a> {
    #[serde(flatten)]
    report: &'a Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<&'a ChainReport>,
    events: &'a Events,
}

impl Verify {
    pub(crate) async fn run(self, options: &GlobalOptions) -> Result<Outcome> {
        let started = Instant::now();
        let located: Vec<ShardAt> = self.shards.locate(options)?;
        let targets: Vec<ShardTarget> = located.iter().map(|at| at.target.clone()).collect();
        let limits = self.limits(&targets)?;
        let bar = bar("verifying");
        let report = audit(&targets, &limits, &|progress| show(&bar, progress)).await;
        bar.finish_and_clear();
        let report = report.map_err(|error| self.explained(error))?;
        let chain = self.chain.run(&targets, &limits).await.map_err(|error| match error.downcast() {
            Ok(error) => self.explained(error),
            Err(other) => other,
        })?;
        let events = verify_events::look(&located, &limits).await.map_err(|error| self.explained(error))?;
        let report = report.with(chain.as_ref().map(ChainReport::checks).unwrap_or_default()).with(events.checks());
        if options.json {
            print_json(&Found { report: &report, chain: chain.as_ref(), events: &events })?;
        } else {
            let chains = chain.as_ref().map(|chain| format!("\n\n{}", verify_chain::text(chain))).unwrap_or_default();
            print(&format!("{}\n{events}{chains}", text(&report, started.elapsed())))?;
        }
        Ok(if report.holds { Outcome::Fine } else { Outcome::InvariantBroken })
    }

    /// A part of the shards proves nothing, so one that is down has to come back first.
    fn explained(&self, error: AuditError) -> anyhow::Error {
        let (AuditError::Connect { shard, .. } | AuditError::Query { shard, .. }) = &error else {
            return error.into();
        };
        let shard = *shard;
        let mend = match self.shards.is_local() {
            true => {
                "`walletctl status` shows what is down; `walletctl down` and `walletctl up` start it again, and an \
                 `up` in the foreground does so by itself"
            }
            false => "see that its PostgreSQL runs and lets this role read",
        };
        let cause = anyhow::Error::from(error);
        anyhow!("verify needs all shards, and shard {shard} cannot be read: {cause:#}\n{mend}")
    }

    fn limits(&self, targets: &[ShardTarget]) -> Result<Limits> {
        let unknown = self.shard.iter().find(|shard| targets.iter().all(|target| target.shard != **shard));
        if let Some(unknown) = unknown {
            return Err(UsageError(format!("there is no shard {unknown}")).into());
        }
        let chosen = |shards: &Vec<ShardId>| (!shards.is_empty()).then(|| shards.clone());
        let slots = (!self.slot.is_empty()).then(|| self.slot.clone());
        Ok(Limits { shards: chosen(&self.shard), slots, saga_age: self.saga_age })
    }
}

pub(super) fn bar(what: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    const TICK: Duration = Duration::from_millis(100);
    let style = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} {msg} {elapsed}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(1).with_style(style).with_prefix(what.to_owned());
    bar.enable_steady_tick(TICK);
    bar
}

pub(super) fn show(bar: &ProgressBar, progress: Progress) {
    bar.set_length(u64::try_from(progress.total).unwrap_or(u64::MAX));
    bar.set_position(u64::try_from(progress.done).unwrap_or(u64::MAX));
    bar.set_message(format!("{} checked", progress.checked));
}

fn text(report: &Report, took: Duration) -> String {
    let rows = report.checks.chunk_by(|one, next| one.invariant == next.invariant).flat_map(rows);
    let header = ["INVARIANT", "SCOPE", "CHECKED", "VIOLATIONS", "FIRST"];
    let broken: Vec<&str> = report.broken().map(|check| check.invariant.as_str()).collect();
    let shards = match report.shards.len() {
        1 => "1 shard".to_owned(),
        several => format!("{several} shards"),
    };
    let verdict = match broken.is_empty() {
        true => format!("{} invariants hold on {shards}", report.invariants()),
        false => format!("BROKEN on {shards}: {}", distinct(broken).join(", ")),
    };
    format!("{}\n\n{verdict}; read in {:.1} s", table(&header, rows), took.as_secs_f64())
}

fn distinct(mut words: Vec<&str>) -> Vec<&str> {
    words.dedup();
    words
}

/// An invariant's checks: those that hold in one row, those that found something in one each.
fn rows(checks: &[CheckResult]) -> Vec<Vec<String>> {
    let (held, broken): (Vec<&CheckResult>, Vec<&CheckResult>) = checks.iter().partition(|check| check.violations == 0);
    let mut rows = Vec::new();
    if let Some(first) = held.first() {
        let shards = held.iter().filter(|check| check.shard.is_some());
        // What is looked at together was counted on its shard.
        let counted = if shards.clone().count() == 0 { 1 } else { shards.clone().count() };
        let checked: u64 = held.iter().take(counted).map(|check| check.checked).sum();
        let scope = match shards.count() {
            0 | 1 if held.len() == 1 => scope(first),
            shards if shards < held.len() => format!("{shards} shards and all together"),
            shards => format!("{shards} shards"),
        };
        rows.push(vec![first.invariant.to_string(), scope, checked.to_string(), "0".to_owned(), String::new()]);
    }
    rows.extend(broken.into_iter().map(|check| {
        let CheckResult { invariant, checked, violations, first, .. } = check;
        let first = first.clone().unwrap_or_default();
        vec![invariant.to_string(), scope(check), checked.to_string(), violations.to_string(), first]
    }));
    rows
}

fn scope(check: &CheckResult) -> String {
    check.shard.map_or_else(|| "all together".to_owned(), |shard| format!("shard {shard}"))
}

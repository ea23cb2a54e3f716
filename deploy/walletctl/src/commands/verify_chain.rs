//! The part of `walletctl verify` that follows the chains of committed batches.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use audit::{Breach, ChainReport, KeptChains, Limits, ShardChains, ShardTarget, verify_chains};
use placement::ShardId;
use serde::Deserialize;

use super::verify::{bar, show};

/// What concerns the chains.
#[derive(Debug, clap::Args)]
pub(crate) struct ChainOptions {
    /// Also follow the chains of committed batches, and name each row that was changed, added or removed behind the
    /// wallet's back
    #[arg(long, conflicts_with = "slot")]
    chain: bool,

    /// An earlier output of `verify --chain --json`: the chains of then must be the beginnings of those of now
    #[arg(long, value_name = "FILE", requires = "chain")]
    chain_heads: Option<PathBuf>,
}

impl ChainOptions {
    /// Follows the chains, if that is wanted.
    pub(crate) async fn run(&self, targets: &[ShardTarget], limits: &Limits) -> Result<Option<ChainReport>> {
        if !self.chain {
            return Ok(None);
        }
        let kept = self.chain_heads.as_deref().map(kept).transpose()?.unwrap_or_default();
        let wanted = |shard: ShardId| limits.shards.as_ref().is_none_or(|shards| shards.contains(&shard));
        let targets: Vec<ShardTarget> = targets.iter().filter(|target| wanted(target.shard)).cloned().collect();
        let bar = bar("following chains");
        let report = verify_chains(&targets, &kept, &|progress| show(&bar, progress)).await;
        bar.finish_and_clear();
        Ok(Some(report?))
    }
}

fn kept(file: &Path) -> Result<Vec<KeptChains>> {
    #[derive(Deserialize)]
    struct Whole {
        chain: Chains,
    }
    #[derive(Deserialize)]
    struct Chains {
        shards: Vec<KeptChains>,
    }
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let whole: Whole = serde_json::from_str(&text)
        .with_context(|| format!("{} is no output of `verify --chain --json`", file.display()))?;
    Ok(whole.chain.shards)
}

/// Breaches that are printed for each shard; JSON has more.
const PRINTED_MAX: usize = 20;

/// What the chains have found, line by line.
pub(crate) fn text(report: &ChainReport) -> String {
    let lines = report.shards.iter().flat_map(|found| {
        let ShardChains { shard, batches, rows, rows_before, heads, .. } = found;
        let before = match rows_before {
            0 => String::new(),
            before => format!(", {before} of them older than the chains"),
        };
        let chains = if heads.len() == 1 { "chain" } else { "chains" };
        let summary = format!("shard {shard}: {batches} batches in {} {chains}, {rows} rows{before}", heads.len());
        let printed = found.breaches.iter().take(PRINTED_MAX).map(|breach: &Breach| format!("  {breach}"));
        std::iter::once(summary).chain(printed).chain(not_printed(found))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn not_printed(found: &ShardChains) -> Option<String> {
    let printed = u64::try_from(found.breaches.len().min(PRINTED_MAX)).unwrap_or(u64::MAX);
    let left = found.violations.saturating_sub(printed);
    let at_least = if found.more { "at least " } else { "" };
    (left > 0).then(|| format!("  and {at_least}{left} more"))
}

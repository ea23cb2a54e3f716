//! The part of `walletctl verify` that follows the chains of committed batches.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use audit::{Breach, ChainReport, KeptChains, Limits, ShardChains, ShardTarget, Since, Table, verify_chains};
use placement::ShardId;
use serde::Deserialize;

use super::verify::{bar, show};

/// What concerns the chains.
#[derive(Debug, clap::Args)]
pub(crate) struct ChainOptions {
    /// Also follow the chains of committed batches, and name each transfer, decision, key, account or reservation that was
    /// changed, added or removed behind the wallet's back
    ///
    /// Sums that the other checks explain (balances, clearing and external totals) and messages that wait to be sent are
    /// no part of it. A key may be gone once it is 30 days old.
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
        let ShardChains { shard, batches, rows, heads, .. } = found;
        let chains = if heads.len() == 1 { "chain" } else { "chains" };
        let summary = format!("shard {shard}: {batches} batches in {} {chains}, {rows} rows", heads.len());
        let printed = found.breaches.iter().take(PRINTED_MAX).map(|breach: &Breach| format!("  {breach}"));
        std::iter::once(summary)
            .chain(not_proved(&found.rows_before_by_table, &found.since))
            .chain(printed)
            .chain(not_printed(found))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What is from before the chains.
fn not_proved(rows: &BTreeMap<Table, u64>, since: &Since) -> Option<String> {
    let starts = [since.since, since.whole_since.flatten()];
    let starts = starts.into_iter().flatten().map(|since| since.to_string()).collect::<Vec<_>>().join(" and ");
    let tables = rows.iter().map(|(table, rows)| format!("{rows} of {table}")).collect::<Vec<_>>().join(", ");
    (!rows.is_empty()).then(|| format!("  NOT PROVED, for they are from before the chains ({starts}): {tables}"))
}

fn not_printed(found: &ShardChains) -> Option<String> {
    let printed = u64::try_from(found.breaches.len().min(PRINTED_MAX)).unwrap_or(u64::MAX);
    let left = found.violations.saturating_sub(printed);
    let at_least = if found.more { "at least " } else { "" };
    (left > 0).then(|| format!("  and {at_least}{left} more"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_proved_is_said_aloud() {
        let at = |text: &str| text.parse().ok();
        let since = Since { since: None, whole_since: Some(at("2026-11-29T12:00:00Z")) };
        let rows = BTreeMap::from([(Table::Keys, 20), (Table::Accounts, 3)]);
        let expected = "  NOT PROVED, for they are from before the chains (2026-11-29T12:00:00Z): 20 of idempotency, 3 of accounts";
        assert_eq!(not_proved(&rows, &since).as_deref(), Some(expected));
        assert_eq!(not_proved(&BTreeMap::new(), &since), None);
    }
}

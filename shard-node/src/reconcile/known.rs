//! The drift that was found, from its first report until it is gone.

use super::clearing::Difference;
use super::judge::Part;
use super::metrics::ReconcileMetrics;
use ledger::CurrencyRules;
use placement::ShardId;
use prometheus::IntCounterVec;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Transfers in drift that are looked at again and again; more are only logged once.
const KNOWN_MAX: usize = 10_000;

/// A transfer that is not right, or does not look so yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Suspect {
    /// The transfer.
    pub id: Uuid,
    /// The shard that has the other half.
    pub peer: ShardId,
    /// What this shard is in it.
    pub part: Part,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Known {
    transfers: BTreeMap<Suspect, String>,
    clearing: BTreeMap<(ShardId, String), i128>,
}

impl Known {
    /// The transfers, to be looked at again.
    pub fn suspects(&self) -> impl Iterator<Item = Suspect> {
        self.transfers.keys().copied()
    }

    /// What does not explain the clearing account with the peer, by the last report.
    pub fn clearing_with(&self, peer: ShardId) -> Difference {
        let known = self.clearing.iter().filter(|((with, _), _)| *with == peer);
        known.map(|((_, currency), amount)| (currency.clone(), *amount)).collect()
    }

    /// A transfer was looked at again. Reports what is new, and what is over.
    pub fn judged(&mut self, suspect: Suspect, wrong: Option<String>, violations: &IntCounterVec) {
        let Suspect { id, peer, part } = suspect;
        let Some(wrong) = wrong else {
            if self.transfers.remove(&suspect).is_some() {
                tracing::info!(transfer_id = %id, %peer, "the halves of a transfer go together again");
            }
            return;
        };
        if self.transfers.get(&suspect) == Some(&wrong) {
            return;
        }
        tracing::error!(transfer_id = %id, %peer, this_shard = ?part, wrong, "drift between two shards");
        if self.transfers.len() < KNOWN_MAX && self.transfers.insert(suspect, wrong).is_some() {
            return;
        }
        violations.with_label_values(&[super::PAIRING]).inc();
    }

    /// The clearing accounts with a peer were compared, for certain. Reports what is new, and what is over.
    pub fn compared(&mut self, peer: ShardId, difference: &Difference, violations: &IntCounterVec) {
        for (currency, amount) in difference {
            if self.clearing.insert((peer, currency.clone()), *amount) != Some(*amount) {
                tracing::error!(%peer, currency, %amount, "the clearing accounts of two shards do not come to nothing");
                violations.with_label_values(&[super::CLEARING]).inc();
            }
        }
        self.clearing.retain(|(with, currency), _| {
            let stays = *with != peer || difference.contains_key(currency);
            if !stays {
                tracing::info!(%peer, currency, "the clearing accounts of two shards come to nothing again");
            }
            stays
        });
    }

    /// Shows all of it; what is not in drift as 0.
    pub fn show(&self, peers: &[ShardId], currencies: &[CurrencyRules], metrics: &ReconcileMetrics) {
        metrics.forget_clearing();
        for peer in peers {
            let transfers = self.transfers.keys().filter(|suspect| suspect.peer == *peer).count();
            let nothing = currencies.iter().map(|rules| (rules.currency.as_str(), 0));
            let known = self.clearing.iter().filter(|((with, _), _)| with == peer);
            let known = known.map(|((_, currency), amount)| (currency.as_str(), *amount));
            metrics.set_drift(*peer, transfers, nothing.chain(known));
        }
    }
}

//! The drift that was found, from its first report until it is gone.

use super::clearing::Difference;
use super::judge::Part;
use super::metrics::ReconcileMetrics;
use ledger::CurrencyRules;
use placement::ShardId;
use prometheus::IntCounterVec;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Transfers in drift that are named and looked at again; more are only counted.
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
    /// Looked wrong, and not looked at again yet.
    suspected: BTreeSet<Suspect>,
    clearing: BTreeMap<(ShardId, String), i128>,
    /// Found in this pass, when there was no more room.
    unnamed: BTreeMap<ShardId, usize>,
}

impl Known {
    /// Transfers look wrong. They are not forgotten until they were looked at again, whatever becomes of this pass.
    pub fn suspect(&mut self, suspects: impl IntoIterator<Item = Suspect>) {
        self.suspected.extend(suspects);
    }

    /// The transfers to be looked at again: those in drift, and those that look so.
    pub fn suspects(&self) -> BTreeSet<Suspect> {
        self.transfers.keys().chain(&self.suspected).copied().collect()
    }

    /// What does not explain the clearing account with the peer, by the last report.
    pub fn clearing_with(&self, peer: ShardId) -> Difference {
        let known = self.clearing.iter().filter(|((with, _), _)| *with == peer);
        known.map(|((_, currency), amount)| (currency.clone(), *amount)).collect()
    }

    /// A transfer was looked at again. Reports what is new, and what is over.
    pub fn judged(&mut self, suspect: Suspect, wrong: Option<String>, violations: &IntCounterVec) {
        let Suspect { id, peer, part } = suspect;
        self.suspected.remove(&suspect);
        let Some(wrong) = wrong else {
            if self.transfers.remove(&suspect).is_some() {
                tracing::info!(transfer_id = %id, %peer, "the halves of a transfer go together again");
            }
            return;
        };
        let before = self.transfers.get(&suspect);
        if before == Some(&wrong) {
            return;
        }
        if before.is_none() && self.transfers.len() >= KNOWN_MAX {
            *self.unnamed.entry(peer).or_default() += 1;
            return;
        }
        tracing::error!(transfer_id = %id, %peer, this_shard = ?part, wrong, "drift between two shards");
        if self.transfers.insert(suspect, wrong).is_none() {
            violations.with_label_values(&[super::PAIRING]).inc();
        }
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
    pub fn show(&mut self, peers: &[ShardId], currencies: &[CurrencyRules], metrics: &ReconcileMetrics) {
        metrics.forget_clearing();
        let unnamed = std::mem::take(&mut self.unnamed);
        for peer in peers {
            let named = self.transfers.keys().filter(|suspect| suspect.peer == *peer).count();
            let transfers = named + unnamed.get(peer).copied().unwrap_or_default();
            if transfers > named {
                tracing::error!(%peer, transfers, named, "more transfers are in drift than can be named");
            }
            let nothing = currencies.iter().map(|rules| (rules.currency.as_str(), 0));
            let known = self.clearing.iter().filter(|((with, _), _)| with == peer);
            let known = known.map(|((_, currency), amount)| (currency.as_str(), *amount));
            metrics.set_drift(*peer, transfers, nothing.chain(known));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::Opts;

    fn counter() -> IntCounterVec {
        IntCounterVec::new(Opts::new("violations", "x"), &["invariant"]).expect("a counter")
    }

    fn suspect(number: u128) -> Suspect {
        Suspect { id: Uuid::from_u128(number), peer: ShardId::try_from(2).expect("a shard"), part: Part::Debit }
    }

    fn counted(violations: &IntCounterVec, invariant: &str) -> u64 {
        violations.with_label_values(&[invariant]).get()
    }

    fn wrong() -> Option<String> {
        Some("wrong".to_owned())
    }

    #[test]
    fn transfer_is_counted_once_until_it_is_right_again() {
        let (mut known, violations) = (Known::default(), counter());
        known.judged(suspect(1), None, &violations);
        assert_eq!(counted(&violations, "pairing"), 0);
        for _ in 0..3 {
            known.judged(suspect(1), wrong(), &violations);
        }
        known.judged(suspect(1), Some("wrong in another way".to_owned()), &violations);
        assert_eq!((counted(&violations, "pairing"), known.suspects().len()), (1, 1));
        known.judged(suspect(1), None, &violations);
        assert_eq!(known.suspects().len(), 0);
        known.judged(suspect(1), wrong(), &violations);
        assert_eq!(counted(&violations, "pairing"), 2);
    }

    #[test]
    fn suspicion_stays_until_it_was_looked_at_again() {
        let (mut known, violations) = (Known::default(), counter());
        known.suspect([suspect(1), suspect(2)]);
        known.suspect([suspect(2)]);
        assert_eq!((known.suspects().len(), counted(&violations, "pairing")), (2, 0));
        known.judged(suspect(1), None, &violations);
        assert_eq!(known.suspects(), BTreeSet::from([suspect(2)]), "as long as nobody could look");
        known.judged(suspect(2), wrong(), &violations);
        assert_eq!((known.suspects().len(), known.suspected.len(), counted(&violations, "pairing")), (1, 0, 1));
    }

    #[test]
    fn disaster_names_no_more_than_it_can_look_at_again() {
        let (mut known, violations) = (Known::default(), counter());
        for number in 0..KNOWN_MAX + 5 {
            known.judged(suspect(number as u128), wrong(), &violations);
        }
        assert_eq!((known.suspects().len(), known.unnamed.values().sum::<usize>()), (KNOWN_MAX, 5));
    }

    #[test]
    fn clearing_is_counted_when_it_changes_and_forgotten_when_it_is_right() {
        let (mut known, violations, peer) = (Known::default(), counter(), suspect(1).peer);
        let by = |amount: i128| Difference::from([("SGD".to_owned(), amount)]);
        for difference in [by(7), by(7), by(9)] {
            known.compared(peer, &difference, &violations);
            assert_eq!(known.clearing_with(peer), difference);
        }
        known.compared(ShardId::try_from(3).expect("a shard"), &Difference::new(), &violations);
        assert_eq!((counted(&violations, "clearing"), known.clearing_with(peer)), (2, by(9)));
        known.compared(peer, &Difference::new(), &violations);
        assert_eq!(known.clearing_with(peer), Difference::new());
    }
}

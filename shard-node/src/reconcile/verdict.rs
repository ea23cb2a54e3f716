//! Whether a shard that has just been started may take commands, by what its looks at the peers came to. Pure.
//!
//! A shard that was restored from a backup lacks decisions and postings that its peers rely on. It writes nothing while it
//! looks, so a difference is there or not; only a message of the process before may still be on its way, and soon has
//! arrived. A difference that stays for as long as the reconciler would wait before it reports one is certain.

use super::clearing;
use super::judge::{Part, drift};
use placement::ShardId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use uuid::Uuid;
use wire::pairing::{DecidedHalf, Halves};

/// A difference is certain after so many looks that show it.
const LOOKS: u32 = 3;

/// One thing that a peer has and this shard does not explain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Missing {
    /// The clearing accounts of the two do not come to nothing.
    Clearing {
        /// The currency's code.
        currency: String,
        /// What is left.
        amount: i128,
    },
    /// A transfer that this shard should know the end of.
    Transfer {
        /// The transfer.
        id: Uuid,
        /// Why.
        wrong: String,
    },
}

/// What a look at one peer came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// Nothing is missing, or all of this.
    Compared(BTreeSet<Missing>),
    /// It could not be asked.
    Unasked,
}

/// What follows from the looks so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is missing, as far as it can be known.
    Open,
    /// Something may be missing.
    LookAgain,
    /// Something is missing.
    ReadOnly,
}

/// What seems to be missing, until a look shows that it is not.
#[derive(Debug, Default)]
pub struct Suspicions(BTreeMap<ShardId, Suspicion>);

#[derive(Debug)]
struct Suspicion {
    missing: BTreeSet<Missing>,
    looks: u32,
    since: Duration,
    is_certain: bool,
}

impl Suspicions {
    /// After a look at every peer, `at` some time since the start. A peer that cannot be asked holds nothing up, unless
    /// something seemed to be missing when it could be.
    pub fn judge(&mut self, looks: BTreeMap<ShardId, Look>, at: Duration, confirm_after: Duration) -> Verdict {
        for (peer, look) in looks {
            match look {
                Look::Unasked => {}
                Look::Compared(missing) if missing.is_empty() => drop(self.0.remove(&peer)),
                Look::Compared(missing) => self.suspect(peer, missing, at, confirm_after),
            }
        }
        match self.0.values().any(|suspicion| suspicion.is_certain) {
            _ if self.0.is_empty() => Verdict::Open,
            true => Verdict::ReadOnly,
            false => Verdict::LookAgain,
        }
    }

    fn suspect(&mut self, peer: ShardId, missing: BTreeSet<Missing>, at: Duration, confirm_after: Duration) {
        let fresh = Suspicion { missing: BTreeSet::new(), looks: 0, since: at, is_certain: false };
        let suspicion = self.0.entry(peer).or_insert(fresh);
        let same: BTreeSet<Missing> = missing.intersection(&suspicion.missing).cloned().collect();
        // One that changes from look to look is not certain yet.
        if same.is_empty() {
            (suspicion.looks, suspicion.since) = (0, at);
        }
        suspicion.looks += 1;
        let stayed = at.saturating_sub(suspicion.since);
        suspicion.is_certain |= suspicion.looks >= LOOKS && stayed >= confirm_after * (LOOKS - 1);
        suspicion.missing = if same.is_empty() || suspicion.is_certain { missing } else { same };
    }

    /// What seems to be missing, by the peer that has it.
    pub fn missing(&self) -> impl Iterator<Item = (ShardId, &Missing)> {
        self.0.iter().flat_map(|(peer, suspicion)| suspicion.missing.iter().map(|missing| (*peer, missing)))
    }

    /// The same, for people.
    pub fn told(&self) -> String {
        let peers = self.0.iter().map(|(peer, suspicion)| format!("shard {peer} has {}", told(&suspicion.missing)));
        peers.collect::<Vec<_>>().join("; ")
    }
}

fn told(missing: &BTreeSet<Missing>) -> String {
    let amounts = missing.iter().filter_map(|missing| match missing {
        Missing::Clearing { currency, amount } => Some(format!("{amount} {currency} in clearing")),
        Missing::Transfer { .. } => None,
    });
    let mut parts: Vec<String> = amounts.collect();
    let transfers = missing.len() - parts.len();
    if transfers > 0 {
        parts.push(format!("{transfers} recent transfers"));
    }
    format!("{} that this shard does not explain", parts.join(", "))
}

/// What a difference of the clearing accounts and the peer's newest transfers, each with what this shard has of it, come
/// to. The peer's halves were read first.
pub fn missing<'a>(
    difference: clearing::Difference,
    pairs: impl Iterator<Item = (&'a DecidedHalf, &'a Halves)>,
) -> BTreeSet<Missing> {
    let amounts = difference.into_iter().map(|(currency, amount)| Missing::Clearing { currency, amount });
    let transfers =
        pairs.filter_map(|(theirs, mine)| Some(Missing::Transfer { id: theirs.id, wrong: lacks(theirs, mine)? }));
    amounts.chain(transfers).collect()
}

/// Why this shard should have decided about a transfer, if it has not. What it did decide is here, right or wrong: that is
/// for the reconciler to tell.
fn lacks(theirs: &DecidedHalf, mine: &Halves) -> Option<String> {
    if mine.terminal.is_some() || mine.decision.is_some() {
        return None;
    }
    match theirs.is_credit {
        true => drift(Part::Credit, mine, &theirs.halves),
        false => drift(Part::Debit, &theirs.halves, mine),
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;

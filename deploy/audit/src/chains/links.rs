//! Whether each batch follows from the one before.

use ::chain::{BatchHash, GENESIS};

use super::batches::Stored;
use super::start::Firsts;
use super::{Breach, ChainHead, KeptChains, ShardChains};
use crate::AuditError;

/// The chain that is being followed.
struct Chain {
    writer: i32,
    number: i64,
    /// The last batch's hash as it is stored, in hexadecimal digits.
    shown: String,
    /// What the next batch may follow: the stored hash of the last one and, should that have been changed, the hash
    /// that the last one must have had. `None`: unknown, for batches are gone.
    previous: Option<Vec<BatchHash>>,
}

/// Follows the chains of a shard, one after the other.
pub(super) struct Links<'a> {
    kept: &'a [ChainHead],
    chain: Option<Chain>,
    followed: Vec<i32>,
    firsts: Firsts,
}

impl<'a> Links<'a> {
    pub fn new(kept: Option<&'a KeptChains>) -> Self {
        let kept = kept.map_or(&[][..], |kept| &kept.heads);
        Links { kept, chain: None, followed: Vec::new(), firsts: Firsts::default() }
    }

    /// The next batch, in the order of writers and numbers.
    ///
    /// # Errors
    /// A newer version has written it.
    pub fn follow(&mut self, stored: Stored<'_>, found: &mut ShardChains) -> Result<(), AuditError> {
        found.batches += 1;
        self.firsts.see(&stored.batch);
        let (writer, number) = (stored.batch.writer, stored.batch.number);
        if self.chain.as_ref().is_none_or(|chain| chain.writer != writer) {
            self.end_chain(found);
            self.chain = Some(Chain { writer, number: 0, shown: String::new(), previous: Some(vec![GENESIS]) });
        }
        let Some(chain) = &mut self.chain else { return Ok(()) };
        let next = chain.number.saturating_add(1);
        if number != next {
            found.breach(Breach::BatchesRemoved { writer, first: next, last: number.saturating_sub(1) });
            chain.previous = None;
        }
        let followed = chain.follow(&stored);
        if !followed {
            found.breach(Breach::BatchChanged { writer, number });
        } else if stored.is_of_a_newer_version() {
            return Err(AuditError::unreadable(found.shard, format_args!("batch {number} of writer {writer}")));
        }
        let kept = self.kept.iter().find(|head| head.writer == writer && head.number == number);
        if kept.is_some_and(|head| head.hash != chain.shown) {
            found.breach(Breach::HeadChanged { writer, number });
        }
        Ok(())
    }

    /// After the last batch.
    pub fn end(mut self, found: &mut ShardChains) {
        self.end_chain(found);
        for head in self.kept.iter().filter(|head| !self.followed.contains(&head.writer)) {
            found.breach(Breach::BatchesRemoved { writer: head.writer, first: 1, last: head.number });
        }
        let since = found.since;
        self.firsts.late(&since).for_each(|late| found.breach(late));
    }

    fn end_chain(&mut self, found: &mut ShardChains) {
        let Some(Chain { writer, number, shown, .. }) = self.chain.take() else { return };
        let longer = self.kept.iter().find(|head| head.writer == writer && head.number > number);
        if let Some(head) = longer {
            found.breach(Breach::BatchesRemoved { writer, first: number.saturating_add(1), last: head.number });
        }
        self.followed.push(writer);
        found.heads.push(ChainHead { writer, number, hash: shown });
    }
}

impl Chain {
    /// Whether the batch is as it was written, as far as the ones before it tell.
    fn follow(&mut self, stored: &Stored<'_>) -> bool {
        let previous = self.previous.take();
        let computed: Option<Vec<BatchHash>> =
            previous.map(|hashes| hashes.iter().map(|hash| stored.batch.hash(hash)).collect());
        // With nothing to follow it is believed, unless it has no hash at all.
        let as_stored = BatchHash::try_from(stored.hash).ok();
        let holds = match &computed {
            Some(hashes) => hashes.iter().any(|hash| stored.has(hash)),
            None => as_stored.is_some(),
        };
        self.number = stored.batch.number;
        self.shown = stored.hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut next = Vec::from_iter(as_stored);
        if !holds {
            next.extend(computed.iter().flatten().take(1));
        }
        self.previous = Some(next);
        holds
    }
}

//! Whether a stream tells of all transfers, and in order. Pure.

use std::collections::{HashMap, HashSet};
use std::fmt;

use placement::{ShardId, TransferId};
use uuid::Uuid;
use wire::event::{Side, event_id};

use crate::{CheckResult, Invariant};

/// One entry of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The event's id.
    pub id: String,
    /// What it tells.
    pub ended: Ended,
    /// When that was decided, in microseconds since the Unix epoch.
    pub decided_at: i64,
}

/// A terminal transfer on one shard, as far as its event must agree with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The transfer.
    pub transfer: Uuid,
    /// 2 posted, 3 released, 4 rejected.
    pub state: i16,
    /// How much.
    pub amount: i64,
    /// The debit side, if the shard has it.
    pub debit: Option<Entry>,
    /// The credit side, if the shard has it.
    pub credit: Option<Entry>,
}

/// A side of a posting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The account.
    pub account: i64,
    /// The entry's number.
    pub number: i64,
    /// The account's balance after it.
    pub balance: i64,
}

impl Ended {
    /// The id of its event.
    pub fn event_id(&self) -> Option<String> {
        let transfer = TransferId::try_from(self.transfer).ok()?;
        Some(event_id(transfer, self.debit.is_some(), self.credit.is_some()))
    }

    /// Its entries, the debit side first.
    pub fn entries(&self) -> impl Iterator<Item = (Side, Entry)> + use<> {
        let sides = [(Side::Debit, self.debit), (Side::Credit, self.credit)];
        sides.into_iter().filter_map(|(side, entry)| Some((side, entry?)))
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "state {}, amount {}", self.state, self.amount)?;
        self.entries().try_for_each(|(side, entry)| {
            let Entry { account, number, balance } = entry;
            write!(f, ", {side:?} {number} of account {account} with balance {balance}")
        })
    }
}

/// What a stream has to tell.
#[derive(Debug, Clone, Default)]
pub struct Owed {
    /// The terminal transfers, and when each was decided.
    pub rows: HashMap<Uuid, (Ended, i64)>,
    /// Those of them that the relay has not come to yet: they may be told, but need not.
    pub waiting: HashSet<Uuid>,
    /// What was decided before then need not be told. `None`: everything must be.
    pub since: Option<i64>,
    /// Transfers that became terminal after `rows` were read.
    pub later: HashMap<Uuid, Ended>,
}

/// A stream is cut at its beginning in the order in which it was told, which differs so much from that of the times.
const TIMES_DIFFER_MICROS: i64 = 60_000_000;

impl Owed {
    /// The stream has lost what it told before the time of its first entry.
    pub(super) fn begin_at(&mut self, first: Option<i64>) {
        self.since = Some(first.map_or(i64::MAX, |first| first.saturating_add(TIMES_DIFFER_MICROS)));
    }

    pub(super) fn unknown_among(&self, told: &[Told]) -> Vec<Uuid> {
        let told = told.iter().map(|told| told.ended.transfer);
        told.filter(|id| !self.rows.contains_key(id)).collect::<HashSet<_>>().into_iter().collect()
    }

    fn row(&self, id: &Uuid) -> Option<&Ended> {
        self.rows.get(id).map(|(ended, _)| ended).or_else(|| self.later.get(id))
    }
}

/// Whether the stream of a shard, given in its order, tells of everything that is owed, as it was and nothing else; and
/// whether, once repeats are dropped, each account's entries come in the order of their numbers without a gap.
pub fn judge(shard: ShardId, told: &[Told], owed: &Owed) -> [CheckResult; 2] {
    [told_whole(shard, told, owed), told_in_order(shard, told, owed)]
}

fn told_whole(shard: ShardId, told: &[Told], owed: &Owed) -> CheckResult {
    let mut result = CheckResult::of(Invariant::EventsTold, Some(shard));
    let mut ids: HashSet<&str> = HashSet::with_capacity(told.len());
    for told in told {
        let Told { id, ended, .. } = told;
        ids.insert(id);
        let found = owed.row(&ended.transfer);
        let wrong = match found {
            None => Some(format!("{id} is told, and there is no such transfer")),
            Some(row) if row != ended => Some(format!("{id} is told as {ended}; it is {row}")),
            Some(row) if row.event_id().as_deref() != Some(id) => Some(format!("{id} is told of {}", row.transfer)),
            Some(_) => None,
        };
        if let Some(wrong) = wrong {
            result.breach(wrong);
        }
    }
    for (transfer, (row, decided_at)) in &owed.rows {
        if owed.waiting.contains(transfer) || owed.since.is_some_and(|since| *decided_at < since) {
            continue;
        }
        let is_told = row.event_id().is_some_and(|id| ids.contains(id.as_str()));
        result.count((!is_told).then(|| format!("{transfer} ({row}) is not told")));
    }
    result
}

fn told_in_order(shard: ShardId, told: &[Told], owed: &Owed) -> CheckResult {
    let mut result = CheckResult::of(Invariant::EventsInOrder, Some(shard));
    let mut first: HashMap<i64, i64> = HashMap::new();
    if owed.since.is_none() {
        for (_, entry) in owed.rows.values().flat_map(|(row, _)| row.entries()) {
            let first = first.entry(entry.account).or_insert(entry.number);
            *first = (*first).min(entry.number);
        }
    }
    let (mut seen, mut last): (HashSet<&str>, HashMap<i64, i64>) = Default::default();
    for Told { id, ended, .. } in told {
        if !seen.insert(id) {
            continue;
        }
        for (_, Entry { account, number, .. }) in ended.entries() {
            let expected = last.get(&account).map(|last| last + 1).or_else(|| first.get(&account).copied());
            let wrong = expected.filter(|expected| *expected != number);
            result.count(wrong.map(|expected| {
                format!("entry {number} of account {account} is told where {expected} is next ({id})")
            }));
            last.insert(account, number);
        }
    }
    result
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;

//! What an audit has found.

use std::fmt;

use jiff::Timestamp;
use placement::ShardId;
use serde::{Serialize, Serializer};

/// What is proved. The words are also the values of the metric `invariant_violations{invariant}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// Customers, external and clearing accounts of a currency come to 0.
    BooksAtZero,
    /// `0 <= reserved <= balance`.
    NoOverdraft,
    /// What an account has reserved is what its open transfers hold.
    ReservedExplained,
    /// Entries are numbered without a gap, each explains the balance after it, and the last one is the account's.
    HistoryExplainsBalance,
    /// Posted transfers have sides, rejected and released ones have none.
    TransfersWellFormed,
    /// What the inbox says was credited was credited, and nothing else.
    DecisionsKept,
    /// Every debit towards another shard has its credit there.
    DebitsPaired,
    /// Every credit from another shard has its debit there, or the amount still set aside for it.
    CreditsPaired,
    /// Every released transfer was refused or voided by the credit shard.
    ReleasesDecided,
    /// Every refused or voided transfer was released by the debit shard, or still is open there.
    RefusalsFollowed,
    /// All clearing accounts together are what was credited and is not yet debited.
    ClearingExplained,
    /// No saga is too old, and each has the message that drives it.
    SagasInTime,
    /// Idempotency keys lead to what came of them.
    KeysLeadSomewhere,
    /// A transfer or account came of one key at most.
    OneEffectPerKey,
    /// Every slot has exactly one owner.
    OneOwner,
    /// Accounts stand in the slot that their id says, on the shard that has the slot, and their holder has their locality.
    AccountsInPlace,
    /// Each batch follows from the one before, of the same writer.
    ChainUnbroken,
    /// Rows are those that the batches wrote, and as they wrote them.
    RowsAsChained,
    /// Each terminal transfer is told to other services, as it was.
    EventsTold,
    /// Each account's entries are told in their order.
    EventsInOrder,
}

impl Invariant {
    /// The invariant's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BooksAtZero => "books_at_zero",
            Self::NoOverdraft => "no_overdraft",
            Self::ReservedExplained => "reserved_explained",
            Self::HistoryExplainsBalance => "history_explains_balance",
            Self::TransfersWellFormed => "transfers_well_formed",
            Self::DecisionsKept => "decisions_kept",
            Self::DebitsPaired => "debits_paired",
            Self::CreditsPaired => "credits_paired",
            Self::ReleasesDecided => "releases_decided",
            Self::RefusalsFollowed => "refusals_followed",
            Self::ClearingExplained => "clearing_explained",
            Self::SagasInTime => "sagas_in_time",
            Self::KeysLeadSomewhere => "keys_lead_somewhere",
            Self::OneEffectPerKey => "one_effect_per_key",
            Self::OneOwner => "one_owner",
            Self::AccountsInPlace => "accounts_in_place",
            Self::ChainUnbroken => "chain_unbroken",
            Self::RowsAsChained => "rows_as_chained",
            Self::EventsTold => "events_told",
            Self::EventsInOrder => "events_in_order",
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Invariant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One invariant, on one shard or over all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckResult {
    /// What was proved, or is broken.
    pub invariant: Invariant,
    /// Where; `None` is all shards together.
    pub shard: Option<ShardId>,
    /// How many things were looked at.
    pub checked: u64,
    /// How many of them break it.
    pub violations: u64,
    /// One of those, for whoever goes to look.
    pub first: Option<String>,
}

impl CheckResult {
    /// Nothing looked at yet.
    pub(crate) fn of(invariant: Invariant, shard: Option<ShardId>) -> Self {
        CheckResult { invariant, shard, checked: 0, violations: 0, first: None }
    }

    /// Counts one thing.
    pub(crate) fn count(&mut self, violation: Option<String>) {
        self.checked += 1;
        if let Some(violation) = violation {
            self.breach(violation);
        }
    }

    /// Counts a violation by something that was counted before.
    pub(crate) fn breach(&mut self, violation: String) {
        self.violations += 1;
        self.first.get_or_insert(violation);
    }
}

/// All that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether no invariant is broken.
    pub holds: bool,
    /// When the snapshots were taken.
    pub taken_at: Timestamp,
    /// The newest topology's version.
    pub topology_version: u64,
    /// The shards that were audited.
    pub shards: Vec<ShardId>,
    /// Every check, in the order of the invariants; what concerns all shards together comes after each shard.
    pub checks: Vec<CheckResult>,
}

impl Report {
    pub(crate) fn new(mut checks: Vec<CheckResult>, taken_at: Timestamp, version: u64, shards: Vec<ShardId>) -> Self {
        checks.sort_by_key(|check| (check.invariant, check.shard.is_none(), check.shard));
        let holds = checks.iter().all(|check| check.violations == 0);
        Report { holds, taken_at, topology_version: version, shards, checks }
    }

    /// Adds more checks, such as those of the chains.
    pub fn with(mut self, more: Vec<CheckResult>) -> Report {
        self.checks.extend(more);
        Report::new(self.checks, self.taken_at, self.topology_version, self.shards)
    }

    /// The checks that found something.
    pub fn broken(&self) -> impl Iterator<Item = &CheckResult> {
        self.checks.iter().filter(|check| check.violations > 0)
    }

    /// How many invariants were looked at, each counted once.
    pub fn invariants(&self) -> usize {
        let mut seen: Vec<Invariant> = self.checks.iter().map(|check| check.invariant).collect();
        seen.dedup();
        seen.len()
    }
}

/// How far an audit has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Checks done.
    pub done: usize,
    /// Checks there are.
    pub total: usize,
    /// Things looked at so far.
    pub checked: u64,
}

//! What occurred, and how often: a run in which nothing happens shows nothing.

use super::store::Saving;
use ledger::{Rejection, TransferState};

/// Counts of what a run came across.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Batches committed.
    pub commits: u64,
    /// Those with more than one command.
    pub shared_commits: u64,
    /// Batches that broke off with their connection.
    pub broken_off: u64,
    /// Commits that the server carried out after their connection was gone.
    pub committed_late: u64,
    /// Batches that a unique index refused.
    pub conflicts: u64,
    /// Batches that had to wait for a lock.
    pub waits: u64,
    /// Transfers posted on one shard.
    pub posted_within: u64,
    /// Transfers posted on two shards.
    pub posted_between: u64,
    /// Transfers posted in part.
    pub posted_in_part: u64,
    /// Transfers refused at once.
    pub rejected: u64,
    /// Transfers given back by their clients.
    pub released: u64,
    /// Transfers given back when their time was over.
    pub expired: u64,
    /// Transfers given back because the credit account could not take them.
    pub refused: u64,
    /// Transfers given back because the debit shard gave up.
    pub voided: u64,
}

impl Tally {
    pub(super) fn count(&mut self, saving: &Saving) {
        self.commits += 1;
        self.shared_commits += u64::from(saving.outcomes.len() > 1);
        for row in &saving.writes.transfers {
            let is_debit_side = row.debit.is_some();
            let part = row.transfer.hold.is_some_and(|hold| hold.amount_reserved > row.transfer.amount);
            match (row.transfer.state, row.transfer.reason) {
                (TransferState::Posted, _) => {
                    self.posted_within += u64::from(is_debit_side && row.credit.is_some());
                    self.posted_between += u64::from(is_debit_side && row.remote_user_id.is_some());
                    self.posted_in_part += u64::from(is_debit_side && part);
                }
                (TransferState::Rejected, _) => self.rejected += 1,
                (TransferState::Released, Some(Rejection::ReleasedByClient)) => self.released += 1,
                (TransferState::Released, Some(Rejection::Expired)) => self.expired += 1,
                (TransferState::Released, Some(Rejection::Voided)) => self.voided += 1,
                (TransferState::Released, _) => self.refused += 1,
                (TransferState::Pending | TransferState::Reserved, _) => {}
            }
        }
    }

    /// Adds another run's.
    pub fn add(&mut self, other: &Tally) {
        let mut others = other.lines().into_iter().map(|(_, count)| count);
        for count in self.counts() {
            *count += others.next().unwrap_or(0);
        }
    }

    /// Each count with what it counts.
    pub fn lines(&self) -> Vec<(&'static str, u64)> {
        let mut copy = *self;
        NAMES.into_iter().zip(copy.counts()).map(|(name, count)| (name, *count)).collect()
    }

    fn counts(&mut self) -> [&mut u64; 14] {
        let Tally { commits, shared_commits, broken_off, committed_late, conflicts, waits, .. } = self;
        let Tally { posted_within, posted_between, posted_in_part, rejected, .. } = self;
        let Tally { released, expired, refused, voided, .. } = self;
        [
            commits,
            shared_commits,
            broken_off,
            committed_late,
            conflicts,
            waits,
            posted_within,
            posted_between,
            posted_in_part,
            rejected,
            released,
            expired,
            refused,
            voided,
        ]
    }
}

const NAMES: [&str; 14] = [
    "batches committed",
    "of them with several commands",
    "batches broken off",
    "commits carried out after their connection was gone",
    "batches refused by a unique index",
    "waits for a lock",
    "transfers posted within a shard",
    "transfers posted between shards",
    "transfers posted in part",
    "transfers rejected",
    "transfers released by their clients",
    "transfers expired",
    "transfers refused by the credit shard",
    "transfers voided",
];

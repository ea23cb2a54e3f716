//! What a batch changes, row by row, for a fixed number of SQL statements.

use crate::saga::{DebitState, Decision};
use crate::{Account, Amount, Currency, Entry, KeyHash, Rejection, RequestFingerprint, Reservation, Transfer, UserId};
use placement::{AccountId, ShardId, Slot, TransferId};
use std::collections::{BTreeMap, BTreeSet};

/// The other side of a posting when it is no account of this shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counterpart {
    /// Money entering or leaving the system.
    External,
    /// Money of transfers with another shard.
    Clearing(ShardId),
}

/// A row of `idempotency`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// The slot that the key travels with.
    pub slot: Slot,
    /// Whose key, and which.
    pub hash: KeyHash,
    /// For which request.
    pub fingerprint: RequestFingerprint,
    /// The transfer that came of it.
    pub transfer_id: Option<TransferId>,
    /// The account that came of it.
    pub account_id: Option<AccountId>,
    /// The refusal that came of it.
    pub rejection: Option<Rejection>,
}

/// A row of `inbox`: the credit shard's decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRecord {
    /// The transfer.
    pub transfer_id: TransferId,
    /// The slot of the credit account.
    pub slot: Slot,
    /// The shard that asked.
    pub debit_shard: ShardId,
    /// The decision.
    pub decision: Decision,
}

/// A row of `transfers`: terminal, written once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostedTransfer {
    /// The transfer.
    pub transfer: Transfer,
    /// The debit side, if this shard owns it.
    pub debit: Option<Entry>,
    /// The credit side, if this shard owns it.
    pub credit: Option<Entry>,
    /// The holder of the account on the other shard, if there is one.
    pub remote_user_id: Option<UserId>,
}

/// Everything that a batch changes. Accounts that it changed are named; their new values stand in the
/// books.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Writes {
    /// Existing accounts with a new balance, reservation, entry count or status.
    pub changed: BTreeSet<AccountId>,
    /// New accounts.
    pub created: Vec<Account>,
    /// Terminal transfers.
    pub transfers: Vec<PostedTransfer>,
    /// Used keys.
    pub keys: Vec<KeyRecord>,
    /// Reservations placed.
    pub reserved: Vec<Reservation>,
    /// Held reservations that the credit account's shard is to be asked about from now on.
    pub committing: Vec<Reservation>,
    /// Reservations that are gone, each with its outbox row if it had one.
    pub settled: Vec<TransferId>,
    /// Decisions made.
    pub inbox: Vec<InboxRecord>,
    /// What is added to the totals of the external and clearing accounts.
    pub totals: BTreeMap<(Counterpart, Currency), Amount>,
}

impl Writes {
    /// Whether nothing changes, so that nothing needs to be committed.
    pub fn is_empty(&self) -> bool {
        *self == Writes::default()
    }

    /// The reservations whose message to another shard begins now: each gets its outbox row.
    pub fn to_send(&self) -> impl Iterator<Item = &Reservation> {
        let placed = self.reserved.iter().filter(|reservation| reservation.state == DebitState::Crediting);
        placed.chain(&self.committing)
    }
}

//! What two shards tell each other to compare the transfers between them.
//!
//! Everything is given as it is stored, even if no such account or currency can exist: what is compared may be damaged.

use ledger::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Transfers that may be asked about at once.
pub const PAGE_MAX: usize = 1_000;

/// All that a shard has of one transfer, read at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halves {
    /// The reservation.
    pub open: Option<OpenHalf>,
    /// The terminal row.
    pub terminal: Option<TerminalHalf>,
    /// The inbox row.
    pub decision: Option<DecisionHalf>,
}

/// Where money goes, and how much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// From.
    pub debit_account: Option<i64>,
    /// To.
    pub credit_account: Option<i64>,
    /// In the currency's smallest configured unit.
    pub amount: i64,
    /// The currency's code.
    pub currency: String,
}

/// An amount set aside on the debit account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenHalf {
    /// Whether it waits for its client to commit it, so that no other shard can know of it.
    pub is_held: bool,
    /// The amount, and between whom.
    pub money: Money,
}

/// A terminal transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalHalf {
    /// How it ended.
    pub ending: Ending,
    /// The amount, and between whom.
    pub money: Money,
    /// Whether the debit side is posted here.
    pub has_debit: bool,
    /// Whether the credit side is posted here.
    pub has_credit: bool,
    /// When it ended, by the clock of the shard's PostgreSQL.
    pub decided_at: Timestamp,
}

/// How a transfer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// The money has moved.
    Posted,
    /// The credit account's shard was asked, and the amount given back upon its decision.
    Released,
    /// It ended before any other shard was asked: refused, released by its client, or expired.
    NeverAsked,
}

/// The credit account's shard has decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionHalf {
    /// For the transfer, and not against it.
    pub is_credited: bool,
    /// When, by the clock of the shard's PostgreSQL.
    pub decided_at: Timestamp,
}

/// A shard's clearing account with one peer, as it stood at a moment that no transaction can change any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClearingBooks {
    /// The moment, by the clock of the shard's PostgreSQL.
    pub as_of: Timestamp,
    /// Currency and total.
    pub totals: Vec<(String, i128)>,
    /// Transfers to the peer that were debited about then, or not yet: the peer may have stood differently.
    pub settling: Vec<Settling>,
    /// Whether all of it could be told; otherwise nothing follows from a difference.
    pub is_whole: bool,
}

/// A transfer about whose debit and credit two clearing accounts of one moment may differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settling {
    /// The transfer.
    pub id: Uuid,
    /// Its amount.
    pub amount: i64,
    /// Its currency's code.
    pub currency: String,
    /// Whether it was debited by then.
    pub is_debited: bool,
}

/// What a shard has of a peer that writes nothing: its books of now, and their newest transfers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentBooks {
    /// Of now, and so without `as_of`: all that is open to the peer is `settling`.
    pub clearing: ClearingBooks,
    /// Up to [`PAGE_MAX`] transfers with the peer that were decided here, the newest of them.
    pub decided: Vec<DecidedHalf>,
}

/// A shard's half of a transfer about which something was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecidedHalf {
    /// The transfer.
    pub id: Uuid,
    /// Whether the shard has the credit account; it has the debit account otherwise.
    pub is_credit: bool,
    /// What it has.
    pub halves: Halves,
}

//! What a chain finds.

use std::fmt;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use uuid::Uuid;

/// A table whose rows stand in batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Terminal transfers.
    Transfers,
    /// Decisions about transfers from other shards.
    Inbox,
    /// Used idempotency keys, until they are forgotten.
    Keys,
    /// Accounts, but for their sums.
    Accounts,
    /// Open transfers.
    Reservations,
}

impl Table {
    /// The table's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Table::Transfers => "transfers",
            Table::Inbox => "inbox",
            Table::Keys => "idempotency",
            Table::Accounts => "accounts",
            Table::Reservations => "reservations",
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Table {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What a row is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(untagged)]
pub enum RowId {
    /// A transfer, or the hash of an idempotency key.
    Uuid(Uuid),
    /// An account.
    Account(i64),
}

impl RowId {
    /// What a row of the table is listed under.
    pub(super) fn of(table: Table, listed: u128) -> RowId {
        match (table, u64::try_from(listed)) {
            (Table::Accounts, Ok(number)) => RowId::Account(number.cast_signed()),
            _ => RowId::Uuid(Uuid::from_u128(listed)),
        }
    }
}

impl From<Uuid> for RowId {
    fn from(id: Uuid) -> Self {
        RowId::Uuid(id)
    }
}

impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RowId::Uuid(id) => id.fmt(f),
            RowId::Account(id) => id.fmt(f),
        }
    }
}

/// Something that was done behind the wallet's back. A batch is named by its writer, a lane of a replica, and its
/// number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "breach", rename_all = "snake_case")]
pub enum Breach {
    /// A row is not as the batch wrote it, or was not when another batch went on with it.
    RowChanged {
        /// Where the row is.
        table: Table,
        /// Which.
        id: RowId,
        /// Of the batch.
        writer: i32,
        /// Of the batch.
        number: i64,
    },
    /// A row that the batch wrote is gone.
    RowRemoved {
        /// Where the row was.
        table: Table,
        /// Which.
        id: RowId,
        /// Of the batch.
        writer: i32,
        /// Of the batch.
        number: i64,
    },
    /// A row was written by no batch. It may have been used up by one since.
    RowAdded {
        /// Where the row is.
        table: Table,
        /// Which.
        id: RowId,
    },
    /// The batch lists a row that another has written.
    RowRepeated {
        /// Where the row is.
        table: Table,
        /// Which.
        id: RowId,
        /// Of the batch.
        writer: i32,
        /// Of the batch.
        number: i64,
    },
    /// The batch is not as it was written.
    BatchChanged {
        /// Of the batch.
        writer: i32,
        /// Of the batch.
        number: i64,
    },
    /// Batches are gone.
    BatchesRemoved {
        /// Of the batches.
        writer: i32,
        /// The number of the first.
        first: i64,
        /// The number of the last.
        last: i64,
    },
    /// The batch was the head of the chain and has another hash now: the chain was written anew.
    HeadChanged {
        /// Of the batch.
        writer: i32,
        /// Of the batch.
        number: i64,
    },
    /// The times before which rows may stand in no batch are not those that were kept.
    StartMoved,
    /// Such a time lies long after the first batch that it is the start of: rows dated in between are not proved.
    StartLate {
        /// The start.
        since: Timestamp,
        /// The time of the first batch.
        first: Timestamp,
    },
}

impl Breach {
    /// Whether it is about the batches themselves rather than the rows in them.
    pub(super) fn is_of_the_chain(&self) -> bool {
        match self {
            Breach::BatchChanged { .. } | Breach::BatchesRemoved { .. } => true,
            Breach::HeadChanged { .. } | Breach::StartMoved | Breach::StartLate { .. } => true,
            Breach::RowChanged { .. } | Breach::RowRemoved { .. } => false,
            Breach::RowAdded { .. } | Breach::RowRepeated { .. } => false,
        }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Breach::RowChanged { table, id, writer, number } => {
                write!(f, "{table} {id} is not as batch {number} of writer {writer} wrote it")
            }
            Breach::RowRemoved { table, id, writer, number } => {
                write!(f, "{table} {id} is gone; batch {number} of writer {writer} wrote it")
            }
            Breach::RowAdded { table, id } => write!(f, "{table} {id} was written by no batch"),
            Breach::RowRepeated { table, id, writer, number } => {
                write!(f, "{table} {id} stands in batch {number} of writer {writer} and in another")
            }
            Breach::BatchChanged { writer, number } => {
                write!(f, "batch {number} of writer {writer} is not as it was written")
            }
            Breach::BatchesRemoved { writer, first, last } if first == last => {
                write!(f, "batch {first} of writer {writer} is gone")
            }
            Breach::BatchesRemoved { writer, first, last } => {
                write!(f, "batches {first} to {last} of writer {writer} are gone")
            }
            Breach::HeadChanged { writer, number } => {
                write!(f, "batch {number} of writer {writer} is not the head that was kept")
            }
            Breach::StartMoved => f.write_str("the start of the chains is not the one that was kept"),
            Breach::StartLate { since, first } => {
                write!(f, "the chains are said to start at {since}, and their first batch is of {first}")
            }
        }
    }
}

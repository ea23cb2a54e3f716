//! Rows of `accounts`.

use crate::RowDigest;
use crate::digest::Canonical;

const TABLE: u8 = 4;

/// The columns of `accounts` that only its creation and changes of status write, by their tags, from 1 on. A test holds
/// that the table has no others but [`ACCOUNT_COLUMNS_LEFT_OUT`]; a new one is put at the end.
pub const ACCOUNT_COLUMNS: [&str; 7] = ["id", "slot", "user_id", "name", "currency", "status", "created_at"];

/// The columns that are no part of the digest, and why.
pub const ACCOUNT_COLUMNS_LEFT_OUT: [(&str, &str); 3] = [
    ("balance", "changes with every entry; the entries, whose rows are listed, explain it"),
    ("entry_count", "changes with every entry; it is the number of the last one"),
    ("reserved", "changes with every reservation; the open ones, whose rows are listed, explain it"),
];

/// A row of `accounts` as its columns hold it; see the schema for their meaning. Times are in microseconds since the Unix
/// epoch.
#[allow(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountRow<'a> {
    pub id: i64,
    pub slot: i16,
    pub user_id: &'a str,
    pub name: &'a str,
    pub currency: &'a str,
    pub status: i16,
    pub created_at: i64,
}

impl AccountRow<'_> {
    /// What a batch keeps of the row.
    pub fn digest(&self) -> RowDigest {
        Canonical::of_table(TABLE)
            .bigint(1, self.id)
            .smallint(2, self.slot)
            .text(3, self.user_id)
            .text(4, self.name)
            .text(5, self.currency)
            .smallint(6, self.status)
            .bigint(7, self.created_at)
            .digest()
    }

    /// What it is listed under.
    pub fn listed_id(&self) -> u128 {
        // Ids of accounts are positive; what is not is a number all the same.
        u128::from(self.id.cast_unsigned())
    }
}

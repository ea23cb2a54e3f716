//! Rows of `inbox`.

use crate::RowDigest;
use crate::digest::Canonical;

const TABLE: u8 = 2;

/// The columns of `inbox` by their tags, from 1 on. A test holds that the table has no others; a new one is put at the
/// end.
pub const INBOX_COLUMNS: [&str; 7] =
    ["transfer_id", "slot", "debit_shard", "decision", "reason", "credit_user", "decided_at"];

/// A row of `inbox` as its columns hold it; see the schema for their meaning. Times are in microseconds since the Unix
/// epoch.
#[allow(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InboxRow<'a> {
    pub transfer_id: u128,
    pub slot: i16,
    pub debit_shard: i32,
    pub decision: i16,
    pub reason: Option<i16>,
    pub credit_user: Option<&'a str>,
    pub decided_at: i64,
}

impl InboxRow<'_> {
    /// What a batch keeps of the row.
    pub fn digest(&self) -> RowDigest {
        Canonical::of_table(TABLE)
            .uuid(1, self.transfer_id)
            .smallint(2, self.slot)
            .integer(3, self.debit_shard)
            .smallint(4, self.decision)
            .smallint(5, self.reason)
            .text(6, self.credit_user)
            .bigint(7, self.decided_at)
            .digest()
    }
}

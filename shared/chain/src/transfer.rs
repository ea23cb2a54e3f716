//! Rows of `transfers`.

use crate::RowDigest;
use crate::digest::Canonical;

const TABLE: u8 = 1;

/// The columns of `transfers` by their tags, from 1 on. A test holds that the table has no others; a new one is put at
/// the end.
pub const TRANSFER_COLUMNS: [&str; 21] = [
    "id",
    "debit_account",
    "credit_account",
    "amount",
    "debit_entry",
    "debit_balance",
    "credit_entry",
    "credit_balance",
    "decided_at",
    "created_at",
    "debit_slot",
    "credit_slot",
    "kind",
    "state",
    "reason",
    "currency",
    "message",
    "reference",
    "remote_user",
    "amount_reserved",
    "expires_at",
];

/// A row of `transfers` as its columns hold it; see the schema for their meaning. Times are in microseconds since the
/// Unix epoch.
#[allow(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TransferRow<'a> {
    pub id: u128,
    pub debit_account: Option<i64>,
    pub credit_account: Option<i64>,
    pub amount: i64,
    pub debit_entry: Option<i64>,
    pub debit_balance: Option<i64>,
    pub credit_entry: Option<i64>,
    pub credit_balance: Option<i64>,
    pub decided_at: i64,
    pub created_at: Option<i64>,
    pub debit_slot: Option<i16>,
    pub credit_slot: Option<i16>,
    pub kind: i16,
    pub state: i16,
    pub reason: Option<i16>,
    pub currency: &'a str,
    pub message: Option<&'a str>,
    pub reference: Option<&'a str>,
    pub remote_user: Option<&'a str>,
    pub amount_reserved: Option<i64>,
    pub expires_at: Option<i64>,
}

impl TransferRow<'_> {
    /// What a batch keeps of the row.
    pub fn digest(&self) -> RowDigest {
        Canonical::of_table(TABLE)
            .uuid(1, self.id)
            .bigint(2, self.debit_account)
            .bigint(3, self.credit_account)
            .bigint(4, self.amount)
            .bigint(5, self.debit_entry)
            .bigint(6, self.debit_balance)
            .bigint(7, self.credit_entry)
            .bigint(8, self.credit_balance)
            .bigint(9, self.decided_at)
            .bigint(10, self.created_at)
            .smallint(11, self.debit_slot)
            .smallint(12, self.credit_slot)
            .smallint(13, self.kind)
            .smallint(14, self.state)
            .smallint(15, self.reason)
            .text(16, self.currency)
            .text(17, self.message)
            .text(18, self.reference)
            .text(19, self.remote_user)
            .bigint(20, self.amount_reserved)
            .bigint(21, self.expires_at)
            .digest()
    }
}

//! Rows of `reservations`.

use crate::RowDigest;
use crate::digest::Canonical;

const TABLE: u8 = 5;

/// The columns of `reservations` that only lanes write, by their tags, from 1 on; of `state`, whether it is `Held`, for
/// the other states are also changed by the outbox. A test holds that the table has no others but
/// [`RESERVATION_COLUMNS_LEFT_OUT`]; a new one is put at the end.
pub const RESERVATION_COLUMNS: [&str; 14] = [
    "transfer_id",
    "slot",
    "state",
    "debit_account",
    "debit_user",
    "credit_account",
    "amount",
    "currency",
    "message",
    "reference",
    "created_at",
    "amount_reserved",
    "expires_at",
    "committed_at",
];

/// The columns that are no part of the digest, and why.
pub const RESERVATION_COLUMNS_LEFT_OUT: [(&str, &str); 1] =
    [("void_after", "only says when the outbox begins to ask for the end; the credit shard decides all the same")];

/// A row of `reservations` as its columns hold it; see the schema for their meaning. Times are in microseconds since the
/// Unix epoch.
#[allow(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReservationRow<'a> {
    pub transfer_id: u128,
    pub slot: i16,
    pub is_held: bool,
    pub debit_account: i64,
    pub debit_user: &'a str,
    pub credit_account: i64,
    pub amount: i64,
    pub currency: &'a str,
    pub message: Option<&'a str>,
    pub reference: Option<&'a str>,
    pub created_at: i64,
    pub amount_reserved: Option<i64>,
    pub expires_at: Option<i64>,
    pub committed_at: Option<i64>,
}

impl ReservationRow<'_> {
    /// The `state` of a reservation that is held for its client.
    pub const HELD: i16 = 2;

    /// What a batch keeps of the row.
    pub fn digest(&self) -> RowDigest {
        Canonical::of_table(TABLE)
            .uuid(1, self.transfer_id)
            .smallint(2, self.slot)
            .smallint(3, i16::from(self.is_held))
            .bigint(4, self.debit_account)
            .text(5, self.debit_user)
            .bigint(6, self.credit_account)
            .bigint(7, self.amount)
            .text(8, self.currency)
            .text(9, self.message)
            .text(10, self.reference)
            .bigint(11, self.created_at)
            .bigint(12, self.amount_reserved)
            .bigint(13, self.expires_at)
            .bigint(14, self.committed_at)
            .digest()
    }
}

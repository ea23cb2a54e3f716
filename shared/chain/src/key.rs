//! Rows of `idempotency`.

use crate::RowDigest;
use crate::digest::Canonical;

const TABLE: u8 = 3;

/// The columns of `idempotency` by their tags, from 1 on. A test holds that the table has no others; a new one is put at
/// the end.
pub const KEY_COLUMNS: [&str; 7] =
    ["slot", "key_hash", "fingerprint", "transfer_id", "account_id", "rejection", "recorded_at"];

/// A row of `idempotency` as its columns hold it; see the schema for their meaning. Times are in microseconds since the
/// Unix epoch. It is listed under its key's hash, which two slots may share.
#[allow(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyRow {
    pub slot: i16,
    pub key_hash: u128,
    pub fingerprint: u128,
    pub transfer_id: Option<u128>,
    pub account_id: Option<i64>,
    pub rejection: Option<i16>,
    pub recorded_at: i64,
}

impl KeyRow {
    /// What a batch keeps of the row.
    pub fn digest(&self) -> RowDigest {
        Canonical::of_table(TABLE)
            .smallint(1, self.slot)
            .uuid(2, self.key_hash)
            .uuid(3, self.fingerprint)
            .uuid(4, self.transfer_id)
            .bigint(5, self.account_id)
            .smallint(6, self.rejection)
            .bigint(7, self.recorded_at)
            .digest()
    }
}

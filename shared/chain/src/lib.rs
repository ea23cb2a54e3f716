//! The chain of committed batches: by it a row that was changed, added or removed behind the wallet's back is found
//! and named.
//!
//! Each batch also writes one row of `batches`: the id and a digest of each row that it wrote, and a hash over all this
//! and the hash of the batch before, of the same writer (cf. S. Haber and W. S. Stornetta, "How to Time-Stamp a Digital
//! Document", 1991). Rows of `transfers`, `inbox` and `idempotency` are written once. Those of `accounts` and
//! `reservations` are not: of each that a batch updates or deletes, it also lists the digest that it found. The
//! shard-node that writes and the audit that verifies both compute digests and hashes here, and only here, from the
//! values as the columns hold them.
//!
//! There is no secret in it: whoever may write the tables and knows this format can write a chain anew from any batch
//! on. What shows that is a head that was kept elsewhere.
//!
//! This crate is pure: no I/O, no clock, no randomness.

mod account;
mod batch;
mod digest;
mod inbox;
mod key;
mod reservation;
mod transfer;

pub use account::{ACCOUNT_COLUMNS, ACCOUNT_COLUMNS_LEFT_OUT, AccountRow};
pub use batch::{Batch, BatchHash, Changes, GENESIS, LISTED_BYTES, Listed, list, listed, mark};
pub use digest::RowDigest;
pub use inbox::{INBOX_COLUMNS, InboxRow};
pub use key::{KEY_COLUMNS, KeyRow};
pub use reservation::{RESERVATION_COLUMNS, RESERVATION_COLUMNS_LEFT_OUT, ReservationRow};
pub use transfer::{TRANSFER_COLUMNS, TransferRow};

/// The number of this format, stored with every batch.
///
/// A column that is NULL is left out of a row's digest, so a new column leaves the digests of older rows as they are.
/// The number grows when a column is added all the same: a verifier that does not know the column must not take its
/// rows for changed ones. It grew to 2 with the lists of keys, accounts and reservations; and since then there is no
/// batch that writes something and has no row.
pub const FORMAT: i16 = 2;

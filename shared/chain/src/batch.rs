//! Rows of `batches`.

use crate::RowDigest;
use sha2::{Digest, Sha256};

/// SHA-256 over a batch and the hash of the one before.
pub type BatchHash = [u8; 32];

/// What the first batch of a writer follows.
pub const GENESIS: BatchHash = [0; 32];

/// A row that a batch wrote, or one as it was before the batch replaced or removed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Listed {
    /// The transfer, the key's hash or the account.
    pub id: u128,
    /// Its row's digest.
    pub digest: RowDigest,
}

const ID_BYTES: usize = 16;
/// What a batch stores for a row.
pub const LISTED_BYTES: usize = ID_BYTES + RowDigest::BYTES;

/// Rows as a batch stores them: id and digest, one row after the other.
pub fn list(rows: impl ExactSizeIterator<Item = Listed>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(rows.len() * LISTED_BYTES);
    for row in rows {
        bytes.extend_from_slice(&row.id.to_be_bytes());
        bytes.extend_from_slice(&row.digest.0);
    }
    bytes
}

/// The rows in what [`list`] made. Bytes left over at the end, which it never makes, are no row: the batch's hash does
/// not fit them either.
pub fn listed(bytes: &[u8]) -> impl ExactSizeIterator<Item = Listed> {
    bytes.chunks_exact(LISTED_BYTES).map(|row| {
        let (mut id, mut digest) = ([0; ID_BYTES], [0; RowDigest::BYTES]);
        id.copy_from_slice(&row[..ID_BYTES]);
        digest.copy_from_slice(&row[ID_BYTES..]);
        Listed { id: u128::from_be_bytes(id), digest: RowDigest(digest) }
    })
}

/// A number for a listed row that cannot be foretold without the secret: for sums by which two sets of rows are compared.
pub fn mark(secret: &[u8; 16], row: &Listed) -> u128 {
    let hash =
        Sha256::new().chain_update(secret).chain_update(row.id.to_be_bytes()).chain_update(row.digest.0).finalize();
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    u128::from_be_bytes(half)
}

/// What a batch did to a table whose rows are written more than once: both as [`list`] makes them.
///
/// What is written, less what is replaced, over all batches of all writers, is what must be there. That needs no order
/// between writers. And a row that was changed before a batch replaced it stays found: the batch replaced another one
/// than was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changes<'a> {
    /// Rows that it inserted or updated, as they are since.
    pub written: &'a [u8],
    /// Rows that it updated or deleted, as it found them.
    pub replaced: &'a [u8],
}

/// The first format that lists more than transfers and decisions.
const FORMAT_OF_CHANGES: i16 = 2;

/// A row of `batches`, but for its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Batch<'a> {
    /// Of digests and hash; see [`crate::FORMAT`].
    pub format: i16,
    /// Whose chain it is in: a lane of a replica.
    pub writer: i32,
    /// Its place there: 1, 2, 3 ...
    pub number: i64,
    /// The time of its rows, in microseconds since the Unix epoch.
    pub decided_at: i64,
    /// The rows of `transfers`, as [`list`] makes them.
    pub transfers: &'a [u8],
    /// The rows of `inbox`, as [`list`] makes them.
    pub inbox: &'a [u8],
    /// The rows of `idempotency`, as [`list`] makes them.
    pub keys: &'a [u8],
    /// Of `accounts`.
    pub accounts: Changes<'a>,
    /// Of `reservations`.
    pub reservations: Changes<'a>,
}

impl Batch<'_> {
    /// The batch's hash, given that of the one before.
    pub fn hash(&self, previous: &BatchHash) -> BatchHash {
        let mut sha = Sha256::new()
            .chain_update(previous)
            .chain_update(self.format.to_be_bytes())
            .chain_update(self.writer.to_be_bytes())
            .chain_update(self.number.to_be_bytes())
            .chain_update(self.decided_at.to_be_bytes());
        [self.transfers, self.inbox].iter().for_each(|list| add(&mut sha, list));
        let Changes { written: accounts, replaced: accounts_replaced } = self.accounts;
        let Changes { written: reservations, replaced: reservations_replaced } = self.reservations;
        let later = [self.keys, accounts, accounts_replaced, reservations, reservations_replaced];
        // A batch of the first format has none of these; one that was given some does not fit its hash.
        if self.format >= FORMAT_OF_CHANGES || later.iter().any(|list| !list.is_empty()) {
            later.iter().for_each(|list| add(&mut sha, list));
        }
        sha.finalize().into()
    }
}

/// Adds a list, so that no two different lists of lists have the same bytes.
fn add(sha: &mut Sha256, list: &[u8]) {
    sha.update(u64::try_from(list.len()).unwrap_or(u64::MAX).to_be_bytes());
    sha.update(list);
}

//! Rows of `batches`.

use crate::RowDigest;
use sha2::{Digest, Sha256};

/// SHA-256 over a batch and the hash of the one before.
pub type BatchHash = [u8; 32];

/// What the first batch of a writer follows.
pub const GENESIS: BatchHash = [0; 32];

/// A row that a batch wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Listed {
    /// The transfer.
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

/// A row of `batches`, but for its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
}

impl Batch<'_> {
    /// The batch's hash, given that of the one before.
    pub fn hash(&self, previous: &BatchHash) -> BatchHash {
        let length = |bytes: &[u8]| u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes();
        Sha256::new()
            .chain_update(previous)
            .chain_update(self.format.to_be_bytes())
            .chain_update(self.writer.to_be_bytes())
            .chain_update(self.number.to_be_bytes())
            .chain_update(self.decided_at.to_be_bytes())
            .chain_update(length(self.transfers))
            .chain_update(self.transfers)
            .chain_update(length(self.inbox))
            .chain_update(self.inbox)
            .finalize()
            .into()
    }
}

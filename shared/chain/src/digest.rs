//! The canonical form of a row, and its digest.

use sha2::{Digest, Sha256};
use std::fmt;

/// SHA-256 of a row's canonical form, cut to 96 bits.
///
/// To find another row with the same digest takes 2^96 tries. 64 bits would save 4 bytes a row, and 2^64 tries can be
/// bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowDigest(pub [u8; RowDigest::BYTES]);

impl RowDigest {
    /// Its size.
    pub const BYTES: usize = 12;
}

impl fmt::Display for RowDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A row as bytes: a number for the table, then for each column that is not NULL, in the order of their tags, the tag
/// and the value. The tag tells the type; numbers are big-endian, text goes after its length. So no two different rows
/// have the same bytes.
pub(crate) struct Canonical(Vec<u8>);

/// Most rows are shorter.
const USUAL_BYTES: usize = 256;

impl Canonical {
    pub fn of_table(table: u8) -> Canonical {
        let mut bytes = Vec::with_capacity(USUAL_BYTES);
        bytes.push(table);
        Canonical(bytes)
    }

    fn fixed<const N: usize>(mut self, tag: u8, value: Option<[u8; N]>) -> Self {
        if let Some(value) = value {
            self.0.push(tag);
            self.0.extend_from_slice(&value);
        }
        self
    }

    pub fn uuid(self, tag: u8, value: impl Into<Option<u128>>) -> Self {
        self.fixed(tag, value.into().map(u128::to_be_bytes))
    }

    pub fn bigint(self, tag: u8, value: impl Into<Option<i64>>) -> Self {
        self.fixed(tag, value.into().map(i64::to_be_bytes))
    }

    pub fn integer(self, tag: u8, value: i32) -> Self {
        self.fixed(tag, Some(value.to_be_bytes()))
    }

    pub fn smallint(self, tag: u8, value: impl Into<Option<i16>>) -> Self {
        self.fixed(tag, value.into().map(i16::to_be_bytes))
    }

    pub fn text<'a>(mut self, tag: u8, value: impl Into<Option<&'a str>>) -> Self {
        if let Some(text) = value.into() {
            // PostgreSQL holds no text of 2^32 bytes.
            let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
            self.0.push(tag);
            self.0.extend_from_slice(&length.to_be_bytes());
            self.0.extend_from_slice(text.as_bytes());
        }
        self
    }

    pub fn digest(self) -> RowDigest {
        let whole: [u8; 32] = Sha256::digest(&self.0).into();
        let mut kept = [0; RowDigest::BYTES];
        kept.copy_from_slice(&whole[..RowDigest::BYTES]);
        RowDigest(kept)
    }
}

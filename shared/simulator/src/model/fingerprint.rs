//! Hashing many small values fast.

use std::hash::{Hash, Hasher};
use xxhash_rust::xxh3::xxh3_64;

const BYTES_MAX: usize = 192;

/// 64 bits of everything that `Hash` says of a value. Two values that differ have the same with a probability of
/// 2^-64.
pub(super) fn fingerprint(value: &impl Hash) -> u64 {
    let mut bytes = Bytes::default();
    value.hash(&mut bytes);
    bytes.finish()
}

/// Collects what is to be hashed. Discriminants and lengths below 255 take one byte instead of eight.
pub(super) struct Bytes {
    bytes: [u8; BYTES_MAX],
    length: usize,
    carried: u64,
}

impl Default for Bytes {
    fn default() -> Bytes {
        Bytes { bytes: [0; BYTES_MAX], length: 0, carried: 0 }
    }
}

impl Bytes {
    fn push(&mut self, byte: u8) {
        if self.length == BYTES_MAX {
            self.carried = self.finish();
            self.length = 0;
        }
        self.bytes[self.length] = byte;
        self.length += 1;
    }
}

impl Hasher for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.push(*byte));
    }

    fn write_u8(&mut self, byte: u8) {
        self.push(byte);
    }

    fn write_usize(&mut self, number: usize) {
        match u8::try_from(number) {
            Ok(byte) if byte < u8::MAX => self.push(byte),
            _ => {
                self.push(u8::MAX);
                self.write(&number.to_le_bytes());
            }
        }
    }

    fn write_isize(&mut self, number: isize) {
        self.write_usize(number.cast_unsigned());
    }

    fn finish(&self) -> u64 {
        xxh3_64(&self.bytes[..self.length]) ^ self.carried.rotate_left(31)
    }
}

/// For what is a fingerprint already.
#[derive(Default)]
pub(super) struct Identity(u64);

impl Hasher for Identity {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

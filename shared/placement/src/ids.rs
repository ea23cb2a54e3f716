//! The small numeric ids: region, locality, slot, shard, epoch.

use xxhash_rust::xxh3::xxh3_64;

use crate::bounded::bounded_id;

/// How many slots each region has. Fixed for good: it is part of what an account id means.
pub const SLOT_COUNT: u16 = 4096;

/// Bits of a locality.
pub(crate) const LOCALITY_BITS: u32 = 31;
const LOCALITY_MASK: u64 = (1 << LOCALITY_BITS) - 1;

bounded_id! {
    /// A region's number, 1..=63, part of every account id and transfer id of that region. Never reused.
    RegionCode(u8), "region code", 1, 63
}

bounded_id! {
    /// What all accounts of one user have in common: 31 bits of a hash of the user id. Different users may
    /// share a locality; then they share a slot and nothing else.
    Locality(u32), "locality", 0, (1 << LOCALITY_BITS) - 1
}

impl Locality {
    /// The locality of a user: the low 31 bits of `xxh3_64` of the user id's bytes.
    pub fn of_user(user_id: &str) -> Self {
        // Lossless: the mask leaves 31 bits.
        Self((xxh3_64(user_id.as_bytes()) & LOCALITY_MASK) as u32)
    }

    /// The locality made of the low 31 bits of `bits`.
    pub(crate) const fn from_low_bits(bits: u64) -> Self {
        Self((bits & LOCALITY_MASK) as u32)
    }
}

bounded_id! {
    /// A fixed bucket of a region's accounts, 0..[`SLOT_COUNT`]: the unit of ownership and of moves.
    Slot(u16), "slot", 0, SLOT_COUNT - 1
}

impl Slot {
    /// The slot of all accounts of a locality in a region: `xxh3_64` of the little-endian bytes of
    /// `account_id >> 16`, modulo [`SLOT_COUNT`].
    pub fn of(region: RegionCode, locality: Locality) -> Self {
        let prefix = (u64::from(region.0) << LOCALITY_BITS) | u64::from(locality.0);
        // Lossless: the remainder is below 4096.
        Self((xxh3_64(&prefix.to_le_bytes()) % u64::from(SLOT_COUNT)) as u16)
    }

    /// Every slot of a region, ascending.
    pub fn all() -> impl ExactSizeIterator<Item = Self> {
        (0..SLOT_COUNT).map(Self)
    }

    /// The slot's place in an array of [`SLOT_COUNT`] entries.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

bounded_id! {
    /// A shard's number, above 0, unique in the whole system and never reused.
    ShardId(u16), "shard id", 1, u16::MAX
}

bounded_id! {
    /// A slot's ownership generation: the higher one is the later owner. At most `i64::MAX`, as stored.
    Epoch(u64), "epoch", 0, i64::MAX as u64
}

impl Epoch {
    /// The epoch at which a slot's first owner claims it.
    pub const FIRST: Self = Self(1);

    /// The epoch of the next owner. Stays where it is at the end of the range, which 2^63 moves of one slot
    /// do not reach.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1).min(Self::MAX.0))
    }
}

//! The account id: a number that says where the account lives.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::bounded::parse_decimal;
use crate::ids::LOCALITY_BITS;
use crate::{InvalidId, Locality, RegionCode, Slot};

const DISCRIMINATOR_BITS: u32 = 16;
const REGION_SHIFT: u32 = DISCRIMINATOR_BITS + LOCALITY_BITS;
const WORDS: &str = "account id";

/// An account's id: positive and below 2^53, so exact in every JSON client.
///
/// | bits | content |
/// |---|---|
/// | 52..47 | region code, 1..63 |
/// | 46..16 | locality of the user |
/// | 15..0 | discriminator, drawn by the shard among those free in that locality |
///
/// ```
/// use placement::AccountId;
///
/// let account_id: AccountId = "140737488420864".parse()?;
/// assert_eq!(account_id.region().get(), 1);
/// assert!(AccountId::try_from(42u64).is_err(), "42 names no region");
/// # Ok::<(), placement::InvalidId>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct AccountId(u64);

impl AccountId {
    /// The smallest valid id.
    pub const MIN: Self = Self(1 << REGION_SHIFT);
    /// The largest valid id, 2^53 - 1.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// Composes an id. Every combination is valid.
    pub fn new(region: RegionCode, locality: Locality, discriminator: u16) -> Self {
        let region = u64::from(region.get()) << REGION_SHIFT;
        let locality = u64::from(locality.get()) << DISCRIMINATOR_BITS;
        Self(region | locality | u64::from(discriminator))
    }

    /// The ids that a user of this locality can have in this region. Other users of the same locality have
    /// theirs in it too.
    pub fn locality_range(region: RegionCode, locality: Locality) -> RangeInclusive<Self> {
        Self::new(region, locality, 0)..=Self::new(region, locality, u16::MAX)
    }

    /// The number itself.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number as PostgreSQL stores it.
    pub const fn as_i64(self) -> i64 {
        // Lossless: ids are below 2^53.
        self.0 as i64
    }

    /// The account's home region.
    pub fn region(self) -> RegionCode {
        // Lossless: an id has six bits above the shift.
        let code = (self.0 >> REGION_SHIFT) as u8;
        RegionCode::try_from(code).expect("an AccountId is only made with a region of 1..=63")
    }

    /// The locality of the account's user.
    pub const fn locality(self) -> Locality {
        Locality::from_low_bits(self.0 >> DISCRIMINATOR_BITS)
    }

    /// What tells the accounts of one locality apart.
    pub const fn discriminator(self) -> u16 {
        // Takes the low 16 bits.
        self.0 as u16
    }

    /// The slot that holds the account, in its region.
    pub fn slot(self) -> Slot {
        Slot::of(self.region(), self.locality())
    }

    fn from_in_range(value: i128) -> Result<Self, InvalidId> {
        let (min, max) = (Self::MIN.0, Self::MAX.0);
        match u64::try_from(value) {
            Ok(id) if (min..=max).contains(&id) => Ok(Self(id)),
            _ => Err(InvalidId::OutOfRange { id: WORDS, min, max, value }),
        }
    }
}

impl TryFrom<u64> for AccountId {
    type Error = InvalidId;

    fn try_from(value: u64) -> Result<Self, Self::Error> {
        Self::from_in_range(i128::from(value))
    }
}

impl TryFrom<i64> for AccountId {
    type Error = InvalidId;

    fn try_from(value: i64) -> Result<Self, Self::Error> {
        Self::from_in_range(i128::from(value))
    }
}

impl From<AccountId> for u64 {
    fn from(account_id: AccountId) -> Self {
        account_id.0
    }
}

impl FromStr for AccountId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_decimal(WORDS, text).and_then(Self::try_from)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

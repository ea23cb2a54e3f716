//! The transfer id: a UUID that says when the transfer began and where its debit account lives.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::{Uuid, Variant};

use crate::ids::LOCALITY_BITS;
use crate::{InvalidId, Locality, RegionCode, Slot};

const UNIX_MS_MAX: u64 = (1 << 48) - 1;
const UNIX_MS_SHIFT: u32 = 80;
const VERSION_8: u128 = 8 << 76;
const REGION_SHIFT: u32 = 70;
const REGION_MASK: u128 = 0x3f;
const LOCALITY_HIGH_SHIFT: u32 = 64;
const LOCALITY_LOW_BITS: u32 = 25;
const LOCALITY_LOW_MASK: u64 = (1 << LOCALITY_LOW_BITS) - 1;
const LOCALITY_HIGH_MASK: u64 = (1 << (LOCALITY_BITS - LOCALITY_LOW_BITS)) - 1;
const RFC_VARIANT: u128 = 0b10 << 62;
const RANDOM_BITS: u32 = 37;
const RANDOM_MASK: u64 = (1 << RANDOM_BITS) - 1;

/// A transfer's id: a UUID of version 8 (RFC 9562, section 5.8), ordered by time, that leads to the slot of
/// the transfer's debit account.
///
/// | bits | content |
/// |---|---|
/// | 127..80 | Unix time in milliseconds |
/// | 79..76 | version, 8 |
/// | 75..70 | region code |
/// | 69..64 | locality, high 6 bits |
/// | 63..62 | variant, 0b10 |
/// | 61..37 | locality, low 25 bits |
/// | 36..0 | random |
///
/// ```
/// use placement::{Locality, RegionCode, TransferId};
///
/// let region = RegionCode::try_from(2)?;
/// let transfer_id = TransferId::new(1_700_000_000_000, region, Locality::of_user("nick"), 99);
/// assert_eq!(transfer_id.unix_ms(), 1_700_000_000_000);
/// assert_eq!(transfer_id.locality(), Locality::of_user("nick"));
/// assert_eq!(transfer_id.to_string().parse::<TransferId>()?, transfer_id);
/// # Ok::<(), placement::InvalidId>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Uuid", into = "Uuid")]
pub struct TransferId(Uuid);

impl TransferId {
    /// Composes an id from the time, the debit account's region and locality, and the low 37 bits of
    /// `random`. A time above 48 bits (year 10889) is taken as the largest one.
    pub fn new(unix_ms: u64, region: RegionCode, locality: Locality, random: u64) -> Self {
        let locality = u64::from(locality.get());
        let locality_high = locality >> LOCALITY_LOW_BITS;
        let locality_low = locality & LOCALITY_LOW_MASK;
        let bits = time_bits(unix_ms)
            | VERSION_8
            | (u128::from(region.get()) << REGION_SHIFT)
            | (u128::from(locality_high) << LOCALITY_HIGH_SHIFT)
            | RFC_VARIANT
            | (u128::from(locality_low) << RANDOM_BITS)
            | u128::from(random & RANDOM_MASK);
        Self(Uuid::from_u128(bits))
    }

    /// The smallest UUID of a millisecond, all bits after the time 0: a bound for comparisons and month
    /// partitions, not a transfer's id.
    pub fn lower_bound(unix_ms: u64) -> Uuid {
        Uuid::from_u128(time_bits(unix_ms))
    }

    /// The UUID, as PostgreSQL stores it.
    pub const fn uuid(self) -> Uuid {
        self.0
    }

    /// When the transfer began, in milliseconds of Unix time.
    pub const fn unix_ms(self) -> u64 {
        // Lossless: 48 bits are left.
        (self.0.as_u128() >> UNIX_MS_SHIFT) as u64
    }

    /// The debit account's region.
    pub fn region(self) -> RegionCode {
        region_of(self.0).expect("a TransferId is only made with a region of 1..=63")
    }

    /// The debit account's locality.
    pub const fn locality(self) -> Locality {
        let (high, low) = self.0.as_u64_pair();
        let locality_high = high & LOCALITY_HIGH_MASK;
        let locality_low = (low >> RANDOM_BITS) & LOCALITY_LOW_MASK;
        Locality::from_low_bits((locality_high << LOCALITY_LOW_BITS) | locality_low)
    }

    /// The slot of the debit account, in its region.
    pub fn slot(self) -> Slot {
        Slot::of(self.region(), self.locality())
    }
}

fn time_bits(unix_ms: u64) -> u128 {
    u128::from(unix_ms.min(UNIX_MS_MAX)) << UNIX_MS_SHIFT
}

fn region_of(uuid: Uuid) -> Result<RegionCode, InvalidId> {
    // Lossless: the mask leaves six bits.
    RegionCode::try_from(((uuid.as_u128() >> REGION_SHIFT) & REGION_MASK) as u8)
}

impl TryFrom<Uuid> for TransferId {
    type Error = InvalidId;

    fn try_from(uuid: Uuid) -> Result<Self, Self::Error> {
        if uuid.get_version_num() != 8 || uuid.get_variant() != Variant::RFC4122 {
            return Err(InvalidId::NotVersion8);
        }
        region_of(uuid)?;
        Ok(Self(uuid))
    }
}

impl From<TransferId> for Uuid {
    fn from(transfer_id: TransferId) -> Self {
        transfer_id.0
    }
}

impl FromStr for TransferId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Of the forms that the parser knows, only the hyphenated one has this length.
        if text.len() != 36 {
            return Err(InvalidId::NotUuid);
        }
        Uuid::try_parse(text).map_err(|_| InvalidId::NotUuid)?.try_into()
    }
}

impl fmt::Display for TransferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

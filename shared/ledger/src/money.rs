//! Amounts, currencies and times.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The largest balance or amount, in units of the currency's exponent: 2^53 - 1, which every JSON
/// client reads exactly (RFC 8259, section 6).
pub const AMOUNT_LIMIT: i64 = (1 << 53) - 1;

/// A whole number of a currency's smallest configured unit. May hold what a client asked for, so it is
/// not always in range; the decision checks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Amount(pub i64);

impl Amount {
    /// Nothing.
    pub const ZERO: Amount = Amount(0);

    /// The number itself.
    pub fn get(self) -> i64 {
        self.0
    }

    /// The sum, or `None` past [`AMOUNT_LIMIT`] in either direction.
    pub fn checked_add(self, other: Amount) -> Option<Amount> {
        in_limit(self.0.checked_add(other.0)?)
    }

    /// The difference, or `None` past [`AMOUNT_LIMIT`] in either direction.
    pub fn checked_sub(self, other: Amount) -> Option<Amount> {
        in_limit(self.0.checked_sub(other.0)?)
    }
}

fn in_limit(value: i64) -> Option<Amount> {
    (-AMOUNT_LIMIT..=AMOUNT_LIMIT).contains(&value).then_some(Amount(value))
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An ISO 4217 alphabetic code: three capital letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

/// The text is not three capital letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a currency is three capital letters, such as SGD")]
pub struct InvalidCurrency;

impl Currency {
    /// The code as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }
}

impl std::str::FromStr for Currency {
    type Err = InvalidCurrency;

    fn from_str(text: &str) -> Result<Self, InvalidCurrency> {
        let bytes: [u8; 3] = text.as_bytes().try_into().map_err(|_| InvalidCurrency)?;
        match bytes.iter().all(u8::is_ascii_uppercase) {
            true => Ok(Currency(bytes)),
            false => Err(InvalidCurrency),
        }
    }
}

impl TryFrom<String> for Currency {
    type Error = InvalidCurrency;

    fn try_from(text: String) -> Result<Self, InvalidCurrency> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> String {
        currency.as_str().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the topology says of a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurrencyRules {
    /// The code.
    pub currency: Currency,
    /// The largest amount of one customer transfer, inclusive.
    pub transfer_amount_max: Amount,
}

/// Microseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Whole milliseconds since the epoch; times before it count as the epoch.
    pub fn unix_ms(self) -> u64 {
        u64::try_from(self.0 / 1_000).unwrap_or(0)
    }
}

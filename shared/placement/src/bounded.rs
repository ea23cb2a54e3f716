//! What all numeric ids share: a range, one error, one text form.

use thiserror::Error;

/// A number, text or UUID that is not a valid id. The same input fails again: a caller answers its client
/// "bad id" or, for a stored value, treats it as a defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidId {
    /// The number lies outside the id's range.
    #[error("{id} must be from {min} to {max}, not {value}")]
    OutOfRange {
        /// The kind of id, in words.
        id: &'static str,
        /// The smallest valid number.
        min: u64,
        /// The largest valid number.
        max: u64,
        /// The number refused.
        value: i128,
    },
    /// The text is not a plain decimal number: digits only, no sign, no leading zero.
    #[error("{id} must be a plain decimal number")]
    NotDecimal {
        /// The kind of id, in words.
        id: &'static str,
    },
    /// The text is not a UUID of the hyphenated form, 36 characters.
    #[error("transfer id must be a hyphenated UUID")]
    NotUuid,
    /// The UUID is not of version 8 and the RFC 9562 variant.
    #[error("transfer id must be a UUID of version 8")]
    NotVersion8,
}

/// Reads the one decimal text form of a number: what `Display` writes and nothing else, so that an id has a
/// single spelling in URLs, logs and caches.
pub(crate) fn parse_decimal(id: &'static str, text: &str) -> Result<u64, InvalidId> {
    let digits_only = text.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = text.len() > 1 && text.starts_with('0');
    if !digits_only || leading_zero {
        return Err(InvalidId::NotDecimal { id });
    }
    text.parse().map_err(|_| InvalidId::NotDecimal { id })
}

/// Defines a numeric newtype with an inclusive range; its serde form is the plain number.
macro_rules! bounded_id {
    ($(#[$meta:meta])* $name:ident($repr:ty), $words:literal, $min:expr, $max:expr) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($repr);

        impl $name {
            /// The smallest valid value.
            pub const MIN: Self = Self($min);
            /// The largest valid value.
            pub const MAX: Self = Self($max);

            /// The number itself.
            pub const fn get(self) -> $repr {
                self.0
            }

            /// The number as PostgreSQL stores it.
            pub const fn as_i64(self) -> i64 {
                // Lossless: `from_in_range` lets nothing above i64::MAX in.
                self.0 as i64
            }

            /// Reads the number as PostgreSQL stores it.
            ///
            /// # Errors
            /// [`InvalidId::OutOfRange`](crate::InvalidId::OutOfRange): the stored value is no valid id.
            pub fn from_i64(value: i64) -> Result<Self, crate::InvalidId> {
                Self::from_in_range(i128::from(value))
            }

            fn from_in_range(value: i128) -> Result<Self, crate::InvalidId> {
                let refused = crate::InvalidId::OutOfRange {
                    id: $words,
                    min: u64::from(Self::MIN.0),
                    max: u64::from(Self::MAX.0),
                    value,
                };
                let number = <$repr>::try_from(value).map_err(|_| refused)?;
                if !(Self::MIN.0..=Self::MAX.0).contains(&number) {
                    return Err(refused);
                }
                Ok(Self(number))
            }
        }

        impl TryFrom<$repr> for $name {
            type Error = crate::InvalidId;

            fn try_from(value: $repr) -> Result<Self, Self::Error> {
                Self::from_in_range(i128::from(value))
            }
        }

        impl From<$name> for $repr {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let value = crate::bounded::parse_decimal($words, text)?;
                Self::from_in_range(i128::from(value))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0, f)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serde::Serialize::serialize(&self.0, serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let number = <$repr as serde::Deserialize>::deserialize(deserializer)?;
                Self::try_from(number).map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use bounded_id;

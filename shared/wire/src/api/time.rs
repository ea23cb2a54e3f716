//! Times as the contract writes them.

use ledger::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use utoipa::ToSchema;

/// An instant: RFC 3339, UTC, always with six decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-11-22T09:30:00.123456Z")]
pub struct Time(jiff::Timestamp);

impl Time {
    /// Microseconds since the Unix epoch.
    pub fn as_microseconds(self) -> i64 {
        self.0.as_microsecond()
    }
}

impl From<Timestamp> for Time {
    /// What the calendar cannot express (a year above 9999) becomes its nearest end.
    fn from(time: Timestamp) -> Self {
        let nearest = if time.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
        Time(jiff::Timestamp::from_microsecond(time.0).unwrap_or(nearest))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}", self.0)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Time).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_with_microseconds() {
        let time = Time::from(Timestamp(1_700_000_000_000_001));
        assert_eq!(serde_json::to_string(&time).expect("text"), r#""2023-11-14T22:13:20.000001Z""#);
        assert_eq!(Time::from(Timestamp(0)).to_string(), "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn times_round_trip() {
        let time = Time::from(Timestamp(1_700_000_000_123_456));
        let text = serde_json::to_string(&time).expect("text");
        assert_eq!(serde_json::from_str::<Time>(&text).expect("a time"), time);
        assert_eq!(time.as_microseconds(), 1_700_000_000_123_456);
    }

    #[test]
    fn times_beyond_the_calendar_are_its_end() {
        assert!(Time::from(Timestamp(i64::MAX)).to_string().starts_with("9999-"));
    }
}

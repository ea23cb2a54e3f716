//! Times on their way to and from PostgreSQL, which also counts in microseconds.

use jiff::Timestamp as Instant;
use ledger::Timestamp;

/// For a `timestamptz` parameter. Times beyond the calendar's ends (years -9999 to 9999) are cut off there.
pub fn from_micros(time: Timestamp) -> Instant {
    let end = if time.0 < 0 { Instant::MIN } else { Instant::MAX };
    Instant::from_microsecond(time.0).unwrap_or(end)
}

/// From a `timestamptz` column.
pub fn to_micros(time: Instant) -> Timestamp {
    Timestamp(time.as_microsecond())
}

//! W3C Trace Context (level 1): taken over from the client, passed on with every call and message.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The `traceparent` of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceContext {
    /// The whole trace; never 0.
    pub trace_id: u128,
    /// The caller's span; never 0.
    pub parent_id: u64,
    /// Whether the caller records it.
    pub sampled: bool,
}

/// The header is not a valid `traceparent`; the specification says to start a new trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent header")]
pub struct InvalidTraceparent;

impl TraceContext {
    /// A new trace from 192 random bits.
    pub fn begin(trace_id: u128, parent_id: u64) -> Self {
        TraceContext { trace_id: trace_id.max(1), parent_id: parent_id.max(1), sampled: false }
    }

    /// The same trace, one span further.
    pub fn child(self, parent_id: u64) -> Self {
        TraceContext { parent_id: parent_id.max(1), ..self }
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.parent_id, u8::from(self.sampled))
    }
}

impl FromStr for TraceContext {
    type Err = InvalidTraceparent;

    fn from_str(header: &str) -> Result<Self, InvalidTraceparent> {
        let mut parts = header.split('-');
        let mut next = |digits: usize| {
            let part = parts.next().filter(|part| part.len() == digits).ok_or(InvalidTraceparent)?;
            let lowercase = part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            if lowercase { Ok(part) } else { Err(InvalidTraceparent) }
        };
        let version = next(2)?;
        let (trace_id, parent_id, flags) = (next(32)?, next(16)?, next(2)?);
        let more = parts.next().is_some();
        if version == "ff" || (version == "00" && more) {
            return Err(InvalidTraceparent);
        }
        let trace_id = u128::from_str_radix(trace_id, 16).map_err(|_| InvalidTraceparent)?;
        let parent_id = u64::from_str_radix(parent_id, 16).map_err(|_| InvalidTraceparent)?;
        let flags = u8::from_str_radix(flags, 16).map_err(|_| InvalidTraceparent)?;
        if trace_id == 0 || parent_id == 0 {
            return Err(InvalidTraceparent);
        }
        Ok(TraceContext { trace_id, parent_id, sampled: flags & 1 == 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_specifications_example_round_trips() {
        let context: TraceContext = EXAMPLE.parse().expect("valid");
        assert!(context.sampled);
        assert_eq!(context.to_string(), EXAMPLE);
    }

    #[test]
    fn mangled_headers_are_refused() {
        for header in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(header.parse::<TraceContext>(), Err(InvalidTraceparent), "{header}");
        }
    }
}

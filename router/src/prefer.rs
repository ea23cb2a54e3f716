//! `Prefer: wait=N` (RFC 7240): how long a transfer may stay undecided before it is answered as pending.

use crate::spec::{Parameter, Values};
use http::{HeaderMap, HeaderValue};
use std::time::Duration;

/// The longest wait that a client can ask for, in seconds.
pub const WAIT_SECONDS_MAX: u32 = 30;

/// The wait that the client prefers. What cannot be read or followed is ignored, as the RFC wants it.
pub fn wait(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    // The first of several counts.
    let first = values.flat_map(|value| value.split(',')).find_map(wait_preference)?;
    let seconds: u32 = first.parse().ok()?;
    let digits_only = first.bytes().all(|byte| byte.is_ascii_digit());
    (digits_only && seconds <= WAIT_SECONDS_MAX).then(|| Duration::from_secs(u64::from(seconds)))
}

/// The header that says so.
pub const WAIT: Parameter = Parameter {
    name: "Prefer",
    description: "`wait=N`: wait N seconds (0 to 30, 2 if absent) for a decision before answering 202.",
    values: Values::Text,
};

/// That a wish was followed, for the answer's header.
pub fn applied(wait: Duration) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("wait={}", wait.as_secs())).ok()
}

/// The value of a preference called `wait`; its parameters are passed over.
fn wait_preference(preference: &str) -> Option<&str> {
    let (name, value) = preference.split(';').next()?.split_once('=')?;
    name.trim().eq_ignore_ascii_case("wait").then(|| value.trim().trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("prefer", value.parse().expect("a header value"));
        }
        wait(&headers).map(|wait| wait.as_secs())
    }

    #[test]
    fn wait_is_found_among_other_preferences() {
        assert_eq!(of(&["wait=10"]), Some(10));
        assert_eq!(of(&["respond-async, Wait = 0; x=y"]), Some(0));
        assert_eq!(of(&["respond-async", "wait=\"30\""]), Some(30));
        assert_eq!(of(&["wait=1, wait=2"]), Some(1));
    }

    #[test]
    fn what_cannot_be_followed_is_ignored() {
        for value in ["", "wait", "wait=", "wait=-1", "wait=+1", "wait=1.5", "wait=31", "wait=99999999999", "waits=1"] {
            assert_eq!(of(&[value]), None, "{value}");
        }
    }
}

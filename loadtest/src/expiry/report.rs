//! What the run came to.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::ExpiryOptions;
use super::found::Found;
use super::reserve::Reserved;
use crate::Outcome;
use crate::bench::cpu::CpuTimes;

/// 99 of 100 expire within so many seconds of their due time.
const LATE_MAX: f64 = 1.0;

/// All of it; also the JSON.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    rate: u32,
    seconds: u64,
    expires_in: u32,
    /// Acknowledged reservations.
    reserved: u64,
    /// Due and never sent.
    missed: u64,
    refused: BTreeMap<String, u64>,
    found: Found,
    /// Of a reservation and its expiry together.
    cpu_us: BTreeMap<&'static str, f64>,
}

impl Report {
    /// Puts it together.
    pub fn new(options: &ExpiryOptions, reserved: Reserved, found: Found, cpu: CpuTimes) -> Self {
        let Reserved { count, missed, refused } = reserved;
        let each = cpu.into_iter().map(|(name, time)| (name, time.as_secs_f64() * 1e6 / count.max(1) as f64));
        let ExpiryOptions { rate, seconds, expires_in, .. } = *options;
        Self { rate, seconds, expires_in, reserved: count, missed, refused, found, cpu_us: each.collect() }
    }

    /// Whether every reservation has expired, and in time.
    pub fn outcome(&self) -> Outcome {
        let Found { expired, left, reserved, late_p99, .. } = self.found;
        let all = u64::try_from(expired) == Ok(self.reserved) && left == 0 && reserved == 0;
        match (all, late_p99 <= LATE_MAX && self.missed == 0) {
            // Those that are left were not lost; they are late.
            (false, _) if left == 0 => Outcome::Breach,
            (true, true) => Outcome::Fine,
            _ => Outcome::Failed,
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        self.add_text(&mut text).map_or_else(|_| String::new(), |()| text)
    }

    fn add_text(&self, text: &mut String) -> std::fmt::Result {
        let Self { rate, seconds, expires_in, reserved, missed, .. } = self;
        writeln!(
            text,
            "reserved {reserved} for {expires_in} s each, {rate} a second for {seconds} s; {missed} not sent in time"
        )?;
        if !self.refused.is_empty() {
            writeln!(text, "sent again or refused: {:?}", self.refused)?;
        }
        let Found { expired, left, reserved, late_p50, late_p99, late_max, seconds } = self.found;
        let per_second = expired as f64 / seconds.max(1.0);
        writeln!(text, "expired {expired}, {per_second:.0} a second; {left} are left, {reserved} still set aside")?;
        let [p50, p99, max] = [late_p50, late_p99, late_max].map(|late| late * 1e3);
        writeln!(text, "after the due time: p50 {p50:.0} ms, p99 {p99:.0} ms, max {max:.0} ms")?;
        let cpu = self.cpu_us.iter().map(|(name, us)| format!("{name} {us:.0}"));
        write!(text, "CPU us for one, reserved and expired: {}", cpu.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(found: Found) -> Report {
        let options = ExpiryOptions { rate: 1_000, seconds: 20, expires_in: 2, accounts: 2, clients: 1, json: false };
        let reserved = Reserved { count: 20, ..Reserved::default() };
        Report::new(&options, reserved, found, CpuTimes::new())
    }

    fn found() -> Found {
        Found { expired: 20, left: 0, reserved: 0, late_p50: 0.1, late_p99: 0.2, late_max: 0.3, seconds: 20.0 }
    }

    #[test]
    fn expiry_that_is_late_or_loses_something_is_told_so() {
        assert_eq!(report(found()).outcome(), Outcome::Fine);
        assert_eq!(report(Found { late_p99: 1.1, ..found() }).outcome(), Outcome::Failed);
        assert_eq!(report(Found { expired: 18, left: 2, reserved: 2, ..found() }).outcome(), Outcome::Failed);
        assert_eq!(report(Found { expired: 19, ..found() }).outcome(), Outcome::Breach);
        assert_eq!(report(Found { reserved: 1, ..found() }).outcome(), Outcome::Breach);
    }
}

//! How much is let through to something that is overloaded: less while it is, more while it is not.
//!
//! This is the admission control of DAGOR (H. Zhou and others, "Overload Control for Scaling WeChat Microservices", SoCC
//! 2018, section 4.2), with a share in place of its levels: in each window in which there was overload the share is
//! lowered by a part of itself, and in each other one it is raised by a smaller part. Overload is told by how long things
//! wait, not by how many there are: calls that only wait for another region are none.

use std::time::Duration;

/// After so long the share is changed.
pub const WINDOW: Duration = Duration::from_millis(50);
/// What is left of the share after a window of overload: it comes down to a third in half a second,
const LOWERED: f64 = 0.9;
/// and after another one: it is back in one and a half.
const RAISED: f64 = 1.04;
/// There is always a little, to find out whether more can be.
const LEAST: f64 = 0.01;
/// After so many windows without overload the share is 1, whatever it was.
const ALL_IS_OVER: u32 = 120;

/// A share from [`LEAST`] to 1 that follows overload. Times are from any common start.
#[derive(Debug)]
pub struct Valve {
    share: f64,
    /// When the present window began, and whether there was overload in it.
    began: Duration,
    overloaded: bool,
}

impl Valve {
    /// Open; nothing is known yet.
    pub fn new(now: Duration) -> Valve {
        Valve { share: 1.0, began: now, overloaded: false }
    }

    /// What of all is to be let through now.
    pub fn share(&mut self, now: Duration) -> f64 {
        self.follow(now);
        self.share
    }

    /// The share of the last window in which anything was noted or asked for.
    pub fn last_share(&self) -> f64 {
        self.share
    }

    /// Notes what was seen: whether there is overload.
    pub fn note(&mut self, now: Duration, overloaded: bool) {
        self.follow(now);
        self.overloaded |= overloaded;
    }

    /// Ends the windows that are over.
    fn follow(&mut self, now: Duration) {
        let length = now.saturating_sub(self.began);
        if length < WINDOW {
            return;
        }
        let over = u32::try_from(length.as_millis() / WINDOW.as_millis()).unwrap_or(u32::MAX).min(ALL_IS_OVER);
        let quiet = over - u32::from(self.overloaded);
        let lowered = if self.overloaded { self.share * LOWERED } else { self.share };
        // `quiet` is small.
        self.share = (lowered * RAISED.powi(quiet.cast_signed())).clamp(LEAST, 1.0);
        (self.began, self.overloaded) = (now, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Overload whenever more than `can` of what comes is let through, for `windows`; the last shares.
    fn follow(valve: &mut Valve, from_ms: u64, windows: u64, can: f64) -> Vec<f64> {
        let at = (0..windows).map(|window| from_ms + window * 50);
        let shares = at.map(|at| {
            let share = valve.share(ms(at));
            valve.note(ms(at + 10), share > can);
            share
        });
        let mut shares: Vec<f64> = shares.collect();
        shares.split_off(shares.len() / 2)
    }

    #[test]
    fn share_settles_a_little_around_what_can_be_taken() {
        for can in [0.05, 0.33, 0.8] {
            let shares = follow(&mut Valve::new(ms(0)), 0, 200, can);
            assert!(shares.iter().all(|share| (can * 0.89..=can * 1.05).contains(share)), "{can}: {shares:?}");
        }
    }

    #[test]
    fn overload_three_times_over_is_met_in_a_second_and_forgotten_in_two() {
        let mut valve = Valve::new(ms(0));
        let shares = follow(&mut valve, 0, 20, 0.33);
        assert!(shares.last().is_some_and(|share| *share < 0.36), "{shares:?}");
        follow(&mut valve, 1_000, 40, 1.0);
        assert!(valve.share(ms(3_000)) >= 1.0);
    }

    #[test]
    fn time_without_any_request_counts_as_well() {
        let mut valve = Valve::new(ms(0));
        follow(&mut valve, 0, 1_000, 0.0);
        assert!((valve.share(ms(50_000)) - LEAST).abs() < 0.001, "never nothing at all");
        assert!(valve.share(ms(50_100)) < 0.02);
        assert!(valve.share(ms(60_000)) >= 1.0);
        assert!(Valve::new(ms(0)).share(Duration::MAX) >= 1.0);
    }

    #[test]
    fn many_signs_of_overload_in_one_window_count_once() {
        let mut valve = Valve::new(ms(0));
        (0..50).for_each(|at| valve.note(ms(at), true));
        assert!((valve.share(ms(50)) - LOWERED).abs() < 1e-9);
        assert!((valve.share(ms(99)) - LOWERED).abs() < 1e-9, "the next window is not over");
    }
}

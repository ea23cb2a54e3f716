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
/// and after another one: it is back in one and a half. It rises slower than it falls, so that around what can be taken
/// little is refused behind.
const RAISED: f64 = 1.04;
/// After so many windows without overload in a row the load has gone, or become far less: around what can be taken there
/// are three or four, a dozen where little comes or overload is noticed late.
const GENTLE: u32 = 40;
/// Then it rises faster, so that it is open in less than four seconds even from the least.
const RAISED_LATER: f64 = 1.1;
/// There is always a little, to find out whether more can be.
const LEAST: f64 = 0.01;
/// After so many windows without overload the share is 1, whatever it was.
const ALL_IS_OVER: u32 = 80;

/// A share from [`LEAST`] to 1 that follows overload. Times are from any common start.
#[derive(Debug)]
pub struct Valve {
    share: f64,
    /// When the present window began, and whether there was overload in it.
    began: Duration,
    overloaded: bool,
    /// Windows without overload since the last one with it, up to [`GENTLE`].
    quiet: u32,
}

impl Valve {
    /// Open; nothing is known yet.
    pub fn new(now: Duration) -> Valve {
        Valve { share: 1.0, began: now, overloaded: false, quiet: 0 }
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
        if self.overloaded {
            (self.share, self.quiet) = ((self.share * LOWERED).max(LEAST), 0);
        }
        self.raise(over - u32::from(self.overloaded));
        (self.began, self.overloaded) = (now, false);
    }

    /// After so many more windows without overload.
    fn raise(&mut self, windows: u32) {
        let gently = windows.min(GENTLE - self.quiet);
        // Both are small.
        let raised = RAISED.powi(gently.cast_signed()) * RAISED_LATER.powi((windows - gently).cast_signed());
        self.share = (self.share * raised).min(1.0);
        self.quiet += gently;
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

    /// The same for 20 s, where overload is noted so many windows after it was let through; the shares of the last 10 s.
    fn follow_late(valve: &mut Valve, windows_late: usize, can: f64) -> Vec<f64> {
        let mut shares = Vec::new();
        for window in 0..400 {
            let at = ms(window * 50);
            shares.push(valve.share(at));
            if let Some(seen) = shares.len().checked_sub(1 + windows_late) {
                valve.note(at + ms(10), shares[seen] > can);
            }
        }
        shares.split_off(200)
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
    fn what_was_nearly_shut_is_open_within_four_seconds() {
        let mut shut = Valve::new(ms(0));
        follow(&mut shut, 0, 1_000, 0.0);
        assert!((shut.last_share() - LEAST).abs() < 1e-9);
        // Whether it is asked meanwhile or not.
        let mut asked = Valve { ..shut };
        follow(&mut asked, 50_000, 80, 1.0);
        assert!(asked.share(ms(54_000)) >= 1.0);
        assert!(shut.share(ms(54_000)) >= 1.0);
    }

    #[test]
    fn it_rises_gently_until_overload_has_been_away_for_a_while() {
        let mut valve = Valve::new(ms(0));
        follow(&mut valve, 0, 200, 0.05);
        valve.note(ms(10_000), true);
        let mut before = valve.share(ms(10_050));
        for window in 1..=GENTLE + 5 {
            let share = valve.share(ms(10_050 + u64::from(window) * 50));
            let expected = if window <= GENTLE { RAISED } else { RAISED_LATER };
            assert!((share / before - expected).abs() < 1e-9, "window {window}");
            before = share;
        }
        valve.note(ms(12_350), true);
        let lowered = valve.share(ms(12_400));
        assert!((valve.share(ms(12_450)) / lowered - RAISED).abs() < 1e-9, "gently again");
    }

    #[test]
    fn three_times_the_load_leaves_nearly_all_that_can_be_taken() {
        for windows_late in [0, 2] {
            let mut valve = Valve::new(ms(0));
            let shares = follow_late(&mut valve, windows_late, 0.33);
            let taken = shares.iter().map(|share| share.min(0.33)).sum::<f64>() / shares.len() as f64;
            assert!(taken > 0.9 * 0.33, "{windows_late} windows late: {taken}");
        }
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

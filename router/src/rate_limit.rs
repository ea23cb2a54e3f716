//! How often one user may ask this router.

use crate::config::RateLimitConfig;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::time::Duration;

/// How often users that have been quiet are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(30);

/// A bucket for each user, or no limit at all.
pub struct RateLimit(Option<DefaultKeyedRateLimiter<u64>>);

impl std::fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RateLimit").field(&self.0.as_ref().map(RateLimiter::len)).finish()
    }
}

impl RateLimit {
    /// As configured.
    pub fn new(config: &RateLimitConfig) -> Self {
        Self(config.requests_per_second.map(|rate| {
            let burst = config.burst.unwrap_or(rate);
            RateLimiter::keyed(Quota::per_second(rate).allow_burst(burst))
        }))
    }

    /// Takes one request's worth from a user's bucket.
    ///
    /// # Errors
    /// The bucket is empty: after so many whole seconds it is not.
    pub fn check(&self, rate_key: u64) -> Result<(), u32> {
        let Some(limiter) = &self.0 else { return Ok(()) };
        limiter.check_key(&rate_key).map_err(|refused| {
            let wait = refused.wait_time_from(DefaultClock::default().now());
            u32::try_from(wait.as_secs_f64().ceil() as u64).unwrap_or(u32::MAX).max(1)
        })
    }

    /// Forgets users whose buckets are full again, so that memory follows the users of the moment.
    pub async fn keep_small(&self) {
        let Some(limiter) = &self.0 else { return };
        let mut turns = tokio::time::interval(FORGET_EVERY);
        loop {
            turns.tick().await;
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    #[test]
    fn empty_bucket_says_when_it_fills_and_is_one_users_own() {
        let config = RateLimitConfig { requests_per_second: NonZeroU32::new(1), burst: NonZeroU32::new(2) };
        let limit = RateLimit::new(&config);
        assert_eq!((limit.check(1), limit.check(1)), (Ok(()), Ok(())));
        assert_eq!(limit.check(1), Err(1));
        assert_eq!(limit.check(2), Ok(()));
    }

    #[test]
    fn without_a_rate_there_is_no_limit() {
        let limit = RateLimit::new(&RateLimitConfig { requests_per_second: None, burst: None });
        assert!((0..10_000).all(|_| limit.check(1).is_ok()));
    }
}

//! `[events]`.

use runtime::config::{Fields, Secret};
use std::time::Duration;

/// Where the events go.
#[derive(Debug, Clone)]
pub struct EventsConfig {
    /// The region's Redis: `redis://[user[:password]@]host:port/[database]`.
    pub redis_url: Secret,
    /// How often it is looked whether there is something to tell.
    pub poll: Duration,
    /// About how many events the stream keeps.
    pub stream_max: u64,
}

impl EventsConfig {
    /// Reads the section; what is wrong is noted in `fields`. `None`: no address, no events.
    pub fn read(fields: &mut Fields) -> Option<Self> {
        let poll = fields.millis("events.poll_ms", 100, 10..=10_000);
        let stream_max = fields.in_range("events.stream_max", 1_000_000, 1_000..=1_000_000_000);
        let redis_url: Secret = fields.maybe("events.redis_url")?;
        if redis::Client::open(redis_url.expose()).is_err() {
            fields.mistake("events.redis_url", "must be an address such as redis://127.0.0.1:6379/");
        }
        Some(EventsConfig { redis_url, poll, stream_max })
    }
}

//! What the router can be told.

use runtime::config::{AdminConfig, DrainConfig, Fields, Secret, ServeConfig};
use std::num::NonZeroU32;
use std::time::Duration;

/// All of it; `router.toml` and the environment.
#[derive(Debug, Clone)]
pub struct Config {
    /// The name of the region it stands in.
    pub region: String,
    /// The public socket.
    pub http: ServeConfig,
    /// The socket for operators.
    pub admin: AdminConfig,
    /// Where sessions are.
    pub redis: RedisConfig,
    /// How they are remembered.
    pub sessions: SessionsConfig,
    /// How the shard-nodes are found.
    pub cluster: ClusterConfig,
    /// How often one user may ask.
    pub rate_limit: RateLimitConfig,
    /// How it stops.
    pub drain: DrainConfig,
}

impl Config {
    /// Reads everything; `None` after a mistake.
    pub fn read(fields: &mut Fields) -> Option<Self> {
        let region = read_region(fields);
        let http = ServeConfig::read(fields, "http");
        let admin = AdminConfig::read(fields);
        let redis = RedisConfig::read(fields);
        let sessions = SessionsConfig::read(fields);
        let cluster = ClusterConfig::read(fields);
        let rate_limit = RateLimitConfig::read(fields);
        let drain = DrainConfig::read(fields);
        Some(Self {
            region: region?,
            http: http?,
            admin: admin?,
            redis: redis?,
            sessions,
            cluster: cluster?,
            rate_limit,
            drain,
        })
    }
}

fn read_region(fields: &mut Fields) -> Option<String> {
    let region: String = fields.required("region")?;
    if region.is_empty() {
        fields.mistake("region", "must be the name of a region of the topology, such as sg");
    }
    Some(region)
}

/// The section `[redis]`.
#[derive(Debug, Clone)]
pub struct RedisConfig {
    /// The region's Redis: `redis://[user[:password]@]host:port/[database]`.
    pub url: Secret,
}

impl RedisConfig {
    fn read(fields: &mut Fields) -> Option<Self> {
        let url: Secret = fields.required("redis.url")?;
        if redis::Client::open(url.expose()).is_err() {
            fields.mistake("redis.url", "must be an address such as redis://127.0.0.1:6379/");
        }
        Some(Self { url })
    }
}

/// The section `[sessions]`.
#[derive(Debug, Clone)]
pub struct SessionsConfig {
    /// How long a session that was read is used without asking again: a revoked one lives that long.
    pub cache_ttl: Duration,
    /// How many are remembered.
    pub cache_entries_max: usize,
}

impl SessionsConfig {
    fn read(fields: &mut Fields) -> Self {
        Self {
            cache_ttl: fields.millis("sessions.cache_ttl_ms", 5_000, 0..=300_000),
            cache_entries_max: fields.in_range("sessions.cache_entries_max", 100_000, 1..=10_000_000),
        }
    }
}

/// The section `[cluster]`.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// What every node of the cluster knows.
    pub secret: Secret,
    /// `host:port` of some shard-nodes; the rest is learnt from them.
    pub seeds: Vec<String>,
}

impl ClusterConfig {
    fn read(fields: &mut Fields) -> Option<Self> {
        let secret: Option<Secret> = fields.required("cluster.secret");
        if secret.as_ref().is_some_and(|secret| secret.expose().len() < 16) {
            fields.mistake("cluster.secret", "must have at least 16 characters");
        }
        let seeds: Option<Vec<String>> = fields.required("cluster.seeds");
        if seeds.as_ref().is_some_and(Vec::is_empty) {
            fields.mistake("cluster.seeds", "must name at least one shard-node");
        }
        for seed in seeds.iter().flatten().filter(|seed| !is_host_and_port(seed)) {
            fields.mistake("cluster.seeds", format!("must be host:port each, has {seed:?}"));
        }
        Some(Self { secret: secret?, seeds: seeds? })
    }
}

fn is_host_and_port(address: &str) -> bool {
    let parts = address.rsplit_once(':');
    parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// The section `[rate_limit]`: per user and router.
#[derive(Debug, Clone, Copy)]
pub struct RateLimitConfig {
    /// Requests a second in the long run; `None` for no limit.
    pub requests_per_second: Option<NonZeroU32>,
    /// Requests at once after a pause; as many as a second's where not given.
    pub burst: Option<NonZeroU32>,
}

impl RateLimitConfig {
    fn read(fields: &mut Fields) -> Self {
        Self {
            requests_per_second: NonZeroU32::new(fields.in_range("rate_limit.requests_per_second", 0, 0..=1_000_000)),
            burst: NonZeroU32::new(fields.in_range("rate_limit.burst", 0, 0..=1_000_000)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::config::{ConfigMistakes, Settings};

    fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigMistakes> {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        Settings::load_from(None, "WALLET", variables)?.read(Config::read)
    }

    const ENOUGH: [(&str, &str); 6] = [
        ("WALLET_REGION", "sg"),
        ("WALLET_HTTP__BIND", "127.0.0.1:8080"),
        ("WALLET_ADMIN__BIND", "127.0.0.1:8180"),
        ("WALLET_REDIS__URL", "redis://127.0.0.1:8580/"),
        ("WALLET_CLUSTER__SECRET", "0123456789abcdef"),
        ("WALLET_CLUSTER__SEEDS", "127.0.0.1:8280,node.example:8281"),
    ];

    #[test]
    fn what_is_not_given_has_its_default() {
        let config = read(&ENOUGH).expect("enough");
        assert_eq!(config.sessions.cache_ttl, Duration::from_secs(5));
        assert_eq!(config.rate_limit.requests_per_second, None);
        assert_eq!(config.cluster.seeds, ["127.0.0.1:8280", "node.example:8281"]);
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let mistakes = read(&[
            ("WALLET_REDIS__URL", "nonsense"),
            ("WALLET_CLUSTER__SECRET", "short"),
            ("WALLET_CLUSTER__SEEDS", "nowhere"),
            ("WALLET_SESSIONS__CACHE_TTL_MS", "-1"),
            ("WALLET_SESIONS__X", "1"),
        ]);
        let mistakes = mistakes.expect_err("all wrong").to_string();
        for key in ["region", "http.bind", "admin.bind", "redis.url", "cluster.secret", "cluster.seeds", "sesions.x"] {
            assert!(mistakes.contains(key), "{key} is not in:\n{mistakes}");
        }
        assert!(mistakes.contains("sessions.cache_ttl_ms"), "{mistakes}");
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?}", read(&ENOUGH).expect("enough"));
        assert!(!shown.contains("0123456789abcdef"));
    }
}

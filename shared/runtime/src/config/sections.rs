//! The sections that every process has.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use super::Fields;

/// How one listener serves: where, and the bound on everything a client can make it hold.
#[derive(Debug, Clone)]
pub struct ServeConfig {
    /// The address to listen on; port 0 lets the system choose.
    pub bind: SocketAddr,
    /// Connections open at once; one more is answered 503 and closed. Near to that, idle ones are closed for newcomers.
    pub connections_max: usize,
    /// Requests being answered at once; the service refuses one more (see [`crate::in_flight`]).
    pub in_flight_max: usize,
    /// Bytes of a request's body; the service refuses a longer one (see [`crate::body`]).
    pub body_bytes_max: usize,
    /// Bytes of a request's line and header fields together.
    pub header_bytes_max: usize,
    /// From a request's first byte (or the connection's start) to the end of its head.
    pub header_timeout: Duration,
    /// Without a request on an open connection.
    pub idle_timeout: Duration,
    /// From a request's head to its answer, kept by the service; also for a client to take an answer, or 16 KiB of a long
    /// one. Over HTTP/2 that is measured roughly: it may have up to twice as long.
    pub request_timeout: Duration,
    /// Whether several processes may listen on the address, the kernel sharing out connections.
    pub reuse_port: bool,
}

/// Stands for an address that was not given, while the other keys are read.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

impl ServeConfig {
    /// Reads the section called `section`; only `bind` is required.
    pub fn read(fields: &mut Fields, section: &str) -> Option<Self> {
        let key = |name: &str| format!("{section}.{name}");
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let bind = fields.address(&key("bind"));
        let or = Self::new(bind.unwrap_or(NOWHERE));
        let config = Self {
            bind: or.bind,
            connections_max: fields.in_range(&key("connections_max"), or.connections_max, 1..=1_000_000),
            in_flight_max: fields.in_range(&key("in_flight_max"), or.in_flight_max, 1..=1_000_000),
            body_bytes_max: fields.in_range(&key("body_bytes_max"), or.body_bytes_max, 1024..=67_108_864),
            header_bytes_max: fields.in_range(&key("header_bytes_max"), or.header_bytes_max, 1024..=1_048_576),
            header_timeout: fields.millis(&key("header_timeout_ms"), ms(or.header_timeout), 10..=600_000),
            idle_timeout: fields.millis(&key("idle_timeout_ms"), ms(or.idle_timeout), 10..=3_600_000),
            request_timeout: fields.millis(&key("request_timeout_ms"), ms(or.request_timeout), 10..=600_000),
            reuse_port: fields.optional(&key("reuse_port"), or.reuse_port),
        };
        bind.map(|_| config)
    }

    /// The defaults of every limit, for a listener that is not configured, such as one in a test.
    pub fn new(bind: SocketAddr) -> Self {
        Self {
            bind,
            connections_max: 10_000,
            in_flight_max: 4096,
            body_bytes_max: 65_536,
            header_bytes_max: 16_384,
            header_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(75),
            request_timeout: Duration::from_millis(2_500),
            reuse_port: false,
        }
    }
}

/// The section `[admin]`: where `/healthz`, `/readyz` and `/metrics` are served.
#[derive(Debug, Clone)]
pub struct AdminConfig {
    /// The address to listen on; port 0 lets the system choose.
    pub bind: SocketAddr,
}

impl AdminConfig {
    /// Reads `[admin]`.
    pub fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { bind: fields.address("admin.bind")? })
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text when standard error is a terminal, JSON otherwise.
    Auto,
    /// One JSON object a line.
    Json,
    /// Lines for people.
    Text,
}

/// The section `[log]`.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// How lines look.
    pub format: LogFormat,
    /// What is logged: a level (`info`), or a filter such as `info,router=debug`.
    pub level: String,
}

impl LogConfig {
    /// Reads `[log]`; every key has a default.
    pub fn read(fields: &mut Fields) -> Self {
        let format = fields.optional("log.format", LogFormat::Auto);
        let level: String = fields.optional("log.level", "info".to_owned());
        if let Err(error) = EnvFilter::builder().parse(&level) {
            let wanted = "must be trace, debug, info, warn, error, off or a filter of them";
            fields.mistake("log.level", format!("{wanted}: {error}"));
        }
        Self { format, level }
    }
}

/// The section `[drain]`.
#[derive(Debug, Clone)]
pub struct DrainConfig {
    /// How long requests in flight may take to finish after the signal to stop.
    pub timeout: Duration,
}

impl DrainConfig {
    /// Reads `[drain]`; every key has a default.
    pub fn read(fields: &mut Fields) -> Self {
        Self { timeout: fields.millis("drain.timeout_ms", 10_000, 0..=3_600_000) }
    }
}

/// A text that must not reach a log: `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes the text into hiding.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(hidden)")
    }
}

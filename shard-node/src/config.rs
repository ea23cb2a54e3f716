//! The configuration of a shard-node; every key is in the commented example beside the manifest.

pub use crate::events::EventsConfig;
pub use crate::reconcile::ReconcileConfig;
use placement::{ShardId, Topology};
use runtime::config::{AdminConfig, DrainConfig, Fields, Secret, ServeConfig};
use std::path::PathBuf;
use std::time::Duration;

/// All of it.
#[derive(Debug, Clone)]
pub struct Config {
    /// Which shard this is a node of.
    pub shard: ShardId,
    /// Which of the shard's nodes this is; each needs a number of its own.
    pub replica: u16,
    /// Where routers and other shard-nodes connect.
    pub internal: ServeConfig,
    /// Where operators and Prometheus look.
    pub admin: AdminConfig,
    /// The shard's PostgreSQL.
    pub postgres: PostgresConfig,
    /// What all nodes of the cluster know, and nobody else.
    pub cluster_secret: Secret,
    /// The topology to install where there is none, or an older one.
    pub topology: Option<Topology>,
    /// The writer tasks.
    pub lanes: LanesConfig,
    /// Sending to other shards.
    pub saga: SagaConfig,
    /// Comparing with other shards.
    pub reconcile: ReconcileConfig,
    /// Telling other services of transfers, if they are told.
    pub events: Option<EventsConfig>,
    /// How long an idempotency key is kept after its transfer is terminal.
    pub key_retention: Duration,
    /// Stopping.
    pub drain: DrainConfig,
}

/// `[postgres]`.
#[derive(Debug, Clone)]
pub struct PostgresConfig {
    /// How to connect; several hosts are tried in turn until one accepts writes.
    pub connect: tokio_postgres::Config,
    /// Connections for everything that is not a lane.
    pub pool_size: usize,
}

/// `[lanes]`.
#[derive(Debug, Clone)]
pub struct LanesConfig {
    /// How many.
    pub count: u16,
    /// Commands that may wait in one.
    pub queue_max: usize,
    /// How long a command may wait for its batch: one that would wait for longer is refused.
    pub wait_max: Duration,
    /// Commands in one batch.
    pub batch_max: usize,
    /// How long a lane under load waits for a batch to fill.
    pub linger: Duration,
}

/// `[saga]`.
#[derive(Debug, Clone)]
pub struct SagaConfig {
    /// After this long without a decision, the debit shard asks to void.
    pub void_after: Duration,
    /// The first pause before a message is sent again; it doubles from then on.
    pub retry_min: Duration,
    /// The longest pause.
    pub retry_max: Duration,
    /// How long the node that wrote a message has to deliver it before others may.
    pub lease: Duration,
}

impl Config {
    /// Reads everything; `None` after a mistake.
    pub fn read(fields: &mut Fields) -> Option<Config> {
        let shard = fields.required::<ShardId>("shard");
        let replica = fields.in_range("replica", 0_u16, 0..=999);
        let internal = ServeConfig::read(fields, "internal");
        let admin = AdminConfig::read(fields);
        let postgres = PostgresConfig::read(fields);
        let cluster_secret = read_secret(fields);
        let topology = read_topology(fields);
        let lanes = LanesConfig {
            count: fields.in_range("lanes.count", 2, 1..=16),
            queue_max: fields.in_range("lanes.queue_max", 8_192, 1..=1_000_000),
            wait_max: fields.millis("lanes.wait_max_ms", 250, 1..=60_000),
            batch_max: fields.in_range("lanes.batch_max", 512, 1..=ledger::BATCH_COMMANDS_MAX),
            linger: Duration::from_micros(fields.in_range("lanes.linger_us", 1_000, 0..=100_000)),
        };
        let saga = SagaConfig {
            void_after: Duration::from_secs(fields.in_range("saga.void_after_seconds", 3_600, 1..=31_536_000)),
            retry_min: fields.millis("saga.retry_min_ms", 200, 10..=60_000),
            retry_max: fields.millis("saga.retry_max_ms", 10_000, 10..=3_600_000),
            lease: fields.millis("saga.lease_ms", 3_000, 100..=600_000),
        };
        let reconcile = ReconcileConfig::read(fields);
        let events = EventsConfig::read(fields);
        let days = fields.in_range("idempotency.retention_days", 35_u64, 30..=3_650);
        let drain = DrainConfig::read(fields);
        Some(Config {
            shard: shard?,
            replica,
            internal: internal?,
            admin: admin?,
            postgres: postgres?,
            cluster_secret: cluster_secret?,
            topology: topology?,
            lanes,
            saga,
            reconcile,
            events,
            key_retention: Duration::from_secs(days * 86_400),
            drain,
        })
    }
}

impl PostgresConfig {
    fn read(fields: &mut Fields) -> Option<Self> {
        let url = fields.required::<Secret>("postgres.url");
        let pool_size = fields.in_range("postgres.pool_size", 4, 1..=1_000);
        match url?.expose().parse::<tokio_postgres::Config>() {
            Ok(mut connect) => {
                connect.application_name("shard-node");
                connect.target_session_attrs(tokio_postgres::config::TargetSessionAttrs::ReadWrite);
                connect.connect_timeout(Duration::from_secs(2));
                connect.tcp_user_timeout(Duration::from_secs(10));
                connect.keepalives_idle(Duration::from_secs(5));
                Some(PostgresConfig { connect, pool_size })
            }
            Err(error) => {
                fields.mistake("postgres.url", format!("must be a PostgreSQL connection string: {error}"));
                None
            }
        }
    }
}

fn read_secret(fields: &mut Fields) -> Option<Secret> {
    let secret = fields.required::<Secret>("cluster.secret")?;
    if secret.expose().len() < 16 {
        fields.mistake("cluster.secret", "must be at least 16 characters long");
        return None;
    }
    Some(secret)
}

/// `Some(None)`: no file is named, which is fine once the database has a topology.
fn read_topology(fields: &mut Fields) -> Option<Option<Topology>> {
    let Some(path) = fields.maybe::<PathBuf>("topology.file") else {
        return Some(None);
    };
    let read = std::fs::read_to_string(&path).map_err(|error| error.to_string());
    let parsed = read.and_then(|text| serde_json::from_str::<Topology>(&text).map_err(|error| error.to_string()));
    match parsed {
        Ok(topology) => {
            let mistakes = topology.mistakes();
            for mistake in &mistakes {
                fields.mistake("topology.file", format!("{}: {mistake}", path.display()));
            }
            mistakes.is_empty().then_some(Some(topology))
        }
        Err(error) => {
            fields.mistake("topology.file", format!("{}: {error}", path.display()));
            None
        }
    }
}

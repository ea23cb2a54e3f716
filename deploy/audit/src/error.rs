//! Why an audit could not be made. A broken invariant is no error: it stands in the report.

use placement::ShardId;

/// The audit could not be finished; nothing is known of the invariants then.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// A shard's PostgreSQL cannot be reached: ask again when it can.
    #[error("cannot connect to the PostgreSQL of shard {shard}")]
    Connect {
        /// The shard.
        shard: ShardId,
        /// The cause.
        #[source]
        source: tokio_postgres::Error,
    },
    /// A question to a shard's PostgreSQL failed: the connection broke, or the role may not read.
    #[error("shard {shard} cannot be asked for {what}")]
    Query {
        /// The shard.
        shard: ShardId,
        /// What was asked for.
        what: &'static str,
        /// The cause.
        #[source]
        source: tokio_postgres::Error,
    },
    /// The database is not, or not yet, the one of this shard.
    #[error("this is not the database of shard {shard}: {found}")]
    WrongDatabase {
        /// The shard that was looked for.
        shard: ShardId,
        /// What was found.
        found: String,
    },
    /// A stored value cannot be understood: written by a newer version, or damage.
    #[error("shard {shard} has {what}, which cannot be understood")]
    Unreadable {
        /// The shard.
        shard: ShardId,
        /// The value.
        what: String,
    },
    /// The Redis of a shard's region cannot be read: ask again when it can.
    #[error("the events of shard {shard} cannot be read")]
    Redis {
        /// The shard.
        shard: ShardId,
        /// The cause.
        #[source]
        source: redis::RedisError,
    },
    /// There is nothing to audit.
    #[error("no shards were given")]
    NoShards,
    /// A shard was given twice, or the topology does not have it.
    #[error("shard {0} is given twice, or is not in the topology")]
    Superfluous(ShardId),
    /// Transfers between shards can be proved only if all shards can be read.
    #[error("the topology has shard {0}, and no database was given for it")]
    Missing(ShardId),
}

impl AuditError {
    /// For `map_err`: a question that failed.
    pub(crate) fn asking(shard: ShardId, what: &'static str) -> impl FnOnce(tokio_postgres::Error) -> AuditError {
        move |source| AuditError::Query { shard, what, source }
    }

    /// A value that stands for nothing.
    pub(crate) fn unreadable(shard: ShardId, what: impl std::fmt::Display) -> AuditError {
        AuditError::Unreadable { shard, what: what.to_string() }
    }
}

//! Where a shard's data is.

use placement::ShardId;
use tokio_postgres::{Client, Config, NoTls};

use crate::AuditError;

/// A shard and its PostgreSQL. A standby serves as well as the primary.
#[derive(Debug, Clone)]
pub struct ShardTarget {
    /// The shard that is expected there.
    pub shard: ShardId,
    /// How to connect. The role needs to read the wallet's tables, nothing else.
    pub postgres: Config,
}

/// For long scans: nobody waits for a plan to be compiled, and a server's usual limit on statements is not meant.
const SESSION: &str = "SET default_transaction_read_only = on; SET jit = off; SET statement_timeout = 0; \
     SET idle_in_transaction_session_timeout = 0; SET timezone = 'UTC'";

/// Connects, to read only. The connection is driven in the background until the client is dropped.
///
/// # Errors
/// [`AuditError::Connect`].
pub async fn connect(target: &ShardTarget) -> Result<Client, AuditError> {
    let failed = |source| AuditError::Connect { shard: target.shard, source };
    let mut config = target.postgres.clone();
    config.application_name("walletctl");
    let (client, connection) = config.connect(NoTls).await.map_err(failed)?;
    // A connection that breaks fails the next question; there is nobody else to tell.
    tokio::spawn(async move { drop(connection.await) });
    client.batch_execute(SESSION).await.map_err(failed)?;
    Ok(client)
}

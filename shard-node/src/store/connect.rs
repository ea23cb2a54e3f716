//! Connections.

use crate::config::PostgresConfig;
use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, RecyclingMethod, Runtime, Timeouts};
use std::time::Duration;
use tokio_postgres::{Client, Error, NoTls};

/// The connections for everything that is not a lane.
pub type Pool = deadpool_postgres::Pool;

/// Every query of the service finds its rows by key, so a plan that reads or hashes a whole table is
/// always wrong, however little the planner knows of a young table. Durability is never left to defaults.
const SESSION: &str = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
     SET synchronous_commit = on; SET jit = off; SET lock_timeout = '5s'; \
     SET idle_in_transaction_session_timeout = '30s'; SET timezone = 'UTC'";

/// A commit of a new connection's own: what a crash left visible may not have reached the synchronous standby, and
/// this commit waits until it has. Nothing is answered over the connection before.
pub(super) const BARRIER: &str = "UPDATE fence SET barrier_at = clock_timestamp()";

/// One connection, driven in the background until it breaks or the client is dropped.
///
/// # Errors
/// The server cannot be reached, refuses, or takes no writes.
pub async fn connect(config: &tokio_postgres::Config) -> Result<Client, Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!(%error, "a PostgreSQL connection broke");
        }
    });
    client.batch_execute(SESSION).await?;
    Ok(client)
}

/// A pool that waits for a free connection for at most two seconds.
///
/// # Errors
/// Only a pool without a runtime can fail to be built.
pub fn pool(config: &PostgresConfig) -> Result<Pool, deadpool_postgres::BuildError> {
    let manager =
        Manager::from_config(config.connect.clone(), NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
    let patience = Some(Duration::from_secs(2));
    let prepare_session = Hook::async_fn(|client: &mut deadpool_postgres::ClientWrapper, _| {
        Box::pin(async move {
            client.batch_execute(SESSION).await.map_err(HookError::Backend)?;
            client.batch_execute(BARRIER).await.map_err(HookError::Backend)
        })
    });
    Pool::builder(manager)
        .max_size(config.pool_size)
        .timeouts(Timeouts { wait: patience, create: patience, recycle: patience })
        .post_create(prepare_session)
        .runtime(Runtime::Tokio1)
        .build()
}

//! Which databases are written to: a lane that takes commands shows it to all other processes over the same database, by a
//! lock that ends with its connection, and so with the server.

use super::reading::ReadError;
use tokio_postgres::{Client, Error};

/// Shared, and nobody ever takes it alone: this waits for nothing.
pub(super) const SHOW: &str = "SELECT pg_advisory_lock_shared($1)";
/// Looked up among all locks, for trying to take it would look like a lane to others who ask at that moment.
pub(super) const IS_SHOWN: &str = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' \
     AND (classid, objid, objsubid) = (0, $1::bigint::oid, 1) \
     AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))";

/// Any number that no other advisory lock of the schema uses.
const ADMITTED_LOCK: i64 = 10;

/// From now on, and as long as the connection lasts, it takes commands.
pub(super) async fn show(client: &Client) -> Result<(), Error> {
    client.query_one(SHOW, &[&ADMITTED_LOCK]).await.map(drop)
}

/// Whether any lane of any process takes commands over this very database.
///
/// # Errors
/// The database cannot be read.
pub async fn is_shown(client: &deadpool_postgres::Client) -> Result<bool, ReadError> {
    let statement = client.prepare_cached(IS_SHOWN).await?;
    Ok(client.query_one(&statement, &[&ADMITTED_LOCK]).await?.get(0))
}

//! The schema of a shard's PostgreSQL, embedded in whoever needs it.
//!
//! Changes follow expand, then contract: version N of a shard-node must run on the schema of N and N+1.

mod embedded {
    #![allow(missing_docs)]
    refinery::embed_migrations!("sql");
}

/// The migrations could not be run.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The database could not be asked.
    #[error("the database refused to be locked for migration")]
    Lock(#[source] tokio_postgres::Error),
    /// A migration failed, or the database is of a newer version.
    #[error("a migration failed")]
    Run(#[source] Box<refinery::Error>),
}

/// Any number that no other advisory lock of the schema uses.
const MIGRATION_LOCK: i64 = 0x77_61_6c_6c_65_74;

/// Brings the database to the newest version. Replicas that start at once take turns.
///
/// # Errors
/// [`MigrationError`]; nothing is half done: each migration is one transaction.
pub async fn run(client: &mut tokio_postgres::Client) -> Result<(), MigrationError> {
    run_to(client, refinery::Target::Latest).await
}

/// Brings an empty database to an earlier version, as a wallet of then has left it: to try an upgrade.
///
/// # Errors
/// [`MigrationError`].
pub async fn run_until(client: &mut tokio_postgres::Client, version: i32) -> Result<(), MigrationError> {
    run_to(client, refinery::Target::Version(version)).await
}

async fn run_to(client: &mut tokio_postgres::Client, target: refinery::Target) -> Result<(), MigrationError> {
    client.execute("SELECT pg_advisory_lock($1)", &[&MIGRATION_LOCK]).await.map_err(MigrationError::Lock)?;
    let ran = embedded::migrations::runner().set_target(target).run_async(client).await;
    client.execute("SELECT pg_advisory_unlock($1)", &[&MIGRATION_LOCK]).await.map_err(MigrationError::Lock)?;
    ran.map(drop).map_err(|error| MigrationError::Run(Box::new(error)))
}

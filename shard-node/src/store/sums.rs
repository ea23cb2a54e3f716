//! Sums for the metrics, cheap enough to be taken every few seconds.

use super::reading::ReadError;
use tokio_postgres::Row;

/// Open sagas by the region of the credit account (bits 52..47 of its id). What a client holds is no saga yet.
pub(super) const OPEN_SAGAS: &str = "SELECT (credit_account >> 47)::integer, count(*), \
     extract(epoch FROM now() - min(coalesce(committed_at, created_at)))::float8 \
     FROM outbox JOIN reservations USING (transfer_id) GROUP BY 1";
pub(super) const CLEARING: &str = "SELECT peer, currency, sum(total)::float8 FROM clearing GROUP BY 1, 2";

/// Open sagas towards one region.
#[derive(Debug, Clone, Copy)]
pub struct OpenSagas {
    /// The region's code.
    pub region: i32,
    /// How many.
    pub count: i64,
    /// How long ago the oldest began, by PostgreSQL's clock, which has stamped it.
    pub oldest_seconds: f64,
}

/// Open sagas by region.
pub async fn open_sagas(client: &deadpool_postgres::Client) -> Result<Vec<OpenSagas>, ReadError> {
    let statement = client.prepare_cached(OPEN_SAGAS).await?;
    let rows = client.query(&statement, &[]).await?;
    // A clock that was set back makes no age.
    let age = |row: &Row| row.get::<_, f64>(2).max(0.0);
    let sums = rows.iter().map(|row| OpenSagas { region: row.get(0), count: row.get(1), oldest_seconds: age(row) });
    Ok(sums.collect())
}

/// Clearing totals by peer and currency.
pub async fn clearing(client: &deadpool_postgres::Client) -> Result<Vec<(i32, String, f64)>, ReadError> {
    let statement = client.prepare_cached(CLEARING).await?;
    let rows = client.query(&statement, &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect())
}

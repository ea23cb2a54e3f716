//! Which two-step transfers are due to expire.

use super::load;
use super::reading::ReadError;
use ledger::ExpireTransfer;
use std::time::Duration;

/// State 2 is `Held`, written out for the partial index. Oldest first.
pub(super) const DUE: &str = "SELECT transfer_id, debit_account, extract(epoch FROM now() - expires_at)::float8 \
     FROM reservations WHERE state = 2 AND expires_at <= now() ORDER BY expires_at LIMIT $1";

/// What is due.
#[derive(Debug, Clone)]
pub struct Due {
    /// Oldest first.
    pub reservations: Vec<ExpireTransfer>,
    /// Since when the oldest is due; zero if none is.
    pub lag: Duration,
}

/// Up to `count` held reservations whose due time has passed by PostgreSQL's clock.
pub async fn due(client: &deadpool_postgres::Client, count: i64) -> Result<Due, ReadError> {
    let statement = DUE;
    #[cfg(feature = "faults")]
    let statement = crate::faults::due(statement);
    let statement = client.prepare_cached(statement).await?;
    let rows = client.query(&statement, &[&count]).await?;
    let lag = rows.first().map_or(0.0, |row| row.get::<_, f64>(2));
    let read = |row: &tokio_postgres::Row| {
        Ok::<_, super::Unreadable>(ExpireTransfer {
            transfer_id: load::transfer_id(row.get(0))?,
            debit_account_id: load::account_id(row.get(1))?,
        })
    };
    // One that cannot be read must not keep the others from expiring.
    let readable = rows.iter().map(read).filter_map(|row| row.inspect_err(complain).ok());
    let reservations = readable.collect();
    Ok(Due { reservations, lag: Duration::try_from_secs_f64(lag).unwrap_or_default() })
}

fn complain(error: &super::Unreadable) {
    tracing::error!(error = error as &dyn std::error::Error, "a reservation that is due cannot be read");
}

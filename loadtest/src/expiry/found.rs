//! What the shard's database says afterwards.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use tokio::time::{Instant, sleep};
use tokio_postgres::{Client, NoTls};

/// How long the last ones may take.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// State 3 is "released". Nobody has released or committed anything, so what ended has expired.
const EXPIRED: &str = "SELECT count(*), \
     extract(epoch FROM percentile_disc(0.5) WITHIN GROUP (ORDER BY decided_at - expires_at))::float8, \
     extract(epoch FROM percentile_disc(0.99) WITHIN GROUP (ORDER BY decided_at - expires_at))::float8, \
     extract(epoch FROM max(decided_at - expires_at))::float8, \
     extract(epoch FROM max(decided_at) - min(decided_at))::float8 \
     FROM transfers WHERE state = 3 AND expires_at IS NOT NULL";

const LEFT: &str =
    "SELECT (SELECT count(*) FROM reservations), (SELECT coalesce(sum(reserved), 0)::bigint FROM accounts)";

/// What became of the reservations.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found {
    /// Expired.
    pub expired: i64,
    /// Not ended.
    pub left: i64,
    /// Of all accounts.
    pub reserved: i64,
    /// How long after its due time one expired: the median, 99 of 100, all; in seconds.
    pub late_p50: f64,
    #[allow(missing_docs)]
    pub late_p99: f64,
    #[allow(missing_docs)]
    pub late_max: f64,
    /// From the first expiry to the last one, in seconds.
    pub seconds: f64,
}

/// Waits until nothing is reserved any more, and reads what has become of everything.
///
/// # Errors
/// The database cannot be read, or nothing has expired.
pub async fn when_all_are_over(url: &str) -> Result<Found> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.context("the shard's database")?;
    // It ends with its client.
    let driving = tokio::spawn(connection);
    let give_up = Instant::now() + PATIENCE;
    while left(&client).await?.0 > 0 && Instant::now() < give_up {
        sleep(LOOK_AGAIN).await;
    }
    let found = read(&client).await;
    drop(client);
    driving.await??;
    found
}

async fn left(client: &Client) -> Result<(i64, i64)> {
    let row = client.query_one(LEFT, &[]).await?;
    Ok((row.get(0), row.get(1)))
}

async fn read(client: &Client) -> Result<Found> {
    let (left, reserved) = left(client).await?;
    let row = client.query_one(EXPIRED, &[]).await?;
    let seconds = |column| row.try_get::<_, f64>(column).context("nothing has expired");
    Ok(Found {
        expired: row.get(0),
        left,
        reserved,
        late_p50: seconds(1)?,
        late_p99: seconds(2)?,
        late_max: seconds(3)?,
        seconds: seconds(4)?,
    })
}

//! What a server must do so that what it has committed is there, and is what was written.

use tokio_postgres::{Client, Error};

/// Without these an acknowledged commit may be lost, or a damaged page be read as if it were right.
const NEEDED: [&str; 4] = ["data_checksums", "fsync", "full_page_writes", "synchronous_commit"];
const OFF: &str = "SELECT name FROM pg_settings WHERE name = ANY($1) AND setting = 'off' ORDER BY name";

/// Which of them are off. To turn them on is up to whoever runs the server; `data_checksums` is turned on by `initdb
/// --data-checksums`, or by `pg_checksums --enable` while the server is stopped.
///
/// # Errors
/// The server cannot be asked.
pub async fn off(client: &Client) -> Result<Vec<String>, Error> {
    let rows = client.query(OFF, &[&NEEDED.as_slice()]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

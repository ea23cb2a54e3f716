//! One partition a month of `transfers` and `inbox`, made well ahead.

use jiff::civil::Date;
use jiff::{ToSpan, tz::TimeZone};
use placement::TransferId;
use std::ops::RangeInclusive;
use tokio_postgres::{Client, Error};

/// The tables that are cut by the month of a transfer's id.
const TABLES: [&str; 2] = ["transfers", "inbox"];
/// Any number that no other advisory lock of the schema uses.
const PARTITION_LOCK: i64 = 2;
/// From the month before this one, for sagas that began there, to three months ahead.
pub const USUAL_MONTHS: RangeInclusive<i32> = -1..=3;

/// Makes the partitions that are missing, by distance in months from the time (milliseconds since the epoch).
/// A new table is filled with nothing and then attached, which unlike creating it as a partition does not stop
/// the writers. It has a trigger of its own for the fence, since those of the parent do not see what is written to it
/// directly.
///
/// # Errors
/// PostgreSQL's; what was made before stays.
pub async fn ensure(client: &mut Client, unix_ms: u64, months: RangeInclusive<i32>) -> Result<(), Error> {
    let Some(this_month) = month_of(unix_ms) else { return Ok(()) };
    let transaction = client.transaction().await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&PARTITION_LOCK]).await?;
    for table in TABLES {
        for distance in months.clone() {
            let Ok(month) = this_month.checked_add(distance.months()) else { continue };
            let name = name_of(table, month);
            if transaction.query_one("SELECT to_regclass($1) IS NULL", &[&name]).await?.get(0) {
                transaction.batch_execute(&create(table, &name, month)).await?;
            }
        }
    }
    transaction.commit().await
}

/// The name of a table's partition, by distance in months from the time (milliseconds since the epoch). Names are in
/// the order of the months. `None`: the calendar has no such month.
pub fn name(table: &str, unix_ms: u64, distance: i32) -> Option<String> {
    month_of(unix_ms)?.checked_add(distance.months()).ok().map(|month| name_of(table, month))
}

fn name_of(table: &str, month: Date) -> String {
    format!("{table}_{:04}_{:02}", month.year(), month.month())
}

fn create(table: &str, name: &str, month: Date) -> String {
    let next = month.saturating_add(1.month());
    let (from, to) = (TransferId::lower_bound(start_ms(month)), TransferId::lower_bound(start_ms(next)));
    format!(
        "CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS); \
         CREATE TRIGGER fenced BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {name} \
         FOR EACH STATEMENT EXECUTE FUNCTION require_fence(); \
         ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{from}') TO ('{to}')"
    )
}

fn month_of(unix_ms: u64) -> Option<Date> {
    let time = jiff::Timestamp::from_millisecond(i64::try_from(unix_ms).ok()?).ok()?;
    Some(time.to_zoned(TimeZone::UTC).date().first_of_month())
}

fn start_ms(month: Date) -> u64 {
    let midnight = month.to_zoned(TimeZone::UTC).map(|start| start.timestamp().as_millisecond());
    midnight.ok().and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0)
}

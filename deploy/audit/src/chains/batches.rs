//! Reading `batches`.

use ::chain::{Batch, BatchHash, Changes, FORMAT};
use tokio_postgres::{Error, Row};

use super::pages::Pages;
use super::rows::Micros;
use super::{Meter, Table};
use crate::AuditError;
use crate::snapshot::Snapshot;

const BATCHES: &str = "SELECT writer, number, decided_at, format, hash, transfers, inbox, keys, accounts, \
     accounts_replaced, reservations, reservations_replaced FROM batches ORDER BY writer, number";

/// Batches read at a time; one has half a thousand rows at most.
pub(super) const PAGE: i32 = 100;

/// A row of `batches`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored<'a> {
    pub batch: Batch<'a>,
    /// Of 32 bytes, unless it was changed.
    pub hash: &'a [u8],
}

impl<'a> Stored<'a> {
    fn read(row: &'a Row) -> Result<Self, Error> {
        let batch = Batch {
            writer: row.try_get(0)?,
            number: row.try_get(1)?,
            decided_at: row.try_get::<_, Micros>(2)?.0,
            format: row.try_get(3)?,
            transfers: row.try_get(5)?,
            inbox: row.try_get(6)?,
            keys: row.try_get(7)?,
            accounts: Changes { written: row.try_get(8)?, replaced: row.try_get(9)? },
            reservations: Changes { written: row.try_get(10)?, replaced: row.try_get(11)? },
        };
        Ok(Stored { batch, hash: row.try_get(4)? })
    }

    /// The rows of the table that it wrote, and those that it replaced.
    pub fn changes(&self, table: Table) -> Changes<'a> {
        let written = match table {
            Table::Transfers => self.batch.transfers,
            Table::Inbox => self.batch.inbox,
            Table::Keys => self.batch.keys,
            Table::Accounts => return self.batch.accounts,
            Table::Reservations => return self.batch.reservations,
        };
        Changes { written, replaced: &[] }
    }

    /// Whether it has this hash.
    pub fn has(&self, hash: &BatchHash) -> bool {
        self.hash == hash
    }

    /// Whether its rows' digests are made by rules that this version does not know.
    pub fn is_of_a_newer_version(&self) -> bool {
        self.batch.format > FORMAT
    }
}

/// Reads all batches, chain after chain.
pub(super) async fn read(
    snapshot: &Snapshot<'_>,
    meter: &Meter<'_>,
    mut each: impl FnMut(Stored<'_>) -> Result<(), AuditError>,
) -> Result<(), AuditError> {
    let mut pages = Pages::of(BATCHES, "its batches", PAGE, snapshot, meter).await?;
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            return Ok(());
        }
        for row in &page {
            each(Stored::read(row).map_err(pages.failed())?)?;
        }
    }
}

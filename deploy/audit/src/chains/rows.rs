//! Reading the rows that are written once, as the chain sees them.

use std::error::Error as StdError;

use ::chain::{InboxRow, Listed, TransferRow};
use jiff::Timestamp;
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use super::{Meter, Table};
use crate::AuditError;
use crate::snapshot::Snapshot;

const TRANSFERS: &str = "SELECT id, debit_account, credit_account, amount, debit_entry, debit_balance, credit_entry, \
     credit_balance, decided_at, created_at, debit_slot, credit_slot, kind, state, reason, currency, message, reference, \
     remote_user, amount_reserved, expires_at FROM transfers";
const INBOX: &str = "SELECT transfer_id, slot, debit_shard, decision, reason, credit_user, decided_at FROM inbox";

/// Rows read at a time.
const PAGE: i32 = 1_000;

/// Microseconds since the Unix epoch. `infinity` and what lies beyond 64 bits is at the ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Micros(pub i64);

/// PostgreSQL counts from the year 2000.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

impl<'a> FromSql<'a> for Micros {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        let micros = i64::from_be_bytes(raw.try_into()?);
        Ok(Micros(micros.saturating_add(POSTGRES_EPOCH_MICROS)))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }
}

/// A row that is there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Present {
    /// How a batch would list it.
    pub listed: Listed,
    decided_at: Micros,
}

impl Present {
    /// Whether it may stand in no batch.
    pub fn is_before(&self, since: Option<Timestamp>) -> bool {
        since.is_some_and(|since| self.decided_at.0 < since.as_microsecond())
    }

    fn read(table: Table, row: &Row) -> Result<Present, Error> {
        match table {
            Table::Transfers => transfer(row),
            Table::Inbox => decision(row),
        }
    }
}

fn transfer(row: &Row) -> Result<Present, Error> {
    let micros = |column: usize| row.try_get::<_, Option<Micros>>(column).map(|time| time.map(|Micros(time)| time));
    let decided_at = row.try_get::<_, Micros>(8)?;
    let stored = TransferRow {
        id: row.try_get::<_, Uuid>(0)?.as_u128(),
        debit_account: row.try_get(1)?,
        credit_account: row.try_get(2)?,
        amount: row.try_get(3)?,
        debit_entry: row.try_get(4)?,
        debit_balance: row.try_get(5)?,
        credit_entry: row.try_get(6)?,
        credit_balance: row.try_get(7)?,
        decided_at: decided_at.0,
        created_at: micros(9)?,
        debit_slot: row.try_get(10)?,
        credit_slot: row.try_get(11)?,
        kind: row.try_get(12)?,
        state: row.try_get(13)?,
        reason: row.try_get(14)?,
        currency: row.try_get(15)?,
        message: row.try_get(16)?,
        reference: row.try_get(17)?,
        remote_user: row.try_get(18)?,
        amount_reserved: row.try_get(19)?,
        expires_at: micros(20)?,
    };
    Ok(Present { listed: Listed { id: stored.id, digest: stored.digest() }, decided_at })
}

fn decision(row: &Row) -> Result<Present, Error> {
    let decided_at = row.try_get::<_, Micros>(6)?;
    let stored = InboxRow {
        transfer_id: row.try_get::<_, Uuid>(0)?.as_u128(),
        slot: row.try_get(1)?,
        debit_shard: row.try_get(2)?,
        decision: row.try_get(3)?,
        reason: row.try_get(4)?,
        credit_user: row.try_get(5)?,
        decided_at: decided_at.0,
    };
    Ok(Present { listed: Listed { id: stored.transfer_id, digest: stored.digest() }, decided_at })
}

/// Reads all rows of the table, in whatever order they lie.
pub(super) async fn read(
    snapshot: &Snapshot<'_>,
    table: Table,
    meter: &Meter<'_>,
    mut each: impl FnMut(Present),
) -> Result<(), AuditError> {
    let (sql, what) = match table {
        Table::Transfers => (TRANSFERS, "its transfers"),
        Table::Inbox => (INBOX, "its inbox"),
    };
    let failed = || AuditError::asking(snapshot.shard, what);
    let portal = snapshot.transaction.bind(sql, &[]).await.map_err(failed())?;
    loop {
        let page = snapshot.transaction.query_portal(&portal, PAGE).await.map_err(failed())?;
        if page.is_empty() {
            return Ok(());
        }
        for row in &page {
            each(Present::read(table, row).map_err(failed())?);
        }
        meter.read(page.len());
    }
}

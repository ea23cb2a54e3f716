//! Reading the rows that stand in batches, as the chain sees them.

use std::error::Error as StdError;

use ::chain::{AccountRow, InboxRow, KeyRow, Listed, ReservationRow, TransferRow};
use jiff::Timestamp;
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use super::pages::Pages;
use super::{Meter, Table};
use crate::AuditError;
use crate::snapshot::Snapshot;

const TRANSFERS: &str = "SELECT id, debit_account, credit_account, amount, debit_entry, debit_balance, credit_entry, \
     credit_balance, decided_at, created_at, debit_slot, credit_slot, kind, state, reason, currency, message, reference, \
     remote_user, amount_reserved, expires_at FROM transfers";
const INBOX: &str = "SELECT transfer_id, slot, debit_shard, decision, reason, credit_user, decided_at FROM inbox";
/// In the order of the batches that wrote them, by an index.
const KEYS: &str = "SELECT slot, key_hash, fingerprint, transfer_id, account_id, rejection, recorded_at \
     FROM idempotency ORDER BY recorded_at";
const ACCOUNTS: &str = "SELECT id, slot, user_id, name, currency, status, created_at FROM accounts";
const RESERVATIONS: &str = "SELECT transfer_id, slot, state, debit_account, debit_user, credit_account, amount, currency, \
     message, reference, created_at, amount_reserved, expires_at, committed_at FROM reservations";

/// Rows read at a time.
const PAGE: i32 = 1_000;

/// Microseconds since the Unix epoch. `infinity` and what lies beyond 64 bits is at the ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Micros(pub i64);

/// PostgreSQL counts from the year 2000.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

impl Micros {
    /// As a time of the calendar, at whose ends it is cut off.
    pub fn time(self) -> Timestamp {
        let end = if self.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Timestamp::from_microsecond(self.0).unwrap_or(end)
    }
}

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
    /// When the batch was that made it.
    pub made_at: Micros,
}

impl Present {
    /// Whether it may stand in no batch.
    pub fn is_before(&self, since: Option<Timestamp>) -> bool {
        since.is_some_and(|since| self.made_at.0 < since.as_microsecond())
    }

    pub fn read(table: Table, row: &Row) -> Result<Present, Error> {
        match table {
            Table::Transfers => transfer(row),
            Table::Inbox => decision(row),
            Table::Keys => key(row),
            Table::Accounts => account(row),
            Table::Reservations => reservation(row),
        }
    }
}

fn micros(row: &Row, column: usize) -> Result<Option<i64>, Error> {
    row.try_get::<_, Option<Micros>>(column).map(|time| time.map(|Micros(time)| time))
}

fn transfer(row: &Row) -> Result<Present, Error> {
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
        created_at: micros(row, 9)?,
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
        expires_at: micros(row, 20)?,
    };
    Ok(Present { listed: Listed { id: stored.id, digest: stored.digest() }, made_at: decided_at })
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
    Ok(Present { listed: Listed { id: stored.transfer_id, digest: stored.digest() }, made_at: decided_at })
}

fn key(row: &Row) -> Result<Present, Error> {
    let made_at = row.try_get::<_, Micros>(6)?;
    let stored = KeyRow {
        slot: row.try_get(0)?,
        key_hash: row.try_get::<_, Uuid>(1)?.as_u128(),
        fingerprint: row.try_get::<_, Uuid>(2)?.as_u128(),
        transfer_id: row.try_get::<_, Option<Uuid>>(3)?.map(|id| id.as_u128()),
        account_id: row.try_get(4)?,
        rejection: row.try_get(5)?,
        recorded_at: made_at.0,
    };
    Ok(Present { listed: Listed { id: stored.key_hash, digest: stored.digest() }, made_at })
}

fn account(row: &Row) -> Result<Present, Error> {
    let made_at = row.try_get::<_, Micros>(6)?;
    let stored = AccountRow {
        id: row.try_get(0)?,
        slot: row.try_get(1)?,
        user_id: row.try_get(2)?,
        name: row.try_get(3)?,
        currency: row.try_get(4)?,
        status: row.try_get(5)?,
        created_at: made_at.0,
    };
    Ok(Present { listed: Listed { id: stored.listed_id(), digest: stored.digest() }, made_at })
}

fn reservation(row: &Row) -> Result<Present, Error> {
    let made_at = row.try_get::<_, Micros>(10)?;
    let stored = ReservationRow {
        transfer_id: row.try_get::<_, Uuid>(0)?.as_u128(),
        slot: row.try_get(1)?,
        is_held: row.try_get::<_, i16>(2)? == ReservationRow::HELD,
        debit_account: row.try_get(3)?,
        debit_user: row.try_get(4)?,
        credit_account: row.try_get(5)?,
        amount: row.try_get(6)?,
        currency: row.try_get(7)?,
        message: row.try_get(8)?,
        reference: row.try_get(9)?,
        created_at: made_at.0,
        amount_reserved: row.try_get(11)?,
        expires_at: micros(row, 12)?,
        committed_at: micros(row, 13)?,
    };
    Ok(Present { listed: Listed { id: stored.transfer_id, digest: stored.digest() }, made_at })
}

/// All rows of the table.
pub(super) async fn pages<'a, 'c>(
    snapshot: &'a Snapshot<'c>,
    table: Table,
    meter: &'a Meter<'a>,
) -> Result<Pages<'a, 'c>, AuditError> {
    let (sql, what) = match table {
        Table::Transfers => (TRANSFERS, "its transfers"),
        Table::Inbox => (INBOX, "its inbox"),
        Table::Keys => (KEYS, "its keys"),
        Table::Accounts => (ACCOUNTS, "its accounts"),
        Table::Reservations => (RESERVATIONS, "its reservations"),
    };
    Pages::of(sql, what, PAGE, snapshot, meter).await
}

/// Reads all rows of the table, in whatever order they lie.
pub(super) async fn read(
    snapshot: &Snapshot<'_>,
    table: Table,
    meter: &Meter<'_>,
    mut each: impl FnMut(Present),
) -> Result<(), AuditError> {
    let mut pages = pages(snapshot, table, meter).await?;
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            return Ok(());
        }
        for row in &page {
            each(Present::read(table, row).map_err(pages.failed())?);
        }
    }
}

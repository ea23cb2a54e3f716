//! What a shard has about transfers that another one asks about.

use std::collections::HashMap;

use placement::ShardId;
use tokio_postgres::{GenericClient, Row};
use uuid::Uuid;

use super::half::Half;
use crate::AuditError;

/// In one statement, and so of one moment: a transfer leaves the reservations as it enters the terminal ones.
const LOOK_UP: &str = "SELECT wanted.id, \
     open.debit_account, open.credit_account, open.amount, open.currency, \
     transfer.debit_account, transfer.credit_account, transfer.amount, transfer.currency, \
     transfer.state, transfer.reason, debit_entry IS NOT NULL, credit_entry IS NOT NULL, \
     inbox.decision, CASE inbox.decision WHEN 2 THEN 16::smallint ELSE inbox.reason END \
     FROM unnest($1::uuid[]) AS wanted (id) \
     LEFT JOIN reservations AS open ON open.transfer_id = wanted.id \
     LEFT JOIN transfers AS transfer ON transfer.id = wanted.id \
     LEFT JOIN inbox ON inbox.transfer_id = wanted.id";

/// Where money goes, and how much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Money {
    pub debit_account: Option<i64>,
    pub credit_account: Option<i64>,
    pub amount: i64,
    pub currency: String,
}

/// The terminal row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Terminal {
    pub money: Money,
    pub is_released: bool,
    pub reason: Option<i16>,
    pub has_debit: bool,
    pub has_credit: bool,
}

/// All that a shard has about one transfer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub open: Option<Money>,
    pub terminal: Option<Terminal>,
    pub decision: Option<Decision>,
}

/// The inbox row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    Credited,
    /// Refused or voided, with the rejection's number.
    Against(Option<i16>),
}

/// What the shard has about the transfers of these halves.
pub(super) async fn look_up(
    client: &impl GenericClient,
    shard: ShardId,
    halves: &[Half],
) -> Result<HashMap<Uuid, Found>, AuditError> {
    let ids: Vec<Uuid> = halves.iter().map(|half| half.id).collect();
    let rows = client.query(LOOK_UP, &[&ids]).await.map_err(AuditError::asking(shard, "the other halves"))?;
    Ok(rows.iter().map(|row| (row.get(0), found(row))).collect())
}

fn found(row: &Row) -> Found {
    let decision = row.get::<_, Option<i16>>(13).map(|decision| match decision {
        0 => Decision::Credited,
        _ => Decision::Against(row.get(14)),
    });
    let terminal = money(row, 5).map(|money| Terminal {
        money,
        is_released: row.get::<_, Option<i16>>(9) == Some(3),
        reason: row.get(10),
        has_debit: row.get(11),
        has_credit: row.get(12),
    });
    Found { open: money(row, 1), terminal, decision }
}

fn money(row: &Row, first: usize) -> Option<Money> {
    Some(Money {
        debit_account: row.get(first),
        credit_account: row.get(first + 1),
        amount: row.get::<_, Option<i64>>(first + 2)?,
        currency: row.get::<_, Option<String>>(first + 3)?,
    })
}

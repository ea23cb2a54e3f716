//! The chain of a lane's committed batches: each names what it wrote for good, and follows from the one before.
//!
//! The batch before is read in the batch's own transaction, never remembered. So it does not matter whether an unknown
//! commit was one; and of two processes that take themselves for the same writer, the slower meets the primary key
//! and runs its batch again.

use super::codes::{self, Unreadable};
use super::fence::Fenced;
use super::save::{self, Stamp};
use super::times::{from_micros, to_micros};
use ::chain::{Batch, BatchHash, FORMAT, GENESIS, InboxRow, Listed, TransferRow, list};
use ledger::{InboxRecord, PostedTransfer, Rejection, Timestamp, UserId, Writes};
use tokio_postgres::{Error, Row, Statement};

pub(super) const HEAD: &str = "SELECT number, hash FROM batches WHERE writer = $1 ORDER BY number DESC LIMIT 1";
pub(super) const LINK: &str = "INSERT INTO batches (writer, number, decided_at, format, hash, transfers, inbox) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)";

/// The last batch of a writer's chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    number: i64,
    hash: BatchHash,
}

impl Head {
    /// The number of the last batch; 0 if there is none.
    pub(super) fn number(&self) -> i64 {
        self.number
    }
}

/// From the rows of [`HEAD`].
pub(super) fn head(rows: &[Row]) -> Result<Head, Unreadable> {
    let Some(row) = rows.first() else { return Ok(Head { number: 0, hash: GENESIS }) };
    let hash = row.get::<_, &[u8]>(1).try_into().map_err(Unreadable::because)?;
    Ok(Head { number: row.get(0), hash })
}

/// Adds the batch to the chain, if it writes anything for good; its number, if so.
pub(super) async fn link(
    fenced: Fenced<'_>,
    statement: &Statement,
    writes: &Writes,
    head: Head,
    stamp: Stamp,
) -> Result<Option<i64>, Error> {
    let nothing = writes.transfers.is_empty() && writes.inbox.is_empty();
    if nothing || runtime::bug!("bug::batch_not_chained") {
        return Ok(None);
    }
    let transfers = list(writes.transfers.iter().map(|posted| transfer(posted, stamp)));
    let inbox = list(writes.inbox.iter().map(|record| decision(record, stamp)));
    let batch = Batch {
        format: FORMAT,
        writer: stamp.writer,
        // Nobody commits 2^63 batches; a damaged number that high is refused by the table.
        number: head.number.wrapping_add(1),
        decided_at: stored(stamp.now),
        transfers: &transfers,
        inbox: &inbox,
    };
    let hash = batch.hash(&head.hash);
    let at = from_micros(stamp.now);
    save::run(fenced, statement, &[&batch.writer, &batch.number, &at, &FORMAT, &hash.as_slice(), &transfers, &inbox])
        .await?;
    Ok(Some(batch.number))
}

/// The row that [`save::transfers`] inserts.
fn transfer(posted: &PostedTransfer, stamp: Stamp) -> Listed {
    let transfer = &posted.transfer;
    let row = TransferRow {
        id: transfer.id.uuid().as_u128(),
        debit_account: save::number(transfer.debit_account_id),
        credit_account: save::number(transfer.credit_account_id),
        amount: transfer.amount.0,
        debit_entry: posted.debit.map(|entry| entry.number),
        debit_balance: posted.debit.map(|entry| entry.balance_after.0),
        credit_entry: posted.credit.map(|entry| entry.number),
        credit_balance: posted.credit.map(|entry| entry.balance_after.0),
        decided_at: stored(stamp.now),
        created_at: save::created_earlier(posted, stamp).map(|at| to_micros(at).0),
        debit_slot: save::slot_of(transfer.debit_account_id),
        credit_slot: save::slot_of(transfer.credit_account_id),
        kind: codes::kind_code(transfer.kind),
        state: codes::state_code(transfer.state),
        reason: transfer.reason.map(Rejection::number),
        currency: transfer.currency.as_str(),
        message: transfer.message.as_deref(),
        reference: transfer.reference.as_deref(),
        remote_user: posted.remote_user_id.as_ref().map(UserId::as_str),
        amount_reserved: transfer.hold.map(|hold| hold.amount_reserved.0),
        expires_at: transfer.hold.map(|hold| stored(hold.expires_at)),
    };
    Listed { id: row.id, digest: row.digest() }
}

/// The row that [`save::inbox`] inserts.
fn decision(record: &InboxRecord, stamp: Stamp) -> Listed {
    let (decision, reason, credit_user) = codes::decision_columns(&record.decision);
    let row = InboxRow {
        transfer_id: record.transfer_id.uuid().as_u128(),
        slot: save::slot_number(record.slot),
        debit_shard: record.debit_shard.get().into(),
        decision,
        reason,
        credit_user,
        decided_at: stored(stamp.now),
    };
    Listed { id: row.transfer_id, digest: row.digest() }
}

/// A time as it is stored.
fn stored(time: Timestamp) -> i64 {
    to_micros(from_micros(time)).0
}

//! The chain of a lane's committed batches: each names what it wrote, and follows from the one before.
//!
//! The batch before is read in the batch's own transaction, never remembered. So it does not matter whether an unknown
//! commit was one; and of two processes that take themselves for the same writer, the slower meets the primary key
//! and runs its batch again. The same goes for the rows that a batch changes or removes: what is listed of them is what
//! was read under their locks.

use super::codes::{self, Unreadable};
use super::fence::Fenced;
use super::save::{self, Stamp};
use super::times::{from_micros, to_micros};
use ::chain::{
    AccountRow, Batch, BatchHash, Changes, FORMAT, GENESIS, InboxRow, KeyRow, Listed, ReservationRow, RowDigest,
    TransferRow, list,
};
use ledger::{
    Account, AccountStatus, Books, Command, InboxRecord, KeyRecord, PostedTransfer, Rejection, Reservation, Stamped,
    Timestamp, UserId, Writes,
};
use placement::{AccountId, TransferId};
use std::collections::HashMap;
use tokio_postgres::{Error, Row, Statement};
use uuid::Uuid;

pub(super) const HEAD: &str = "SELECT number, hash FROM batches WHERE writer = $1 ORDER BY number DESC LIMIT 1";
pub(super) const LINK: &str = "INSERT INTO batches (writer, number, decided_at, format, hash, transfers, inbox, keys, \
     accounts, accounts_replaced, reservations, reservations_replaced) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";

/// What a batch goes on from: the last batch of its writer's chain, and the rows that it may change or remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    number: i64,
    hash: BatchHash,
    found: Found,
}

/// Rows as they were read under their locks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Found {
    /// The accounts whose status is to be set.
    accounts: HashMap<AccountId, Account>,
    reservations: HashMap<u128, RowDigest>,
}

impl Head {
    /// The number of the last batch; 0 if there is none.
    pub(super) fn number(&self) -> i64 {
        self.number
    }

    /// Takes note of what the batch may change. `reservations` are the rows of [`super::load::RESERVATIONS`].
    pub(super) fn having_found(self, batch: &[Stamped], books: &Books<'_>, reservations: &[Row]) -> Head {
        let set = batch.iter().filter_map(|stamped| match &stamped.command {
            Command::SetStatus(set) => books.accounts.get(&set.account_id),
            _ => None,
        });
        let accounts = set.map(|account| (account.id, account.clone())).collect();
        let reservations = reservations.iter().map(found_reservation).collect();
        Head { found: Found { accounts, reservations }, ..self }
    }
}

/// From the rows of [`HEAD`].
pub(super) fn head(rows: &[Row]) -> Result<Head, Unreadable> {
    let found = Found::default();
    let Some(row) = rows.first() else { return Ok(Head { number: 0, hash: GENESIS, found }) };
    let hash = row.get::<_, &[u8]>(1).try_into().map_err(Unreadable::because)?;
    Ok(Head { number: row.get(0), hash, found })
}

/// Adds the batch to the chain; its number.
pub(super) async fn link(
    fenced: Fenced<'_>,
    statement: &Statement,
    writes: &Writes,
    books: &Books<'_>,
    head: Head,
    stamp: Stamp,
) -> Result<Option<i64>, Error> {
    if runtime::bug!("bug::batch_not_chained") {
        return Ok(None);
    }
    let transfers = list(writes.transfers.iter().map(|posted| transfer(posted, stamp)));
    let inbox = list(writes.inbox.iter().map(|record| decision(record, stamp)));
    let keys = list(writes.keys.iter().map(|record| key(record, stamp)));
    let accounts = accounts(writes, books, head.found.accounts, stamp);
    let reservations = reservations(writes, head.found.reservations, stamp);
    let batch = Batch {
        format: FORMAT,
        writer: stamp.writer,
        // Nobody commits 2^63 batches; a damaged number that high is refused by the table.
        number: head.number.wrapping_add(1),
        decided_at: stored(stamp.now),
        transfers: &transfers,
        inbox: &inbox,
        keys: &keys,
        accounts: accounts.changes(),
        reservations: reservations.changes(),
    };
    let hash = batch.hash(&head.hash);
    let at = from_micros(stamp.now);
    let Changes { written: accounts, replaced: accounts_replaced } = batch.accounts;
    let Changes { written: reservations, replaced: reservations_replaced } = batch.reservations;
    save::run(
        fenced,
        statement,
        &[
            &batch.writer,
            &batch.number,
            &at,
            &FORMAT,
            &hash.as_slice(),
            &transfers,
            &inbox,
            &keys,
            &accounts,
            &accounts_replaced,
            &reservations,
            &reservations_replaced,
        ],
    )
    .await?;
    Ok(Some(batch.number))
}

/// [`Changes`] on their way.
#[derive(Debug, Default)]
struct Lists {
    written: Vec<u8>,
    replaced: Vec<u8>,
}

impl Lists {
    fn of(written: Vec<Listed>, replaced: Vec<Listed>) -> Lists {
        Lists { written: list(written.into_iter()), replaced: list(replaced.into_iter()) }
    }

    fn changes(&self) -> Changes<'_> {
        Changes { written: &self.written, replaced: &self.replaced }
    }
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

/// The row that [`save::keys`] inserts.
fn key(record: &KeyRecord, stamp: Stamp) -> Listed {
    let row = KeyRow {
        slot: save::slot_number(record.slot),
        key_hash: record.hash.0,
        fingerprint: record.fingerprint.0,
        transfer_id: record.transfer_id.map(|id| id.uuid().as_u128()),
        account_id: save::number(record.account_id),
        rejection: record.rejection.map(Rejection::number),
        recorded_at: stored(stamp.now),
    };
    Listed { id: row.key_hash, digest: row.digest() }
}

/// The accounts that were made, and those whose status has changed.
fn accounts(writes: &Writes, books: &Books<'_>, found: HashMap<AccountId, Account>, stamp: Stamp) -> Lists {
    let made = |made: &Account| account(made, AccountStatus::Open, stamp.now);
    let (mut written, mut replaced): (Vec<Listed>, Vec<Listed>) = (writes.created.iter().map(made).collect(), vec![]);
    for (id, before) in found {
        let after = books.accounts.get(&id).filter(|after| after.status != before.status);
        if let Some(after) = after {
            replaced.push(account(&before, before.status, before.created_at));
            written.push(account(after, after.status, after.created_at));
        }
    }
    Lists::of(written, replaced)
}

fn account(account: &Account, status: AccountStatus, created_at: Timestamp) -> Listed {
    let row = AccountRow {
        id: account.id.as_i64(),
        slot: save::slot_number(account.id.slot()),
        user_id: account.user_id.as_str(),
        name: &account.name,
        currency: account.currency.as_str(),
        status: codes::status_code(status),
        created_at: stored(created_at),
    };
    Listed { id: row.listed_id(), digest: row.digest() }
}

/// The reservations that were placed, committed by their clients, and gone.
fn reservations(writes: &Writes, found: HashMap<u128, RowDigest>, stamp: Stamp) -> Lists {
    let (mut there, mut written, mut replaced) = (found, Vec::new(), Vec::new());
    let placed = writes.reserved.iter().map(|placed| (placed, stamp.now, None));
    let committed = writes.committing.iter().map(|part| (part, part.credit.created_at, Some(stamp.now)));
    for (reservation, created_at, committed_at) in placed.chain(committed) {
        let row = listed_reservation(reservation, created_at, committed_at);
        let before = there.insert(row.id, row.digest);
        replaced.extend(before.map(|digest| Listed { id: row.id, digest }));
        written.push(row);
    }
    for id in writes.settled.iter().map(|id: &TransferId| id.uuid().as_u128()) {
        replaced.extend(there.remove(&id).map(|digest| Listed { id, digest }));
    }
    Lists::of(written, replaced)
}

/// The row that [`save::reservations`] inserts, or [`save::committing`] leaves.
fn listed_reservation(reservation: &Reservation, created_at: Timestamp, committed_at: Option<Timestamp>) -> Listed {
    let message = &reservation.credit;
    let row = ReservationRow {
        transfer_id: message.transfer_id.uuid().as_u128(),
        slot: save::slot_number(message.debit_account_id.slot()),
        is_held: codes::debit_state_code(reservation.state) == ReservationRow::HELD,
        debit_account: message.debit_account_id.as_i64(),
        debit_user: message.debit_user_id.as_str(),
        credit_account: message.credit_account_id.as_i64(),
        amount: message.amount.0,
        currency: message.currency.as_str(),
        message: message.message.as_deref(),
        reference: reservation.reference.as_deref(),
        created_at: stored(created_at),
        amount_reserved: reservation.hold.map(|hold| hold.amount_reserved.0),
        expires_at: reservation.hold.map(|hold| stored(hold.expires_at)),
        committed_at: committed_at.map(stored),
    };
    Listed { id: row.transfer_id, digest: row.digest() }
}

/// A row of [`super::load::RESERVATIONS`], from its columns: whatever they are, the batch has found them so.
fn found_reservation(row: &Row) -> (u128, RowDigest) {
    let micros = |column: usize| row.get::<_, Option<jiff::Timestamp>>(column).map(|time| to_micros(time).0);
    let found = ReservationRow {
        transfer_id: row.get::<_, Uuid>(0).as_u128(),
        is_held: row.get::<_, i16>(1) == ReservationRow::HELD,
        debit_account: row.get(2),
        debit_user: row.get(3),
        credit_account: row.get(4),
        amount: row.get(5),
        currency: row.get(6),
        message: row.get(7),
        reference: row.get(8),
        created_at: to_micros(row.get(9)).0,
        amount_reserved: row.get(10),
        expires_at: micros(11),
        slot: row.get(12),
        committed_at: micros(13),
    };
    (found.transfer_id, found.digest())
}

/// A time as it is stored.
fn stored(time: Timestamp) -> i64 {
    to_micros(from_micros(time)).0
}

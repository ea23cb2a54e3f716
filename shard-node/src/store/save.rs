//! Writing what a batch has decided, with a fixed number of statements. Key records and inbox rows are
//! plain inserts: if another node has got there first, the unique index fails the batch, which is then run
//! again and finds their rows.

use super::codes;
use super::fence::Fenced;
use super::times::from_micros;
use jiff::Timestamp as Instant;
use ledger::{Account, Books, Counterpart, Entry, Hold, KeyRecord, PostedTransfer, Reservation, Timestamp, Writes};
use placement::{AccountId, Slot, TransferId};
use std::time::Duration;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Statement};
use uuid::Uuid;
use wire::trace::TraceContext;

pub(super) const ACCOUNTS_CHANGED: &str = "UPDATE accounts SET balance = new.balance, reserved = new.reserved, \
     entry_count = new.entry_count, status = new.status \
     FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::smallint[]) \
          AS new (id, balance, reserved, entry_count, status) \
     WHERE accounts.id = new.id";
pub(super) const ACCOUNTS_CREATED: &str = "INSERT INTO accounts \
     (id, slot, user_id, name, currency, balance, reserved, entry_count, status, created_at) \
     SELECT id, slot, user_id, name, currency, 0, 0, 0, 0, $6 \
     FROM unnest($1::bigint[], $2::smallint[], $3::text[], $4::text[], $5::text[]) \
          AS new (id, slot, user_id, name, currency)";
pub(super) const TRANSFERS: &str = "INSERT INTO transfers (id, debit_account, credit_account, amount, debit_entry, \
     debit_balance, credit_entry, credit_balance, decided_at, created_at, debit_slot, credit_slot, kind, state, reason, \
     currency, message, reference, remote_user, amount_reserved, expires_at) \
     SELECT id, debit_account, credit_account, amount, debit_entry, debit_balance, credit_entry, credit_balance, $19, \
     created_at, debit_slot, credit_slot, kind, state, reason, currency, message, reference, remote_user, \
     amount_reserved, expires_at FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], \
     $8::bigint[], $9::timestamptz[], $10::smallint[], $11::smallint[], $12::smallint[], $13::smallint[], \
     $14::smallint[], $15::text[], $16::text[], $17::text[], $18::text[], $20::bigint[], $21::timestamptz[]) \
     AS new (id, debit_account, credit_account, amount, debit_entry, debit_balance, credit_entry, credit_balance, \
     created_at, debit_slot, credit_slot, kind, state, reason, currency, message, reference, remote_user, \
     amount_reserved, expires_at)";
/// Sorted, so that two nodes with the same keys wait for each other rather than deadlock.
pub(super) const KEYS: &str = "INSERT INTO idempotency \
     (slot, key_hash, fingerprint, transfer_id, account_id, rejection, recorded_at) \
     SELECT slot, key_hash, fingerprint, transfer_id, account_id, rejection, $7 \
     FROM unnest($1::smallint[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::smallint[]) \
     AS new (slot, key_hash, fingerprint, transfer_id, account_id, rejection)";
pub(super) const RESERVATIONS: &str = "INSERT INTO reservations (transfer_id, slot, state, debit_account, debit_user, \
     credit_account, amount, currency, message, reference, created_at, void_after, amount_reserved, expires_at) \
     SELECT transfer_id, slot, state, debit_account, debit_user, credit_account, amount, currency, message, reference, \
     $10::timestamptz, $10::timestamptz + $11::bigint * interval '1 microsecond', amount_reserved, expires_at \
     FROM unnest($1::uuid[], $2::smallint[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[], $7::text[], \
     $8::text[], $9::text[], $12::smallint[], $13::bigint[], $14::timestamptz[]) \
     AS new (transfer_id, slot, debit_account, debit_user, credit_account, amount, currency, message, reference, \
     state, amount_reserved, expires_at)";
pub(super) const COMMITTING: &str = "UPDATE reservations SET state = new.state, amount = new.amount, \
     committed_at = $4, void_after = $4::timestamptz + $5::bigint * interval '1 microsecond' \
     FROM unnest($1::uuid[], $2::smallint[], $3::bigint[]) AS new (transfer_id, state, amount) \
     WHERE reservations.transfer_id = new.transfer_id";
pub(super) const OUTBOX: &str = "INSERT INTO outbox (transfer_id, slot, next_attempt_at, trace_id, parent_id) \
     SELECT transfer_id, slot, $5::timestamptz + $6::bigint * interval '1 microsecond', trace_id, parent_id \
     FROM unnest($1::uuid[], $2::smallint[], $3::uuid[], $4::bigint[]) AS new (transfer_id, slot, trace_id, parent_id)";
pub(super) const RESERVATIONS_GONE: &str = "DELETE FROM reservations WHERE transfer_id = ANY($1)";
pub(super) const OUTBOX_GONE: &str = "DELETE FROM outbox WHERE transfer_id = ANY($1)";
pub(super) const INBOX: &str = "INSERT INTO inbox \
     (transfer_id, slot, debit_shard, decision, reason, credit_user, decided_at) \
     SELECT transfer_id, slot, debit_shard, decision, reason, credit_user, $7 \
     FROM unnest($1::uuid[], $2::smallint[], $3::integer[], $4::smallint[], $5::smallint[], $6::text[]) \
     AS new (transfer_id, slot, debit_shard, decision, reason, credit_user)";
pub(super) const EXTERNAL: &str = "INSERT INTO external AS totals (writer, currency, total) \
     SELECT $1::integer, currency, total::numeric FROM unnest($2::text[], $3::bigint[]) AS new (currency, total) \
     ON CONFLICT (writer, currency) DO UPDATE SET total = totals.total + excluded.total";
pub(super) const CLEARING: &str = "INSERT INTO clearing AS totals (writer, peer, currency, total) \
     SELECT $1::integer, peer, currency, total::numeric \
     FROM unnest($2::integer[], $3::text[], $4::bigint[]) AS new (peer, currency, total) \
     ON CONFLICT (writer, peer, currency) DO UPDATE SET total = totals.total + excluded.total";

/// What the saving statements need beside the writes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp {
    pub writer: i32,
    pub now: Timestamp,
    pub void_after: Duration,
    pub lease: Duration,
}

impl Stamp {
    fn at(&self) -> Instant {
        from_micros(self.now)
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

pub(super) fn slot_number(slot: Slot) -> i16 {
    // A slot is below 4096.
    slot.get().cast_signed()
}

pub(super) async fn run(
    fenced: Fenced<'_>,
    statement: &Statement,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<(), Error> {
    fenced.client().execute(statement, parameters).await.map(drop)
}

pub(super) async fn accounts_changed(
    fenced: Fenced<'_>,
    statement: &Statement,
    writes: &Writes,
    books: &Books<'_>,
) -> Result<(), Error> {
    if writes.changed.is_empty() {
        return Ok(());
    }
    let changed = || writes.changed.iter().filter_map(|id| books.accounts.get(id));
    let ids: Vec<i64> = changed().map(|account| account.id.as_i64()).collect();
    let balances: Vec<i64> = changed().map(|account| account.balance.0).collect();
    let reserved: Vec<i64> = changed().map(|account| account.reserved.0).collect();
    let entries: Vec<i64> = changed().map(|account| account.entry_count).collect();
    let statuses: Vec<i16> = changed().map(|account| codes::status_code(account.status)).collect();
    run(fenced, statement, &[&ids, &balances, &reserved, &entries, &statuses]).await
}

pub(super) async fn accounts_created(
    fenced: Fenced<'_>,
    statement: &Statement,
    created: &[Account],
    stamp: Stamp,
) -> Result<(), Error> {
    if created.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = created.iter().map(|account| account.id.as_i64()).collect();
    let slots: Vec<i16> = created.iter().map(|account| slot_number(account.id.slot())).collect();
    let users: Vec<&str> = created.iter().map(|account| account.user_id.as_str()).collect();
    let names: Vec<&str> = created.iter().map(|account| account.name.as_str()).collect();
    let currencies: Vec<&str> = created.iter().map(|account| account.currency.as_str()).collect();
    run(fenced, statement, &[&ids, &slots, &users, &names, &currencies, &stamp.at()]).await
}

pub(super) async fn transfers(
    fenced: Fenced<'_>,
    statement: &Statement,
    rows: &[PostedTransfer],
    stamp: Stamp,
) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = rows.iter().map(|row| row.transfer.id.uuid()).collect();
    let debits: Vec<Option<i64>> = rows.iter().map(|row| number(row.transfer.debit_account_id)).collect();
    let credits: Vec<Option<i64>> = rows.iter().map(|row| number(row.transfer.credit_account_id)).collect();
    let amounts: Vec<i64> = rows.iter().map(|row| row.transfer.amount.0).collect();
    let (debit_entries, debit_balances) = sides(rows.iter().map(|row| row.debit));
    let (credit_entries, credit_balances) = sides(rows.iter().map(|row| row.credit));
    let created: Vec<Option<Instant>> = rows.iter().map(|row| created_earlier(row, stamp)).collect();
    let debit_slots: Vec<Option<i16>> = rows.iter().map(|row| slot_of(row.transfer.debit_account_id)).collect();
    let credit_slots: Vec<Option<i16>> = rows.iter().map(|row| slot_of(row.transfer.credit_account_id)).collect();
    let kinds: Vec<i16> = rows.iter().map(|row| codes::kind_code(row.transfer.kind)).collect();
    let states: Vec<i16> = rows.iter().map(|row| codes::state_code(row.transfer.state)).collect();
    let reasons: Vec<Option<i16>> = rows.iter().map(|row| row.transfer.reason.map(ledger::Rejection::number)).collect();
    let currencies: Vec<&str> = rows.iter().map(|row| row.transfer.currency.as_str()).collect();
    let messages: Vec<Option<&str>> = rows.iter().map(|row| row.transfer.message.as_deref()).collect();
    let references: Vec<Option<&str>> = rows.iter().map(|row| row.transfer.reference.as_deref()).collect();
    let remote: Vec<Option<&str>> =
        rows.iter().map(|row| row.remote_user_id.as_ref().map(ledger::UserId::as_str)).collect();
    let (reserved, expiries) = holds(rows.iter().map(|row| row.transfer.hold));
    let parameters: [&(dyn ToSql + Sync); 21] = [
        &ids,
        &debits,
        &credits,
        &amounts,
        &debit_entries,
        &debit_balances,
        &credit_entries,
        &credit_balances,
        &created,
        &debit_slots,
        &credit_slots,
        &kinds,
        &states,
        &reasons,
        &currencies,
        &messages,
        &references,
        &remote,
        &stamp.at(),
        &reserved,
        &expiries,
    ];
    run(fenced, statement, &parameters).await
}

pub(super) fn number(account: Option<AccountId>) -> Option<i64> {
    account.map(AccountId::as_i64)
}

pub(super) fn slot_of(account: Option<AccountId>) -> Option<i16> {
    account.map(|id| slot_number(id.slot()))
}

fn sides(entries: impl Iterator<Item = Option<Entry>>) -> (Vec<Option<i64>>, Vec<Option<i64>>) {
    entries.map(|entry| (entry.map(|entry| entry.number), entry.map(|entry| entry.balance_after.0))).unzip()
}

fn holds(holds: impl Iterator<Item = Option<Hold>>) -> (Vec<Option<i64>>, Vec<Option<Instant>>) {
    holds.map(|hold| (hold.map(|hold| hold.amount_reserved.0), hold.map(|hold| from_micros(hold.expires_at)))).unzip()
}

pub(super) fn created_earlier(row: &PostedTransfer, stamp: Stamp) -> Option<Instant> {
    (row.transfer.created_at != stamp.now).then(|| from_micros(row.transfer.created_at))
}

pub(super) async fn keys(
    fenced: Fenced<'_>,
    statement: &Statement,
    records: &[KeyRecord],
    stamp: Stamp,
) -> Result<(), Error> {
    if records.is_empty() {
        return Ok(());
    }
    let mut records: Vec<&KeyRecord> = records.iter().collect();
    records.sort_unstable_by_key(|record| (record.slot, record.hash));
    let slots: Vec<i16> = records.iter().map(|record| slot_number(record.slot)).collect();
    let hashes: Vec<Uuid> = records.iter().map(|record| Uuid::from_u128(record.hash.0)).collect();
    let fingerprints: Vec<Uuid> = records.iter().map(|record| Uuid::from_u128(record.fingerprint.0)).collect();
    let transfers: Vec<Option<Uuid>> = records.iter().map(|record| record.transfer_id.map(TransferId::uuid)).collect();
    let accounts: Vec<Option<i64>> = records.iter().map(|record| number(record.account_id)).collect();
    let rejections: Vec<Option<i16>> =
        records.iter().map(|record| record.rejection.map(ledger::Rejection::number)).collect();
    run(fenced, statement, &[&slots, &hashes, &fingerprints, &transfers, &accounts, &rejections, &stamp.at()]).await
}

pub(super) async fn reservations(
    fenced: Fenced<'_>,
    statement: &Statement,
    reserved: &[Reservation],
    stamp: Stamp,
) -> Result<(), Error> {
    if reserved.is_empty() {
        return Ok(());
    }
    let messages = || reserved.iter().map(|reservation| &reservation.credit);
    let ids: Vec<Uuid> = messages().map(|credit| credit.transfer_id.uuid()).collect();
    let slots: Vec<i16> = messages().map(|credit| slot_number(credit.debit_account_id.slot())).collect();
    let debits: Vec<i64> = messages().map(|credit| credit.debit_account_id.as_i64()).collect();
    let users: Vec<&str> = messages().map(|credit| credit.debit_user_id.as_str()).collect();
    let credits: Vec<i64> = messages().map(|credit| credit.credit_account_id.as_i64()).collect();
    let amounts: Vec<i64> = messages().map(|credit| credit.amount.0).collect();
    let currencies: Vec<&str> = messages().map(|credit| credit.currency.as_str()).collect();
    let texts: Vec<Option<&str>> = messages().map(|credit| credit.message.as_deref()).collect();
    let references: Vec<Option<&str>> = reserved.iter().map(|reservation| reservation.reference.as_deref()).collect();
    let void_after = micros(stamp.void_after);
    let states: Vec<i16> = reserved.iter().map(|reservation| codes::debit_state_code(reservation.state)).collect();
    let (held, expiries) = holds(reserved.iter().map(|reservation| reservation.hold));
    let parameters: [&(dyn ToSql + Sync); 14] = [
        &ids,
        &slots,
        &debits,
        &users,
        &credits,
        &amounts,
        &currencies,
        &texts,
        &references,
        &stamp.at(),
        &void_after,
        &states,
        &held,
        &expiries,
    ];
    run(fenced, statement, &parameters).await
}

/// Held reservations whose credit is asked for from now on.
pub(super) async fn committing(
    fenced: Fenced<'_>,
    statement: &Statement,
    committing: &[Reservation],
    stamp: Stamp,
) -> Result<(), Error> {
    if committing.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = committing.iter().map(|reservation| reservation.credit.transfer_id.uuid()).collect();
    let states: Vec<i16> = committing.iter().map(|reservation| codes::debit_state_code(reservation.state)).collect();
    let amounts: Vec<i64> = committing.iter().map(|reservation| reservation.credit.amount.0).collect();
    run(fenced, statement, &[&ids, &states, &amounts, &stamp.at(), &micros(stamp.void_after)]).await
}

/// `traces` in the order of the reservations to send.
pub(super) async fn outbox(
    fenced: Fenced<'_>,
    statement: &Statement,
    writes: &Writes,
    traces: &[TraceContext],
    stamp: Stamp,
) -> Result<(), Error> {
    let messages = || writes.to_send().map(|reservation| &reservation.credit);
    let ids: Vec<Uuid> = messages().map(|message| message.transfer_id.uuid()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let slots: Vec<i16> = messages().map(|message| slot_number(message.debit_account_id.slot())).collect();
    let trace_ids: Vec<Uuid> = traces.iter().map(|trace| Uuid::from_u128(trace.trace_id)).collect();
    let parent_ids: Vec<i64> = traces.iter().map(|trace| trace.parent_id.cast_signed()).collect();
    let lease = micros(stamp.lease);
    run(fenced, statement, &[&ids, &slots, &trace_ids, &parent_ids, &stamp.at(), &lease]).await
}

pub(super) async fn gone(fenced: Fenced<'_>, statement: &Statement, settled: &[TransferId]) -> Result<(), Error> {
    if settled.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = settled.iter().map(|id| id.uuid()).collect();
    run(fenced, statement, &[&ids]).await
}

pub(super) async fn inbox(
    fenced: Fenced<'_>,
    statement: &Statement,
    writes: &Writes,
    stamp: Stamp,
) -> Result<(), Error> {
    if writes.inbox.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = writes.inbox.iter().map(|record| record.transfer_id.uuid()).collect();
    let slots: Vec<i16> = writes.inbox.iter().map(|record| slot_number(record.slot)).collect();
    let peers: Vec<i32> = writes.inbox.iter().map(|record| record.debit_shard.get().into()).collect();
    let decided = || writes.inbox.iter().map(|record| codes::decision_columns(&record.decision));
    let decisions: Vec<i16> = decided().map(|(decision, _, _)| decision).collect();
    let reasons: Vec<Option<i16>> = decided().map(|(_, reason, _)| reason).collect();
    let users: Vec<Option<&str>> = decided().map(|(_, _, user)| user).collect();
    run(fenced, statement, &[&ids, &slots, &peers, &decisions, &reasons, &users, &stamp.at()]).await
}

pub(super) async fn external(
    fenced: Fenced<'_>,
    statement: &Statement,
    writes: &Writes,
    stamp: Stamp,
) -> Result<(), Error> {
    let totals = writes.totals.iter().filter(|((counterpart, _), _)| *counterpart == Counterpart::External);
    let (currencies, sums): (Vec<String>, Vec<i64>) =
        totals.map(|((_, currency), total)| (currency.to_string(), total.0)).unzip();
    if currencies.is_empty() {
        return Ok(());
    }
    run(fenced, statement, &[&stamp.writer, &currencies, &sums]).await
}

pub(super) async fn clearing(
    fenced: Fenced<'_>,
    statement: &Statement,
    writes: &Writes,
    stamp: Stamp,
) -> Result<(), Error> {
    let (mut peers, mut currencies, mut sums) = (Vec::new(), Vec::new(), Vec::new());
    for ((counterpart, currency), total) in &writes.totals {
        if let Counterpart::Clearing(peer) = counterpart {
            peers.push(i32::from(peer.get()));
            currencies.push(currency.to_string());
            sums.push(total.0);
        }
    }
    if peers.is_empty() {
        return Ok(());
    }
    run(fenced, statement, &[&stamp.writer, &peers, &currencies, &sums]).await
}

//! Reading what is compared with other shards. Nothing here writes, and nothing waits for a lock.

use super::codes::{self, Unreadable};
use super::partitions;
use super::reading::ReadError;
use super::times::{from_micros, to_micros};
use ledger::saga::DebitState;
use ledger::{Rejection, Timestamp, TransferKind, TransferState};
use std::collections::HashMap;
use std::time::Duration;
use tokio_postgres::{IsolationLevel, Row, Statement};
use uuid::Uuid;
use wire::pairing::{DecisionHalf, Ending, Halves, Money, OpenHalf, TerminalHalf};

/// One replica at a time. Held until its connection ends.
pub(super) const LEAD: &str = "SELECT pg_try_advisory_lock($1)";
/// The first statement of a reading: the snapshot is no younger than its time. What is read beside the customers' work
/// takes one core and not more.
pub(super) const NOW: &str = "SELECT clock_timestamp(), pg_postmaster_start_time(), \
     set_config('max_parallel_workers_per_gather', '0', true)";
/// The months of a table.
pub(super) const PARTITIONS: &str = "SELECT relname::text FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid \
     WHERE inhparent = $1::text::regclass";
/// Run on single months: a bound on ids would keep old ones out as well, but also tempt the planner to find the rows of
/// a month that it has no statistics of by their ids.
pub(super) const SIDES: &str = "SELECT id, debit_account, credit_account, amount, currency, state, reason, \
     debit_entry IS NOT NULL, credit_entry IS NOT NULL, decided_at, coalesce(created_at, decided_at) \
     FROM transfers WHERE decided_at >= $1 AND decided_at < $2 AND kind = $4 AND state = ANY($5) \
     AND (debit_entry IS NULL OR credit_entry IS NULL) LIMIT $3";
pub(super) const DECISIONS: &str = "SELECT transfer_id, decision, decided_at, debit_shard \
     FROM inbox WHERE decided_at >= $1 AND decided_at < $2 LIMIT $3";
/// Whoever is asked, or is to be asked, has a row in the outbox; what is held by its client has none.
pub(super) const ASKED: &str = "SELECT transfer_id, debit_account, credit_account, amount, currency, created_at \
     FROM outbox JOIN reservations USING (transfer_id) \
     WHERE outbox.transfer_id > $1 ORDER BY outbox.transfer_id LIMIT $2";
/// As text, for a sum may need more than 64 bits.
pub(super) const CLEARING: &str = "SELECT peer, currency, sum(total)::text FROM clearing GROUP BY peer, currency";
/// In one statement, and so of one moment: a transfer leaves the reservations as it enters the terminal ones.
pub(super) const LOOK_UP: &str = "SELECT wanted.id, \
     open.debit_account, open.credit_account, open.amount, open.currency, open.state, \
     ended.debit_account, ended.credit_account, ended.amount, ended.currency, ended.state, ended.reason, \
     debit_entry IS NOT NULL, credit_entry IS NOT NULL, ended.decided_at, inbox.decision, inbox.decided_at \
     FROM unnest($1::uuid[]) AS wanted (id) \
     LEFT JOIN reservations AS open ON open.transfer_id = wanted.id \
     LEFT JOIN transfers AS ended ON ended.id = wanted.id \
     LEFT JOIN inbox ON inbox.transfer_id = wanted.id";

/// Any number that no other advisory lock of the schema uses.
const LEAD_LOCK: i64 = 7;
/// What was decided in the stretch that must be covered, at most; twice that of decisions.
const COVERED_MAX: i64 = 300_000;
const ASKED_MAX: usize = 20_000;
const ASKED_PAGE: i64 = 1_000;
/// A transfer is decided within this time of its beginning: a month of being held, two of a peer being away.
const MONTHS_BACK: i32 = 3;

/// How much to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Everything decided within this time.
    pub covered: Duration,
    /// And further back, as long as it is at most so many transfers.
    pub transfers: i64,
    /// But never beyond this.
    pub further: Duration,
}

/// A terminal transfer whose other side is not in its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// The transfer.
    pub id: Uuid,
    /// Its terminal row.
    pub half: TerminalHalf,
    /// When it began.
    pub created_at: Timestamp,
}

/// A decision of this shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decided {
    /// The transfer.
    pub id: Uuid,
    /// The inbox row.
    pub half: DecisionHalf,
    /// The shard that asked, by its number.
    pub debit_shard: i32,
}

/// An open transfer that another shard is to decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The transfer.
    pub id: Uuid,
    /// The amount set aside.
    pub money: Money,
    /// When it began.
    pub created_at: Timestamp,
}

/// A clearing total.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clearing {
    /// The other shard, by its number.
    pub peer: i32,
    /// The currency's code.
    pub currency: String,
    /// The total.
    pub total: i128,
}

/// One snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// PostgreSQL's time.
    pub now: Timestamp,
    /// Since when its server runs.
    pub server_started: Timestamp,
    /// The beginning of the time covered.
    pub covered_since: Timestamp,
    /// What was decided in the time covered, and further back.
    pub sides: Vec<Side>,
    /// The same, of decisions.
    pub decisions: Vec<Decided>,
    /// What is open.
    pub asked: Vec<Asked>,
    /// The totals.
    pub clearing: Vec<Clearing>,
    /// Whether all that was to be covered, and all that is open, was read.
    pub is_whole: bool,
}

/// Takes the lead among the shard's replicas, or finds that another has it. It ends with the connection.
pub async fn lead(client: &deadpool_postgres::Client) -> Result<bool, ReadError> {
    let statement = client.prepare_cached(LEAD).await?;
    Ok(client.query_one(&statement, &[&LEAD_LOCK]).await?.get(0))
}

/// Reads it all in one snapshot.
pub async fn read(client: &mut deadpool_postgres::Client, wanted: Wanted) -> Result<Reading, ReadError> {
    let snapshot =
        client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true).start().await?;
    let statement = snapshot.prepare_cached(NOW).await?;
    let row = snapshot.query_one(&statement, &[]).await?;
    let (now, server_started) = (to_micros(row.get(0)), to_micros(row.get(1)));
    let edge = earlier(now, wanted.covered);
    let mut reading = Reading { now, server_started, covered_since: edge, is_whole: true, ..Reading::default() };
    let recent = Recent::of(&snapshot, now).await?;
    reading.is_whole &= recent.stretch(&mut reading, edge, Timestamp(i64::MAX), COVERED_MAX).await?;
    recent.further_back(&mut reading, edge, wanted).await?;
    reading.is_whole &= asked(&snapshot, &mut reading.asked).await?;
    let statement = snapshot.prepare_cached(CLEARING).await?;
    for row in snapshot.query(&statement, &[]).await? {
        let total: &str = row.get(2);
        let total = total.parse().map_err(Unreadable::because)?;
        reading.clearing.push(Clearing { peer: row.get(0), currency: row.get(1), total });
    }
    snapshot.commit().await?;
    Ok(reading)
}

/// The recent months of the tables.
struct Recent<'a> {
    snapshot: &'a deadpool_postgres::Transaction<'a>,
    sides: Statement,
    decisions: Statement,
}

impl<'a> Recent<'a> {
    async fn of(snapshot: &'a deadpool_postgres::Transaction<'a>, now: Timestamp) -> Result<Self, ReadError> {
        let sides = months(snapshot, "transfers", now, SIDES).await?;
        let decisions = months(snapshot, "inbox", now, DECISIONS).await?;
        Ok(Recent { snapshot, sides, decisions })
    }

    /// Stretches that double in length, until there are enough transfers.
    async fn further_back(&self, reading: &mut Reading, edge: Timestamp, wanted: Wanted) -> Result<(), ReadError> {
        let oldest = earlier(reading.now, wanted.further);
        let (mut until, mut length) = (edge, wanted.covered);
        while until > oldest {
            let read = i64::try_from(reading.sides.len().max(reading.decisions.len())).unwrap_or(i64::MAX);
            let from = earlier(until, length).max(oldest);
            if read >= wanted.transfers || !self.stretch(reading, from, until, wanted.transfers - read).await? {
                return Ok(());
            }
            (until, length) = (from, length * 2);
        }
        Ok(())
    }

    /// Reads what was decided in between; nothing, and `false`, if that is more than `max`: a part of it would look
    /// like rows that are missing.
    async fn stretch(
        &self,
        reading: &mut Reading,
        from: Timestamp,
        until: Timestamp,
        max: i64,
    ) -> Result<bool, ReadError> {
        let (from, until, limit) = (from_micros(from), from_micros(until), max.saturating_add(1));
        let kind = codes::kind_code(TransferKind::Transfer);
        let states = [TransferState::Posted, TransferState::Released].map(codes::state_code);
        let sides = self.snapshot.query(&self.sides, &[&from, &until, &limit, &kind, &states.as_slice()]).await?;
        let decisions = self.snapshot.query(&self.decisions, &[&from, &until, &limit]).await?;
        if [&sides, &decisions].iter().any(|rows| i64::try_from(rows.len()).is_ok_and(|count| count > max)) {
            return Ok(false);
        }
        for row in &sides {
            reading.sides.push(side(row)?);
        }
        for row in &decisions {
            let decision: i16 = row.get(1);
            let half = DecisionHalf { is_credited: decision == 0, decided_at: to_micros(row.get(2)) };
            reading.decisions.push(Decided { id: row.get(0), half, debit_shard: row.get(3) });
        }
        Ok(true)
    }
}

/// The statement on each recent month of the table it is about.
async fn months(
    snapshot: &deadpool_postgres::Transaction<'_>,
    table: &str,
    now: Timestamp,
    sql: &str,
) -> Result<Statement, ReadError> {
    let statement = snapshot.prepare_cached(PARTITIONS).await?;
    let oldest = partitions::name(table, now.unix_ms(), -MONTHS_BACK);
    let names = snapshot.query(&statement, &[&table]).await?;
    let names = names.iter().map(|row| row.get::<_, String>(0)).filter(|name| Some(name) >= oldest.as_ref());
    let of_month = |name: String| format!("({})", sql.replacen(&format!("FROM {table} "), &format!("FROM {name} "), 1));
    let all: Vec<String> = names.map(of_month).collect();
    // Without any month there is nothing recent, and the whole table is as good.
    let union = if all.is_empty() { sql.to_owned() } else { all.join(" UNION ALL ") };
    Ok(snapshot.prepare_cached(&union).await?)
}

async fn asked(snapshot: &deadpool_postgres::Transaction<'_>, found: &mut Vec<Asked>) -> Result<bool, ReadError> {
    let statement = snapshot.prepare_cached(ASKED).await?;
    let mut after = Uuid::nil();
    while found.len() < ASKED_MAX {
        let rows = snapshot.query(&statement, &[&after, &ASKED_PAGE]).await?;
        for row in &rows {
            let money = money(row, 1).ok_or_else(|| Unreadable("a reservation without an amount".to_owned()))?;
            found.push(Asked { id: row.get(0), money, created_at: to_micros(row.get(5)) });
        }
        match found.last() {
            Some(last) if !rows.is_empty() => after = last.id,
            Some(_) | None => return Ok(true),
        }
    }
    Ok(false)
}

/// What the shard has of the transfers, in their order.
pub async fn look_up(client: &deadpool_postgres::Client, ids: &[Uuid]) -> Result<Vec<Halves>, ReadError> {
    let statement = client.prepare_cached(LOOK_UP).await?;
    let rows = client.query(&statement, &[&ids]).await?;
    let found = rows.iter().map(|row| Ok((row.get(0), halves(row)?)));
    let found: HashMap<Uuid, Halves> = found.collect::<Result<_, Unreadable>>()?;
    // An id may be asked for twice.
    Ok(ids.iter().map(|id| found.get(id).cloned().unwrap_or_default()).collect())
}

fn earlier(time: Timestamp, by: Duration) -> Timestamp {
    Timestamp(time.0.saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
}

fn side(row: &Row) -> Result<Side, Unreadable> {
    let money = money(row, 1).ok_or_else(|| Unreadable("a transfer without an amount".to_owned()))?;
    let half = TerminalHalf {
        ending: ending(row.get(5), row.get(6))?,
        money,
        has_debit: row.get(7),
        has_credit: row.get(8),
        decided_at: to_micros(row.get(9)),
    };
    Ok(Side { id: row.get(0), half, created_at: to_micros(row.get(10)) })
}

fn halves(row: &Row) -> Result<Halves, Unreadable> {
    let open = match money(row, 1) {
        Some(money) => Some(OpenHalf { is_held: codes::debit_state(row.get(5))? == DebitState::Held, money }),
        None => None,
    };
    let terminal = match money(row, 6) {
        Some(money) => Some(TerminalHalf {
            ending: ending(row.get(10), row.get(11))?,
            money,
            has_debit: row.get(12),
            has_credit: row.get(13),
            decided_at: to_micros(row.get(14)),
        }),
        None => None,
    };
    let decision = row
        .get::<_, Option<i16>>(15)
        .map(|decision| DecisionHalf { is_credited: decision == 0, decided_at: to_micros(row.get(16)) });
    Ok(Halves { open, terminal, decision })
}

fn ending(state: i16, reason: Option<i16>) -> Result<Ending, Unreadable> {
    Ok(match codes::state(state)? {
        TransferState::Posted => Ending::Posted,
        TransferState::Released => match reason.map(codes::rejection).transpose()? {
            Some(Rejection::ReleasedByClient | Rejection::Expired) => Ending::NeverAsked,
            Some(_) | None => Ending::Released,
        },
        TransferState::Pending | TransferState::Reserved | TransferState::Rejected => Ending::NeverAsked,
    })
}

fn money(row: &Row, first: usize) -> Option<Money> {
    Some(Money {
        debit_account: row.get(first),
        credit_account: row.get(first + 1),
        amount: row.get::<_, Option<i64>>(first + 2)?,
        currency: row.get::<_, Option<String>>(first + 3)?,
    })
}

//! An account's history, by entry number.
//!
//! The months are partitions by transfer id, and most questions are about the last two. So a page is looked for
//! there first, and in the older ones only if it is not full, or has a gap: a transfer between shards may be
//! posted long after its id was made. Entries are numbered without gaps, so a gap is certain to be seen.

use super::codes::{self, Unreadable};
use super::load;
use super::reading::ReadError;
use super::times::to_micros;
use jiff::{ToSpan, tz::TimeZone};
use ledger::{Amount, Entry, Timestamp};
use placement::{AccountId, TransferId};
use std::ops::Range;
use tokio_postgres::Row;
use uuid::Uuid;
use wire::answer::EntryLine;
use wire::operation::Direction;

macro_rules! page {
    ($order:literal) => {
        concat!(
            "SELECT entries.id, kind, is_credit, amount, entry, entries.balance, other, message, decided_at, ",
            "coalesce(accounts.user_id, remote_user) FROM (",
            "(SELECT id, kind, false AS is_credit, amount, debit_entry AS entry, debit_balance AS balance, ",
            "credit_account AS other, message, decided_at, remote_user FROM transfers ",
            "WHERE debit_account = $1 AND debit_entry >= $2 AND debit_entry < $3 AND id >= $4 AND id < $5 AND $6 ",
            "ORDER BY debit_entry ",
            $order,
            " LIMIT $8) UNION ALL ",
            "(SELECT id, kind, true AS is_credit, amount, credit_entry AS entry, credit_balance AS balance, ",
            "debit_account AS other, message, decided_at, remote_user FROM transfers ",
            "WHERE credit_account = $1 AND credit_entry >= $2 AND credit_entry < $3 AND id >= $4 AND id < $5 AND $7 ",
            "ORDER BY credit_entry ",
            $order,
            " LIMIT $8)) AS entries LEFT JOIN accounts ON accounts.id = other ORDER BY entry ",
            $order,
            " LIMIT $8"
        )
    };
}

pub(super) const DESCENDING: &str = page!("DESC");
pub(super) const ASCENDING: &str = page!("ASC");
pub(super) const TIME_OF_ENTRY: &str = "SELECT decided_at FROM transfers WHERE debit_account = $1 AND debit_entry = $2 \
     UNION ALL SELECT decided_at FROM transfers WHERE credit_account = $1 AND credit_entry = $2";

/// Which entries are wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Whose.
    pub account_id: AccountId,
    /// The numbers looked at.
    pub numbers: Range<i64>,
    /// From the end, or from the beginning.
    pub newest_first: bool,
    /// Only one side.
    pub direction: Option<Direction>,
    /// At most this many.
    pub limit: i64,
}

/// The entries wanted, in order. `now` says which months are recent.
pub async fn page(
    client: &deadpool_postgres::Client,
    wanted: &Wanted,
    now: Timestamp,
) -> Result<Vec<EntryLine>, ReadError> {
    let (oldest, newest) = (Uuid::nil(), Uuid::max());
    if !wanted.newest_first {
        return window(client, wanted, oldest, newest).await;
    }
    let recent = TransferId::lower_bound(start_of_last_month(now));
    let mut lines = window(client, wanted, recent, newest).await?;
    if !is_complete(&lines, wanted) {
        lines.extend(window(client, wanted, oldest, recent).await?);
        lines.sort_unstable_by_key(|line| std::cmp::Reverse(line.entry.number));
        lines.truncate(usize::try_from(wanted.limit).unwrap_or(usize::MAX));
    }
    Ok(lines)
}

/// Whether nothing of an older month can belong between or after the lines.
fn is_complete(newest_first: &[EntryLine], wanted: &Wanted) -> bool {
    let expected = (wanted.numbers.start..wanted.numbers.end).rev().take(newest_first.len());
    let gapless = newest_first.iter().map(|line| line.entry.number).eq(expected);
    let full = i64::try_from(newest_first.len()).is_ok_and(|count| count == wanted.limit);
    let at_the_beginning = newest_first.last().is_some_and(|line| line.entry.number == wanted.numbers.start);
    wanted.numbers.is_empty() || (gapless && (full || at_the_beginning))
}

async fn window(
    client: &deadpool_postgres::Client,
    wanted: &Wanted,
    from: Uuid,
    to: Uuid,
) -> Result<Vec<EntryLine>, ReadError> {
    let sql = if wanted.newest_first { DESCENDING } else { ASCENDING };
    let statement = client.prepare_cached(sql).await?;
    let debits = wanted.direction != Some(Direction::Credit);
    let credits = wanted.direction != Some(Direction::Debit);
    let (account, numbers) = (wanted.account_id.as_i64(), &wanted.numbers);
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 8] =
        [&account, &numbers.start, &numbers.end, &from, &to, &debits, &credits, &wanted.limit];
    let rows = client.query(&statement, &parameters).await?;
    Ok(rows.iter().map(line).collect::<Result<_, _>>()?)
}

fn line(row: &Row) -> Result<EntryLine, Unreadable> {
    Ok(EntryLine {
        transfer_id: load::transfer_id(row.get(0))?,
        kind: codes::kind(row.get(1))?,
        direction: if row.get(2) { Direction::Credit } else { Direction::Debit },
        amount: Amount(row.get(3)),
        entry: Entry { number: row.get(4), balance_after: Amount(row.get(5)) },
        counterparty_account_id: row.get::<_, Option<i64>>(6).map(load::account_id).transpose()?,
        counterparty_user_id: row.get::<_, Option<String>>(9).map(codes::user_id).transpose()?,
        message: row.get(7),
        created_at: to_micros(row.get(8)),
    })
}

/// The number of the first entry made at `time` or later; one past the last if there is none. Times do not
/// go back along the numbers, so this halves the range with each question.
pub async fn first_at_or_after(
    client: &deadpool_postgres::Client,
    account: AccountId,
    entry_count: i64,
    time: Timestamp,
) -> Result<i64, ReadError> {
    let statement = client.prepare_cached(TIME_OF_ENTRY).await?;
    let (mut low, mut high) = (1, entry_count + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let row = client.query_opt(&statement, &[&account.as_i64(), &middle]).await?;
        let row = row.ok_or_else(|| Unreadable(format!("account {account} has no entry {middle}")))?;
        match to_micros(row.get(0)) < time {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    Ok(low)
}

fn start_of_last_month(now: Timestamp) -> u64 {
    let today = super::from_micros(now).to_zoned(TimeZone::UTC).date();
    let start = today.first_of_month().saturating_sub(1.month());
    let midnight = start.to_zoned(TimeZone::UTC).map(|start| start.timestamp().as_millisecond());
    midnight.ok().and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0)
}

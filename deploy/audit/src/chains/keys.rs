//! Whether the keys that batches list are those that are there.
//!
//! A key has the time of its batch, so both are read along it: what was recorded at a time must be what the batches of
//! that time list. What they list and is not there may have been forgotten, once it is old enough. Of one batch at a time
//! the keys are in memory, and all that does not fit.

use std::collections::{HashMap, HashSet, VecDeque};

use ::chain::{Listed, listed};
use jiff::SignedDuration;
use tokio_postgres::Row;

use super::names::{COMPARED_MAX, Entry};
use super::pages::Pages;
use super::rows::{self, Micros, Present};
use super::{Breach, Meter, RowId, ShardChains, Table, batches};
use crate::AuditError;
use crate::snapshot::Snapshot;

const TABLE: Table = Table::Keys;

/// The batches whose keys must be there, or of whose time there are some. The lists themselves are not sorted with them:
/// long ones are stored apart.
const LISTS: &str = "SELECT writer, number, decided_at, keys FROM batches WHERE keys <> '' AND decided_at >= \
     least(now() - interval '30 days', (SELECT min(recorded_at) FROM idempotency)) ORDER BY decided_at";

/// A key is remembered for 30 days at least. Less what a clock may be wrong that says so to whoever forgets it.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(30 * 24 - 2);

/// Compares all keys.
pub(super) async fn compare(
    snapshot: &Snapshot<'_>,
    meter: &Meter<'_>,
    found: &mut ShardChains,
) -> Result<(), AuditError> {
    let mut lists = Lists::of(snapshot, meter).await?;
    let remembered = snapshot.taken_at.saturating_sub(REMEMBERED);
    let remembered = remembered.map_or(Micros(i64::MIN), |time| Micros(time.as_microsecond()));
    let mut comparison = Comparison { found, remembered, unlisted: Vec::new(), missing: Vec::new() };
    let mut recorded = lists.next(&mut comparison).await?;
    let mut pages = rows::pages(snapshot, TABLE, meter).await?;
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            break;
        }
        for row in &page {
            let row = Present::read(TABLE, row).map_err(pages.failed())?;
            while let Some(earlier) = recorded.take_if(|recorded| recorded.at < row.made_at) {
                comparison.end(earlier);
                recorded = lists.next(&mut comparison).await?;
            }
            comparison.see(row, recorded.as_mut());
        }
    }
    while let Some(rest) = recorded {
        comparison.end(rest);
        recorded = lists.next(&mut comparison).await?;
    }
    comparison.conclude();
    Ok(())
}

/// What the batches of one time list that was not found yet, and what was found and they do not list.
struct Recorded {
    at: Micros,
    listed: HashMap<Listed, Entry>,
    unlisted: Vec<Present>,
}

/// Reads the batches' lists of keys along their time.
struct Lists<'a, 'c> {
    pages: Pages<'a, 'c>,
    read: VecDeque<Row>,
    is_over: bool,
}

impl<'a, 'c> Lists<'a, 'c> {
    async fn of(snapshot: &'a Snapshot<'c>, meter: &'a Meter<'a>) -> Result<Self, AuditError> {
        let pages = Pages::of(LISTS, "its batches", batches::PAGE, snapshot, meter).await?;
        Ok(Lists { pages, read: VecDeque::new(), is_over: false })
    }

    /// The lists of the next time at which there are some.
    async fn next(&mut self, comparison: &mut Comparison<'_>) -> Result<Option<Recorded>, AuditError> {
        let mut recorded: Option<Recorded> = None;
        loop {
            if self.read.is_empty() && !self.is_over {
                self.read = self.pages.next().await?.into();
                self.is_over = self.read.is_empty();
            }
            let Some(row) = self.read.front() else { return Ok(recorded) };
            let at = row.try_get::<_, Micros>(2).map_err(self.pages.failed())?;
            let into = recorded.get_or_insert_with(|| Recorded { at, listed: HashMap::new(), unlisted: Vec::new() });
            if into.at != at {
                return Ok(recorded);
            }
            self.add(row, into, comparison)?;
            self.read.pop_front();
        }
    }

    fn add(&self, row: &Row, into: &mut Recorded, comparison: &mut Comparison<'_>) -> Result<(), AuditError> {
        let failed = || self.pages.failed();
        let (writer, number) = (row.try_get(0).map_err(failed())?, row.try_get(1).map_err(failed())?);
        for row in listed(row.try_get(3).map_err(failed())?) {
            let entry = Entry { row, writer, number, is_replaced: false };
            // Many batches of one time are what somebody made.
            if is_full(into.listed.len()) {
                comparison.count_only();
            } else if into.listed.insert(row, entry).is_some() {
                let id = RowId::of(TABLE, row.id);
                comparison.found.breach(Breach::RowRepeated { table: TABLE, id, writer, number });
            }
        }
        Ok(())
    }
}

fn is_full(rows: usize) -> bool {
    u64::try_from(rows).is_ok_and(|rows| rows >= COMPARED_MAX)
}

struct Comparison<'a> {
    found: &'a mut ShardChains,
    /// What was recorded since then must be there.
    remembered: Micros,
    /// There, and listed by no batch of its time.
    unlisted: Vec<Listed>,
    /// Listed, and not there.
    missing: Vec<Entry>,
}

impl Comparison<'_> {
    /// A row, and what batches list at its time, if they do.
    fn see(&mut self, row: Present, recorded: Option<&mut Recorded>) {
        self.found.rows += 1;
        let Some(recorded) = recorded.filter(|recorded| recorded.at == row.made_at) else {
            return self.unlisted(row);
        };
        let is_listed = recorded.listed.remove(&row.listed).is_some();
        match (is_listed, is_full(recorded.unlisted.len())) {
            (true, _) => {}
            (false, false) => recorded.unlisted.push(row),
            (false, true) => self.count_only(),
        }
    }

    /// All rows of the time were seen.
    fn end(&mut self, recorded: Recorded) {
        let Recorded { at, listed, unlisted } = recorded;
        let (changed, added, missing) = pair(listed.into_values(), unlisted, |row| row.listed);
        changed.iter().for_each(|entry| self.changed(entry));
        added.into_iter().for_each(|row| self.unlisted(row));
        let missing = if at >= self.remembered { missing } else { Vec::new() };
        for entry in missing {
            match is_full(self.missing.len()) {
                true => self.count_only(),
                false => self.missing.push(entry),
            }
        }
    }

    fn unlisted(&mut self, row: Present) {
        if row.is_before(self.found.since.of(TABLE)) {
            self.found.before(TABLE);
        } else if is_full(self.unlisted.len()) {
            self.count_only();
        } else {
            self.unlisted.push(row.listed);
        }
    }

    /// A key that is there with another time than its batch is a changed one, unless it is as the batch lists it: then the
    /// batch was given another time, which its hash shows.
    fn conclude(mut self) {
        let (mut missing, mut unlisted) = (std::mem::take(&mut self.missing), std::mem::take(&mut self.unlisted));
        let there: HashSet<Listed> = unlisted.iter().copied().collect();
        let listed: HashSet<Listed> = missing.iter().map(|entry| entry.row).collect();
        missing.retain(|entry| !there.contains(&entry.row));
        unlisted.retain(|row| !listed.contains(row));
        let (changed, added, removed) = pair(missing.into_iter(), unlisted, |row| *row);
        changed.iter().for_each(|entry| self.changed(entry));
        for row in added {
            self.found.breach(Breach::RowAdded { table: TABLE, id: RowId::of(TABLE, row.id) });
        }
        for Entry { row, writer, number, .. } in removed {
            let id = RowId::of(TABLE, row.id);
            self.found.breach(Breach::RowRemoved { table: TABLE, id, writer, number });
        }
    }

    fn changed(&mut self, entry: &Entry) {
        let (id, writer, number) = (RowId::of(TABLE, entry.row.id), entry.writer, entry.number);
        self.found.breach(Breach::RowChanged { table: TABLE, id, writer, number });
    }

    /// It is too much to be named.
    fn count_only(&mut self) {
        self.found.violations += 1;
        self.found.more = true;
    }
}

/// Pairs what is listed with the rows that are there under the same id and are not the same: those of the first that have
/// one, the rows that are left, and the entries that are left.
fn pair<R>(
    entries: impl Iterator<Item = Entry>,
    rows: Vec<R>,
    listed: impl Fn(&R) -> Listed,
) -> (Vec<Entry>, Vec<R>, Vec<Entry>) {
    if rows.is_empty() {
        return (Vec::new(), rows, entries.collect());
    }
    let mut by_id: HashMap<u128, Vec<Entry>> = HashMap::new();
    entries.for_each(|entry| by_id.entry(entry.row.id).or_default().push(entry));
    let (mut paired, mut alone) = (Vec::new(), Vec::new());
    for row in rows {
        match by_id.get_mut(&listed(&row).id).and_then(Vec::pop) {
            Some(entry) => paired.push(entry),
            None => alone.push(row),
        }
    }
    (paired, alone, by_id.into_values().flatten().collect())
}

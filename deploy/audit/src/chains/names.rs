//! The names of rows that were changed, added or removed, where a table's sums differ.

use std::collections::BTreeSet;

use ::chain::{Changes, Listed, RowDigest, listed};

use super::changing;
use super::rows::Present;
use super::sums::{Sums, bucket_of};
use super::{Breach, Meter, RowId, ShardChains, Table, batches, rows};
use crate::AuditError;
use crate::snapshot::Snapshot;

/// Rows compared one by one at a time: 60 MB of them at most, counted on all sides.
pub(super) const COMPARED_MAX: u64 = 1_000_000;
/// What so much is wrong with is not compared any further.
const WRONG_MAX: u64 = 1_000;

/// A row as a batch lists it, and the batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub row: Listed,
    pub writer: i32,
    pub number: i64,
    /// The batch replaced or removed it; otherwise it wrote it.
    pub is_replaced: bool,
}

impl Entry {
    /// All entries of a batch.
    fn of<'a>(changes: Changes<'a>, writer: i32, number: i64) -> impl Iterator<Item = Entry> + use<'a> {
        let entry = move |is_replaced: bool| move |row: Listed| Entry { row, writer, number, is_replaced };
        listed(changes.written).map(entry(false)).chain(listed(changes.replaced).map(entry(true)))
    }
}

/// Compares the buckets that differ, row by row, as many at a time as memory allows. What is too much to compare is
/// counted as one breach for each bucket.
pub(super) async fn find(
    table: Table,
    sums: &Sums,
    snapshot: &Snapshot<'_>,
    meter: &Meter<'_>,
    found: &mut ShardChains,
) -> Result<(), AuditError> {
    let mut different: Vec<(u16, u64)> = sums.different().collect();
    let known = found.violations;
    while !different.is_empty() {
        let (chosen, left) = choose(different, COMPARED_MAX);
        if chosen.is_empty() || found.violations - known > WRONG_MAX {
            found.violations += count(chosen.len() + left.len());
            found.more = true;
            return Ok(());
        }
        compare_buckets(table, &chosen, snapshot, meter, found).await?;
        different = left;
    }
    Ok(())
}

fn count(buckets: usize) -> u64 {
    u64::try_from(buckets).unwrap_or(u64::MAX)
}

/// The buckets to compare, of `max` rows together, and those that are left.
fn choose(different: Vec<(u16, u64)>, max: u64) -> (BTreeSet<u16>, Vec<(u16, u64)>) {
    let (mut chosen, mut left, mut rows) = (BTreeSet::new(), Vec::new(), 0);
    for (bucket, in_it) in different {
        match rows + in_it <= max {
            true => {
                rows += in_it;
                chosen.insert(bucket);
            }
            false => left.push((bucket, in_it)),
        }
    }
    (chosen, left)
}

async fn compare_buckets(
    table: Table,
    chosen: &BTreeSet<u16>,
    snapshot: &Snapshot<'_>,
    meter: &Meter<'_>,
    found: &mut ShardChains,
) -> Result<(), AuditError> {
    let mut listed = Vec::new();
    batches::read(snapshot, meter, |stored| {
        let entries = Entry::of(stored.changes(table), stored.batch.writer, stored.batch.number);
        listed.extend(entries.filter(|entry| chosen.contains(&bucket_of(&entry.row))));
        Ok(())
    })
    .await?;
    let mut present = Vec::new();
    rows::read(snapshot, table, meter, |row| {
        if chosen.contains(&bucket_of(&row.listed)) {
            present.push(row);
        }
    })
    .await?;
    let same = together(listed, present);
    match table {
        Table::Accounts | Table::Reservations => changing::compare(table, same, snapshot, found).await,
        Table::Transfers | Table::Inbox | Table::Keys => {
            same.for_each(|(entries, there)| written_once(table, &entries, there, found));
            Ok(())
        }
    }
}

/// All that batches say of each row, and the row.
fn together(mut listed: Vec<Entry>, mut present: Vec<Present>) -> impl Iterator<Item = (Vec<Entry>, Option<Present>)> {
    listed.sort_unstable_by_key(|entry| (entry.row.id, entry.writer, entry.number, entry.is_replaced));
    present.sort_unstable_by_key(|row| row.listed.id);
    let (mut listed, mut present) = (listed.into_iter().peekable(), present.into_iter().peekable());
    std::iter::from_fn(move || {
        let ids = [listed.peek().map(|entry| entry.row.id), present.peek().map(|row| row.listed.id)];
        let id = ids.into_iter().flatten().min()?;
        let entries = std::iter::from_fn(|| listed.next_if(|entry| entry.row.id == id)).collect();
        Some((entries, present.next_if(|row| row.listed.id == id)))
    })
}

fn written_once(table: Table, entries: &[Entry], there: Option<Present>, found: &mut ShardChains) {
    match there {
        Some(row) if entries.is_empty() => {
            if !row.is_before(found.since.of(table)) {
                found.breach(Breach::RowAdded { table, id: RowId::of(table, row.listed.id) });
            }
        }
        there => all_entries(table, entries, there.map(|row| row.listed.digest), found),
    }
}

fn all_entries(table: Table, same: &[Entry], there: Option<RowDigest>, found: &mut ShardChains) {
    for (place, Entry { row, writer, number, .. }) in same.iter().enumerate() {
        let (id, writer, number) = (RowId::of(table, row.id), *writer, *number);
        if place > 0 {
            found.breach(Breach::RowRepeated { table, id, writer, number });
        }
        match there {
            None => found.breach(Breach::RowRemoved { table, id, writer, number }),
            Some(digest) if digest != row.digest => found.breach(Breach::RowChanged { table, id, writer, number }),
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::Micros;
    use super::*;

    #[test]
    fn rows_that_are_compared_at_a_time_are_bounded() {
        let different = || vec![(7, 40), (8, 50), (9, 20), (10, 10)];
        assert_eq!(choose(different(), 100), (BTreeSet::from([7, 8, 10]), vec![(9, 20)]));
        assert_eq!(choose(different(), 5), (BTreeSet::new(), different()));
        assert_eq!(choose(different(), 120).1, []);
    }

    #[test]
    fn entries_and_rows_of_an_id_come_together() {
        let row = |id: u128| Listed { id, digest: RowDigest([0; RowDigest::BYTES]) };
        let entry = |id: u128, number: i64| Entry { row: row(id), writer: 0, number, is_replaced: false };
        let present = |id: u128| Present { listed: row(id), made_at: Micros(0) };
        let found = together(vec![entry(5, 2), entry(1, 1), entry(5, 1)], vec![present(9), present(5), present(2)]);
        let shown = found.map(|(entries, there)| {
            (entries.iter().map(|entry| entry.number).collect::<Vec<_>>(), there.map(|row| row.listed.id))
        });
        assert_eq!(
            shown.collect::<Vec<_>>(),
            [(vec![1], None), (vec![], Some(2)), (vec![1, 2], Some(5)), (vec![], Some(9))]
        );
    }
}

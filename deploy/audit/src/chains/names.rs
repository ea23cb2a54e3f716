//! The names of rows that were changed, added or removed.

use std::collections::BTreeSet;

use ::chain::{Listed, RowDigest};
use uuid::Uuid;

use super::rows::Present;
use super::sums::{Sums, bucket_of};
use super::{Breach, Meter, ShardChains, Table, batches, rows};
use crate::AuditError;
use crate::snapshot::Snapshot;

/// Rows compared one by one: 40 MB of them at most, counted on both sides.
const COMPARED_MAX: u64 = 1_000_000;

/// A row as a batch lists it, and the batch.
struct Entry {
    row: Listed,
    writer: i32,
    number: i64,
}

/// Compares the buckets that differ, row by row. What is too much to compare is counted as one breach for each bucket.
pub(super) async fn find(
    table: Table,
    sums: &Sums,
    snapshot: &Snapshot<'_>,
    meter: &Meter<'_>,
    found: &mut ShardChains,
) -> Result<(), AuditError> {
    let (chosen, left) = choose(sums.different(), COMPARED_MAX);
    if chosen.is_empty() && left == 0 {
        return Ok(());
    }
    let mut listed = Vec::new();
    batches::read(snapshot, meter, |stored| {
        let (writer, number) = (stored.batch.writer, stored.batch.number);
        let rows = stored.listed(table).filter(|row| chosen.contains(&bucket_of(row)));
        listed.extend(rows.map(|row| Entry { row, writer, number }));
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
    compare(table, listed, present, found);
    found.violations += left;
    found.more |= left > 0;
    Ok(())
}

/// The buckets to compare, of `max` rows together, and how many more there are.
fn choose(different: impl Iterator<Item = (u16, u64)>, max: u64) -> (BTreeSet<u16>, u64) {
    let (mut chosen, mut left, mut rows) = (BTreeSet::new(), 0, 0);
    for (bucket, in_it) in different {
        match rows + in_it <= max {
            true => {
                rows += in_it;
                chosen.insert(bucket);
            }
            false => left += 1,
        }
    }
    (chosen, left)
}

fn compare(table: Table, mut listed: Vec<Entry>, mut present: Vec<Present>, found: &mut ShardChains) {
    listed.sort_unstable_by_key(|entry| (entry.row.id, entry.writer, entry.number));
    present.sort_unstable_by_key(|row| row.listed.id);
    let mut present = present.into_iter().peekable();
    for same in listed.chunk_by(|one, next| one.row.id == next.row.id) {
        let Some(Entry { row, .. }) = same.first() else { continue };
        while let Some(unlisted) = present.next_if(|there| there.listed.id < row.id) {
            added(table, &unlisted, found);
        }
        let there = present.next_if(|there| there.listed.id == row.id);
        entries(table, same, there.map(|there| there.listed.digest), found);
    }
    present.for_each(|unlisted| added(table, &unlisted, found));
}

fn added(table: Table, row: &Present, found: &mut ShardChains) {
    if !row.is_before(found.since) {
        found.breach(Breach::RowAdded { table, id: Uuid::from_u128(row.listed.id) });
    }
}

/// All that batches say of one row, and the row.
fn entries(table: Table, same: &[Entry], there: Option<RowDigest>, found: &mut ShardChains) {
    for (place, Entry { row, writer, number }) in same.iter().enumerate() {
        let (id, writer, number) = (Uuid::from_u128(row.id), *writer, *number);
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
    use super::*;

    #[test]
    fn rows_that_are_compared_are_bounded() {
        let different = || [(7, 40), (8, 50), (9, 20), (10, 10)].into_iter();
        assert_eq!(choose(different(), 100), (BTreeSet::from([7, 8, 10]), 1));
        assert_eq!(choose(different(), 5), (BTreeSet::new(), 4));
        assert_eq!(choose(different(), 120).1, 0);
    }

    #[test]
    fn sums_differ_where_a_row_is_other_than_listed() {
        let row = |id: u128, digest: u8| Listed { id, digest: RowDigest([digest; RowDigest::BYTES]) };
        let mut sums = Sums::new();
        for id in 0..1_000 {
            sums.list(&row(id, 1));
        }
        for id in (0..1_000).rev() {
            sums.find(&row(id, if id == 300 { 2 } else { 1 }));
        }
        sums.find(&row(5_000, 1));
        sums.list(&row(6_000, 1));
        assert_eq!(sums.different().collect::<Vec<_>>(), [(300, 2), (5_000, 1), (6_000, 1)]);
    }
}

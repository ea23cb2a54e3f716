//! Rows that batches also change and remove: accounts and reservations.
//!
//! What batches wrote of a row, less what they replaced of it, is how it must be now. That is told without knowing which
//! of two writers came first, and no clock is asked.

use std::collections::{BTreeMap, BTreeSet};

use ::chain::RowDigest;
use jiff::Timestamp;
use uuid::Uuid;

use super::names::Entry;
use super::rows::Present;
use super::{Breach, RowId, ShardChains, Table};
use crate::AuditError;
use crate::snapshot::Snapshot;

/// Which of these transfers were begun before the start of the chains.
const BEGUN_BEFORE: &str = "SELECT id FROM transfers WHERE id = ANY($1) AND coalesce(created_at, decided_at) < $2";

/// Transfers looked up at a time.
const PAGE: usize = 1_000;

/// What the entries of a row and the row itself come to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Holds,
    Broken(Breach),
    /// Broken, unless the reservation, which is gone, was placed before the start of the chains.
    Gone(Breach),
}

/// Judges rows of `accounts` or `reservations`.
pub(super) async fn compare(
    table: Table,
    same: impl Iterator<Item = (Vec<Entry>, Option<Present>)>,
    snapshot: &Snapshot<'_>,
    found: &mut ShardChains,
) -> Result<(), AuditError> {
    let since = found.since.of(table);
    let mut gone = Vec::new();
    for (entries, there) in same {
        match judge(table, &entries, there, since) {
            Verdict::Gone(breach) if since.is_some() && table == Table::Reservations => {
                gone.extend(entries.first().map(|entry| (Uuid::from_u128(entry.row.id), breach)));
            }
            Verdict::Gone(breach) | Verdict::Broken(breach) => found.breach(breach),
            Verdict::Holds => {}
        }
    }
    for gone in gone.chunks(PAGE) {
        let ids: Vec<Uuid> = gone.iter().map(|(id, _)| *id).collect();
        let older = snapshot.transaction.query(BEGUN_BEFORE, &[&ids, &since]).await;
        let older = older.map_err(AuditError::asking(snapshot.shard, "its transfers"))?;
        let older: BTreeSet<Uuid> = older.iter().map(|row| row.get(0)).collect();
        let broken = gone.iter().filter(|(id, _)| !older.contains(id));
        broken.for_each(|(_, breach)| found.breach(breach.clone()));
    }
    Ok(())
}

fn judge(table: Table, entries: &[Entry], there: Option<Present>, since: Option<Timestamp>) -> Verdict {
    let left = Left::of(entries);
    let Some(id) = entries.first().map(|entry| entry.row.id).or(there.map(|row| row.listed.id)) else {
        return Verdict::Holds;
    };
    let id = RowId::of(table, id);
    let (added, changed) = (Breach::RowAdded { table, id }, |&Entry { writer, number, .. }: &Entry| {
        Breach::RowChanged { table, id, writer, number }
    });
    let Some(row) = there else {
        return match (left.written.first(), left.replaced.is_empty()) {
            (None, true) => Verdict::Holds,
            (Some(&&Entry { writer, number, .. }), true) => {
                Verdict::Gone(Breach::RowRemoved { table, id, writer, number })
            }
            (Some(entry), false) => Verdict::Gone(changed(entry)),
            (None, false) => Verdict::Gone(added),
        };
    };
    let (mut as_written, others): (Vec<&Entry>, Vec<&Entry>) =
        left.written.iter().partition(|entry| entry.row.digest == row.listed.digest);
    let is_written = as_written.pop().is_some();
    match (others.first(), as_written.first(), is_written) {
        (Some(entry), _, _) => Verdict::Broken(changed(entry)),
        (None, Some(&&Entry { writer, number, .. }), _) => {
            Verdict::Broken(Breach::RowRepeated { table, id, writer, number })
        }
        (None, None, true) if left.replaced.is_empty() => Verdict::Holds,
        // A row that no batch had written was replaced: one from before the chains.
        (None, None, true) if left.replaced.len() == 1 && row.is_before(since) => Verdict::Holds,
        (None, None, false) if entries.is_empty() && row.is_before(since) => Verdict::Holds,
        (None, None, _) => Verdict::Broken(added),
    }
}

/// Entries that do not make up for each other, the latest of each writer first.
struct Left<'a> {
    written: Vec<&'a Entry>,
    replaced: Vec<&'a Entry>,
}

impl<'a> Left<'a> {
    fn of(entries: &'a [Entry]) -> Self {
        let mut by_digest: BTreeMap<RowDigest, (Vec<&Entry>, Vec<&Entry>)> = BTreeMap::new();
        for entry in entries {
            let (written, replaced) = by_digest.entry(entry.row.digest).or_default();
            if entry.is_replaced { replaced } else { written }.push(entry);
        }
        let (mut written, mut replaced) = (Vec::new(), Vec::new());
        for (w, r) in by_digest.values() {
            written.extend(w.iter().skip(r.len()));
            replaced.extend(r.iter().skip(w.len()));
        }
        written.sort_unstable_by_key(|entry: &&Entry| (entry.writer, -entry.number));
        Left { written, replaced }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::Micros;
    use super::*;
    use ::chain::Listed;

    const START: i64 = 1_000;

    fn row(digest: u8) -> Listed {
        Listed { id: 7, digest: RowDigest([digest; RowDigest::BYTES]) }
    }

    fn wrote(writer: i32, number: i64, digest: u8) -> Entry {
        Entry { row: row(digest), writer, number, is_replaced: false }
    }

    fn replaced(writer: i32, number: i64, digest: u8) -> Entry {
        Entry { is_replaced: true, ..wrote(writer, number, digest) }
    }

    fn there(digest: u8) -> Option<Present> {
        Some(Present { listed: row(digest), made_at: Micros(START) })
    }

    fn old(digest: u8) -> Option<Present> {
        Some(Present { listed: row(digest), made_at: Micros(START - 1) })
    }

    const TABLE: Table = Table::Accounts;

    fn id() -> RowId {
        RowId::Account(7)
    }

    fn changed(writer: i32, number: i64) -> Verdict {
        Verdict::Broken(Breach::RowChanged { table: TABLE, id: id(), writer, number })
    }

    fn added() -> Verdict {
        Verdict::Broken(Breach::RowAdded { table: TABLE, id: id() })
    }

    fn judged(entries: &[Entry], there: Option<Present>) -> Verdict {
        judge(TABLE, entries, there, None)
    }

    fn judged_since(entries: &[Entry], there: Option<Present>) -> Verdict {
        judge(TABLE, entries, there, Timestamp::from_microsecond(START).ok())
    }

    /// Made by one lane, frozen by another, unfrozen by the first and frozen by a third.
    fn life() -> Vec<Entry> {
        vec![
            wrote(0, 5, 1),
            replaced(1, 2, 1),
            wrote(1, 2, 2),
            replaced(0, 9, 2),
            wrote(0, 9, 1),
            replaced(100, 4, 1),
            wrote(100, 4, 2),
        ]
    }

    #[test]
    fn row_as_the_last_of_several_writers_left_it_holds() {
        assert_eq!(judged(&life(), there(2)), Verdict::Holds);
        assert_eq!(judged(&life()[..5], there(1)), Verdict::Holds);
        assert_eq!(judged(&life()[..1], there(1)), Verdict::Holds);
    }

    #[test]
    fn row_as_another_writer_once_left_it_is_changed() {
        assert_eq!(judged(&life(), there(1)), changed(100, 4));
        assert_eq!(judged(&life()[..3], there(1)), changed(1, 2));
    }

    #[test]
    fn change_that_a_batch_went_on_with_is_found_all_the_same() {
        let entries = [wrote(0, 5, 1), replaced(1, 2, 8), wrote(1, 2, 9)];
        assert_eq!(judged(&entries, there(9)), changed(0, 5));
        let settled = [wrote(0, 5, 1), replaced(1, 2, 8)];
        let Verdict::Gone(breach) = judged(&settled, None) else { panic!("it holds") };
        assert_eq!(Verdict::Broken(breach), changed(0, 5));
    }

    #[test]
    fn row_that_no_batch_wrote_is_added() {
        assert_eq!(judged(&[], there(1)), added());
        assert_eq!(judged(&[replaced(0, 3, 1), wrote(0, 3, 2)], there(2)), added());
        assert_eq!(judged(&[wrote(0, 3, 1), replaced(0, 4, 1)], there(1)), added(), "it was removed");
        assert_eq!(judged(&[replaced(0, 3, 1)], None), Verdict::Gone(Breach::RowAdded { table: TABLE, id: id() }));
    }

    #[test]
    fn row_that_is_gone_is_removed_unless_a_batch_removed_it() {
        assert_eq!(judged(&[wrote(0, 3, 1), replaced(1, 9, 1)], None), Verdict::Holds);
        let removed = Breach::RowRemoved { table: TABLE, id: id(), writer: 100, number: 4 };
        assert_eq!(judged(&life(), None), Verdict::Gone(removed));
    }

    #[test]
    fn row_that_two_batches_made_is_repeated() {
        let repeated = Breach::RowRepeated { table: TABLE, id: id(), writer: 0, number: 3 };
        assert_eq!(judged(&[wrote(0, 3, 1), wrote(1, 4, 1)], there(1)), Verdict::Broken(repeated));
    }

    #[test]
    fn only_rows_from_before_the_start_may_stand_in_no_batch() {
        assert_eq!(judged_since(&[], old(1)), Verdict::Holds);
        assert_eq!(judged_since(&[], there(1)), added());
        let frozen = [replaced(0, 3, 1), wrote(0, 3, 2)];
        assert_eq!(judged_since(&frozen, old(2)), Verdict::Holds);
        assert_eq!(judged_since(&frozen, there(2)), added());
        assert_eq!(judged_since(&frozen, old(1)), changed(0, 3), "a change of status was taken back");
        assert_eq!(judged_since(&life(), old(3)), changed(100, 4), "dated back to be excused");
    }
}

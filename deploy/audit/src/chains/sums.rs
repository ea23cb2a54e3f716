//! Whether the rows that batches list are the rows that are there, in a fixed amount of memory.

use ::chain::{Changes, Listed, listed};
use uuid::Uuid;

/// One for each value of an id's last two bytes, which are random.
const BUCKETS: usize = 1 << 16;

/// Rows that share a bucket.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    /// What is listed as written, less what is listed as replaced and what is there.
    difference: u128,
    /// Rows counted on any side.
    rows: u64,
}

/// The rows of one table, listed against there.
pub(super) struct Sums {
    /// Nobody can choose rows whose sums are equal without knowing it, and it is made anew each time.
    secret: [u8; 16],
    buckets: Vec<Sum>,
}

impl Sums {
    pub fn new() -> Self {
        Sums { secret: Uuid::new_v4().into_bytes(), buckets: vec![Sum::default(); BUCKETS] }
    }

    /// A batch lists the rows.
    pub fn add(&mut self, changes: Changes<'_>) {
        listed(changes.written).for_each(|row| self.list(&row));
        // What was replaced is accounted for as what is there.
        listed(changes.replaced).for_each(|row| self.find(&row));
    }

    fn list(&mut self, row: &Listed) {
        let mark = self.mark(row);
        let sum = self.bucket(row);
        sum.difference = sum.difference.wrapping_add(mark);
        sum.rows += 1;
    }

    /// The row is there.
    pub fn find(&mut self, row: &Listed) {
        let mark = self.mark(row);
        let sum = self.bucket(row);
        sum.difference = sum.difference.wrapping_sub(mark);
        sum.rows += 1;
    }

    /// The buckets in which not all is equal, by number, with their rows.
    pub fn different(&self) -> impl Iterator<Item = (u16, u64)> {
        let numbered = (0..=u16::MAX).zip(&self.buckets);
        numbered.filter(|(_, sum)| sum.difference != 0).map(|(number, sum)| (number, sum.rows))
    }

    fn bucket(&mut self, row: &Listed) -> &mut Sum {
        &mut self.buckets[usize::from(bucket_of(row))]
    }

    fn mark(&self, row: &Listed) -> u128 {
        ::chain::mark(&self.secret, row)
    }
}

/// The number of a row's bucket.
pub(super) fn bucket_of(row: &Listed) -> u16 {
    let [.., high, low] = row.id.to_be_bytes();
    u16::from_be_bytes([high, low])
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::chain::{RowDigest, list};

    fn row(id: u128, digest: u8) -> Listed {
        Listed { id, digest: RowDigest([digest; RowDigest::BYTES]) }
    }

    #[test]
    fn sums_differ_where_a_row_is_other_than_listed() {
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

    #[test]
    fn rows_that_were_replaced_are_accounted_for() {
        let mut sums = Sums::new();
        let lists = |rows: &[Listed]| list(rows.iter().copied());
        // In whatever order: of two writers, nobody knows which came first.
        sums.add(Changes { written: &lists(&[row(7, 3), row(8, 2)]), replaced: &lists(&[row(7, 2), row(8, 1)]) });
        sums.add(Changes { written: &lists(&[row(7, 2)]), replaced: &lists(&[row(7, 1)]) });
        sums.add(Changes { written: &lists(&[row(7, 1), row(8, 1), row(9, 1)]), replaced: &[] });
        sums.add(Changes { written: &[], replaced: &lists(&[row(9, 1)]) });
        sums.find(&row(7, 3));
        sums.find(&row(8, 1));
        assert_eq!(sums.different().map(|(bucket, _)| bucket).collect::<Vec<_>>(), [8], "8 is as it was once");
    }
}

//! Whether the rows that batches list are the rows that are there, in a fixed amount of memory.

use ::chain::Listed;
use uuid::Uuid;

/// One for each value of an id's last two bytes, which are random.
const BUCKETS: usize = 1 << 16;

/// Rows that share a bucket.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    /// What is listed, less what is there.
    difference: u128,
    /// Rows counted on either side.
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

    /// A batch lists the row.
    pub fn list(&mut self, row: &Listed) {
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

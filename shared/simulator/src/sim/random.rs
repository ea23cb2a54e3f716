//! The one source of chance. The algorithm is named and its ranges are made here, so that a seed gives the same run
//! with every version of the library, on every platform.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};

/// Dice that fall the same way for the same seed.
#[derive(Debug)]
pub(super) struct Dice(Xoshiro256PlusPlus);

impl Dice {
    pub fn of_seed(seed: u64) -> Dice {
        Dice(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number from `low` to `high`, `high` included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let range = high.saturating_sub(low).max(0).unsigned_abs() + 1;
        let wide = u128::from(self.bits()) * u128::from(range);
        // The upper half of the product is below the range, which came from an i64.
        low + i64::try_from(wide >> 64).unwrap_or(0)
    }

    /// Whether something happens that does so in that many of a thousand cases.
    pub fn in_thousand(&mut self, cases: i64) -> bool {
        self.between(1, 1_000) <= cases
    }

    /// A place in something that is not empty.
    pub fn place(&mut self, length: usize) -> usize {
        let last = i64::try_from(length).unwrap_or(i64::MAX) - 1;
        usize::try_from(self.between(0, last)).unwrap_or(0)
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.place(from.len())]
    }
}

//! In which order batches are told, so that the events of each account come in the order of its entries.
//!
//! A batch that follows another on an account got the account's row lock only after the other had committed. Two things
//! follow:
//!
//! 1. its position in the write-ahead log, read under that lock, is greater than the other's, which was read before the
//!    other's commit went into the log. So among the batches of one reading, the order of positions is right;
//! 2. whoever sees it sees the other one too. So a later reading has nothing that belongs before what is told now, as
//!    long as all that was visible is told.
//!
//! If there is more than is read at once, the second is not enough: what is missing of one writer may belong before what
//! is there of another. But it has a position greater than that writer's last one that is there. So everything is cut off
//! at the smallest of these, and what is left is complete.

use crate::store::events::Batch;
use std::collections::HashMap;

/// What the order goes by: the position; for batches from before positions were noted, the time.
type Place = (u64, i64);

/// The batches that can be told now, in their order. `of_each` is how many of each writer were read at most; there may be
/// more of those that came to so many.
pub fn in_order(mut batches: Vec<Batch>, of_each: usize) -> Vec<Batch> {
    batches.sort_unstable_by_key(|batch| (batch.writer, batch.number));
    let mut last: HashMap<i32, (usize, Place)> = HashMap::new();
    let mut placed: Vec<(Place, Batch)> = Vec::with_capacity(batches.len());
    for batch in batches {
        let (count, place) = last.entry(batch.writer).or_default();
        // Whatever the positions say, a writer's batches stay in the order of their numbers, for that is what is noted.
        (*count, *place) = (*count + 1, (*place).max((batch.position, batch.decided_at.0)));
        placed.push((*place, batch));
    }
    let bounded = last.values().filter(|(count, _)| *count >= of_each).map(|(_, place)| *place);
    if let Some(end) = bounded.min() {
        placed.retain(|(place, _)| *place <= end);
    }
    placed.sort_by_key(|(place, batch)| (*place, batch.writer, batch.number));
    placed.into_iter().map(|(_, batch)| batch).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::Timestamp;

    fn batch(writer: i32, number: i64, position: u64, decided_at: i64) -> Batch {
        Batch { writer, number, position, decided_at: Timestamp(decided_at), transfers: vec![] }
    }

    fn told(batches: Vec<Batch>, of_each: usize) -> Vec<(i32, i64)> {
        in_order(batches, of_each).into_iter().map(|batch| (batch.writer, batch.number)).collect()
    }

    #[test]
    fn batches_of_several_writers_go_by_their_positions() {
        let batches = vec![batch(0, 7, 10, 0), batch(0, 8, 40, 0), batch(1, 3, 20, 0), batch(1, 4, 30, 0)];
        assert_eq!(told(batches, 9), [(0, 7), (1, 3), (1, 4), (0, 8)]);
    }

    #[test]
    fn a_clock_that_is_set_back_changes_nothing() {
        let batches = vec![batch(0, 7, 10, 900), batch(0, 8, 40, 100), batch(1, 3, 20, 50)];
        assert_eq!(told(batches, 9), [(0, 7), (1, 3), (0, 8)]);
    }

    #[test]
    fn nothing_is_told_before_what_was_not_read() {
        // Writer 0 has more than was read: its next may belong before the 35 of writer 1.
        let batches = vec![batch(0, 7, 10, 0), batch(0, 8, 30, 0), batch(1, 3, 20, 0), batch(1, 4, 35, 0)];
        assert_eq!(told(batches.clone(), 3), [(0, 7), (1, 3), (0, 8), (1, 4)]);
        assert_eq!(told(batches, 2), [(0, 7), (1, 3), (0, 8)]);
    }

    #[test]
    fn a_full_reading_always_comes_forward() {
        let batches = vec![batch(0, 1, 50, 0), batch(1, 1, 10, 0), batch(2, 1, 20, 0)];
        assert_eq!(told(batches, 1), [(1, 1)]);
    }

    #[test]
    fn a_writers_batches_keep_the_order_of_their_numbers() {
        let batches = vec![batch(0, 2, 10, 0), batch(0, 1, 90, 0), batch(1, 1, 50, 0)];
        assert_eq!(told(batches, 9), [(1, 1), (0, 1), (0, 2)]);
    }

    #[test]
    fn batches_from_before_positions_come_first_by_their_times() {
        let batches = vec![batch(0, 1, 0, 20), batch(0, 2, 5, 0), batch(1, 1, 0, 10)];
        assert_eq!(told(batches, 9), [(1, 1), (0, 1), (0, 2)]);
    }
}

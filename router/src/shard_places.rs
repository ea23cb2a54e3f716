//! Calls on their way to each shard: one that is dead or slow may hold half of the router's places in flight, and leaves
//! the other half to the shards that answer.

use placement::ShardId;
use runtime::in_flight::{InFlight, Place};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The calls by shard.
#[derive(Debug)]
pub struct ShardPlaces {
    max: usize,
    shards: Mutex<HashMap<ShardId, InFlight>>,
}

impl ShardPlaces {
    /// For a router with so many places in flight.
    pub fn new(in_flight_max: usize) -> ShardPlaces {
        ShardPlaces { max: in_flight_max.div_ceil(2), shards: Mutex::default() }
    }

    /// A place for one more call; `None` if the shard has its half.
    pub fn enter(&self, shard: ShardId) -> Option<Place> {
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        shards.entry(shard).or_insert_with(|| InFlight::new(self.max)).enter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shard_that_holds_its_half_leaves_the_rest_to_others() {
        let shard = |number| ShardId::try_from(number).expect("a shard");
        let places = ShardPlaces::new(5);
        let held: Vec<Place> = (0..9).filter_map(|_| places.enter(shard(1))).collect();
        assert_eq!(held.len(), 3);
        assert!(places.enter(shard(2)).is_some());
        drop(held);
        assert!(places.enter(shard(1)).is_some());
        assert!(ShardPlaces::new(1).enter(shard(1)).is_some());
    }
}

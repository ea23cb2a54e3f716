//! How much is read.

use std::time::Duration;

use placement::{ShardId, Slot};

/// What of the system is audited, and how strictly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Only these shards; the others are still asked for the other halves of transfers. `None`: all.
    pub shards: Option<Vec<ShardId>>,
    /// Only what belongs to these slots, of whatever region. `None`: all. Sums over a shard are left out then.
    pub slots: Option<Vec<Slot>>,
    /// The age at which an open saga is a breach.
    pub saga_age: Duration,
}

impl Limits {
    /// The age of a saga that operators are alerted about.
    pub const SAGA_AGE: Duration = Duration::from_secs(5 * 60);

    /// Whether the shard is to be audited.
    pub(crate) fn includes(&self, shard: ShardId) -> bool {
        self.shards.as_ref().is_none_or(|shards| shards.contains(&shard))
    }

    /// Whether everything is.
    pub(crate) fn is_everything(&self) -> bool {
        self.shards.is_none() && self.slots.is_none()
    }

    /// The slots as a statement's parameter.
    pub(crate) fn slot_numbers(&self) -> Option<Vec<i16>> {
        // A slot is below 4096.
        let numbers = |slots: &Vec<Slot>| slots.iter().map(|slot| slot.get().cast_signed()).collect();
        self.slots.as_ref().map(numbers)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits { shards: None, slots: None, saga_age: Self::SAGA_AGE }
    }
}

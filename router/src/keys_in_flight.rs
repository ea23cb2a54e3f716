//! Which idempotency keys are being decided on behalf of this router's clients.
//!
//! It decides nothing: the shard does, and makes a repeat wait for the first. It only tells a repeat that has
//! waited in vain why it has.

use ledger::KeyHash;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The keys; as many as there are requests in flight.
#[derive(Debug, Default)]
pub struct KeysInFlight(Mutex<HashMap<KeyHash, u32>>);

/// One request with a key; dropped when it is answered.
#[derive(Debug)]
pub struct KeyInFlight<'a> {
    keys: &'a KeysInFlight,
    key: KeyHash,
    /// Whether another request with the key was in flight when this one came.
    pub is_repeat: bool,
}

impl KeysInFlight {
    /// A request with this key is in flight until the value is dropped.
    pub fn enter(&self, key: KeyHash) -> KeyInFlight<'_> {
        let mut counts = self.lock();
        let count = counts.entry(key).or_default();
        *count += 1;
        KeyInFlight { keys: self, key, is_repeat: *count > 1 }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<KeyHash, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for KeyInFlight<'_> {
    fn drop(&mut self) {
        let mut counts = self.keys.lock();
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeat_is_told_from_a_first_and_nothing_stays() {
        let keys = KeysInFlight::default();
        let first = keys.enter(KeyHash(1));
        let other = keys.enter(KeyHash(2));
        let repeat = keys.enter(KeyHash(1));
        assert_eq!((first.is_repeat, other.is_repeat, repeat.is_repeat), (false, false, true));
        drop(first);
        assert!(keys.enter(KeyHash(1)).is_repeat, "the repeat is still in flight");
        drop((repeat, other));
        assert!(keys.lock().is_empty());
    }
}

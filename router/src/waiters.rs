//! How many requests may wait because their clients wish it: `Prefer: wait` and `wait_seconds`, up to 30 s each. A wait
//! costs nearly nothing but its place, so the places for it are few: neither one user nor all of them together can hold
//! what everybody else needs. Whoever finds none is answered as without the wish (RFC 7240, section 2: a preference may
//! be ignored).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Waits of one user at once.
const OF_ONE_USER_MAX: u32 = 32;

/// The waits of all.
#[derive(Debug)]
pub struct Waiters {
    max: usize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    all: usize,
    of_user: HashMap<u64, u32>,
}

/// One request that may wait; dropped when it is answered.
#[derive(Debug)]
pub struct Waiter<'a> {
    waiters: &'a Waiters,
    user: u64,
}

impl Waiters {
    /// Nobody waits yet, at most so many will.
    pub fn new(max: usize) -> Waiters {
        Waiters { max, waiting: Mutex::default() }
    }

    /// A place for a user, told apart by the hash; `None` if too many wait.
    pub fn enter(&self, user: u64) -> Option<Waiter<'_>> {
        let mut waiting = self.lock();
        let of_user = waiting.of_user.get(&user).copied().unwrap_or_default();
        if waiting.all >= self.max || of_user >= OF_ONE_USER_MAX {
            return None;
        }
        waiting.all += 1;
        waiting.of_user.insert(user, of_user + 1);
        Some(Waiter { waiters: self, user })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut waiting = self.waiters.lock();
        waiting.all -= 1;
        if let Some(of_user) = waiting.of_user.get_mut(&self.user) {
            *of_user -= 1;
            if *of_user == 0 {
                waiting.of_user.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_leaves_places_to_others_and_all_together_to_those_who_do_not_wait() {
        let waiters = Waiters::new(40);
        let mut first: Vec<_> = (0..32).filter_map(|_| waiters.enter(1)).collect();
        assert_eq!(first.len(), 32);
        assert!(waiters.enter(1).is_none());
        let others: Vec<_> = (0..9).filter_map(|_| waiters.enter(2)).collect();
        assert_eq!(others.len(), 8, "40 in all");
        first.pop();
        assert!(waiters.enter(1).is_some(), "given back");
    }

    #[test]
    fn nothing_is_remembered_of_those_who_are_answered() {
        let waiters = Waiters::new(40);
        drop(waiters.enter(1));
        let waiting = waiters.lock();
        assert!(waiting.all == 0 && waiting.of_user.is_empty());
    }
}

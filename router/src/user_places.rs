//! Places of which one user can hold only some: for what costs nearly nothing but its place, and is held for as long as
//! a client likes. Neither one user nor all of them together can hold what everybody else needs.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The places of one kind.
#[derive(Debug)]
pub struct UserPlaces {
    max: usize,
    of_one_user_max: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    of_user: HashMap<u64, usize>,
}

/// A place; dropping it gives it back.
#[derive(Debug)]
pub struct UserPlace<'a> {
    places: &'a UserPlaces,
    user: u64,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPlace {
    /// The user has as many as one may have.
    OfUser,
    /// All are taken.
    AtAll,
}

impl UserPlaces {
    /// So many, all free.
    pub fn new(max: usize, of_one_user_max: usize) -> UserPlaces {
        UserPlaces { max, of_one_user_max, taken: Mutex::default() }
    }

    /// A place for a user, told apart by the hash.
    ///
    /// # Errors
    /// There is none, for everybody or for this user.
    pub fn enter(&self, user: u64) -> Result<UserPlace<'_>, NoPlace> {
        let mut taken = self.lock();
        let of_user = taken.of_user.get(&user).copied().unwrap_or_default();
        if taken.all >= self.max {
            return Err(NoPlace::AtAll);
        }
        if of_user >= self.of_one_user_max {
            return Err(NoPlace::OfUser);
        }
        taken.all += 1;
        taken.of_user.insert(user, of_user + 1);
        Ok(UserPlace { places: self, user })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UserPlace<'_> {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.all -= 1;
        if let Some(of_user) = taken.of_user.get_mut(&self.user) {
            *of_user -= 1;
            if *of_user == 0 {
                taken.of_user.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_leaves_places_to_others_and_all_together_have_no_more_than_there_are() {
        let places = UserPlaces::new(40, 32);
        let mut first: Vec<_> = (0..32).filter_map(|_| places.enter(1).ok()).collect();
        assert_eq!(first.len(), 32);
        assert_eq!(places.enter(1).err(), Some(NoPlace::OfUser));
        let others: Vec<_> = (0..8).filter_map(|_| places.enter(2).ok()).collect();
        assert_eq!(others.len(), 8);
        assert_eq!(places.enter(2).err(), Some(NoPlace::AtAll));
        first.pop();
        assert!(places.enter(1).is_ok(), "given back");
    }

    #[test]
    fn nothing_is_remembered_of_those_who_are_answered() {
        let places = UserPlaces::new(40, 32);
        drop(places.enter(1));
        let taken = places.lock();
        assert!(taken.all == 0 && taken.of_user.is_empty());
    }
}

//! A bound on the requests being answered at once: beyond it, refusing early is kinder than queueing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts requests being answered, up to a maximum. Clones share the count.
#[derive(Debug, Clone)]
pub struct InFlight {
    count: Arc<AtomicUsize>,
    max: usize,
}

/// One place taken; dropping it gives the place back.
#[derive(Debug)]
pub struct Place {
    count: Arc<AtomicUsize>,
}

impl InFlight {
    /// None in flight, at most `max` to come.
    pub fn new(max: usize) -> Self {
        Self { count: Arc::default(), max }
    }

    /// Takes a place; `None` when all are taken, and the request is to be answered 503.
    pub fn enter(&self) -> Option<Place> {
        let before = self.count.fetch_add(1, Ordering::Relaxed);
        // Made first, so that its drop takes back what we just added.
        let place = Place { count: Arc::clone(&self.count) };
        (before < self.max).then_some(place)
    }

    /// How many places are taken.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

//! The faults of a round, drawn from the seed.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::harm::{Harm, HarmClass, Layout, draw_of};

/// Between two faults that are not mixed, and between one and the heal of what lasts of it.
const GAP_MS: std::ops::RangeInclusive<u64> = 1_000..=4_000;

/// Between two faults that are.
const MIXED_GAP_MS: std::ops::RangeInclusive<u64> = 0..=600;

/// Faults of a round.
const STRIKES: std::ops::RangeInclusive<usize> = 6..=12;

/// What is done, and how long after what came before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// How long after the beginning of the one before.
    pub after: Duration,
    /// The harm, or the healing of all that are there.
    pub strike: Option<Harm>,
}

/// Draws round after round. Every class comes before one comes again.
pub struct Plans {
    random: SmallRng,
    classes: Vec<HarmClass>,
    deck: Vec<HarmClass>,
}

impl Plans {
    /// Plans of these classes only.
    pub fn new(seed: u64, classes: Vec<HarmClass>) -> Self {
        Self { random: SmallRng::seed_from_u64(seed), classes, deck: vec![] }
    }

    /// The next round. The last step is left to whoever carries it out: the heal.
    pub fn round(&mut self, layout: &Layout) -> Vec<Planned> {
        let mut planned = vec![];
        let mut mixed = 0;
        for _ in 0..self.random.random_range(STRIKES) {
            let gap_ms = if mixed > 0 { MIXED_GAP_MS } else { GAP_MS };
            let after = Duration::from_millis(self.random.random_range(gap_ms));
            let Some(class) = self.class() else { break };
            let harm = draw_of(&mut self.random, layout, class);
            let lasts = harm.lasts();
            planned.push(Planned { after, strike: Some(harm) });
            mixed = match mixed {
                0 => [0, 0, 1, 2][self.random.random_range(0..4)],
                more => more - 1,
            };
            // What is over by itself needs no heal, and to wait for one would be time without a fault.
            if mixed == 0 && lasts && self.random.random_bool(0.6) {
                let after = Duration::from_millis(self.random.random_range(GAP_MS));
                planned.push(Planned { after, strike: None });
            }
        }
        planned
    }

    fn class(&mut self) -> Option<HarmClass> {
        if self.deck.is_empty() {
            self.deck.clone_from(&self.classes);
        }
        if self.deck.is_empty() {
            return None;
        }
        Some(self.deck.swap_remove(self.random.random_range(0..self.deck.len())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        let names = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
        Layout {
            routers: names(&["router-sg", "router-eu"]),
            shard_nodes: names(&["shard-node-1", "shard-node-2", "shard-node-3", "shard-node-4"]),
            postgres: names(&["postgres-1", "postgres-2", "postgres-3", "postgres-4"]),
            redis: names(&["redis-sg", "redis-eu"]),
            limited_disks: vec![2],
            standbys: vec![3],
            clocks: true,
        }
    }

    fn rounds(seed: u64, count: usize) -> Vec<Vec<Planned>> {
        let mut plans = Plans::new(seed, layout().classes());
        (0..count).map(|_| plans.round(&layout())).collect()
    }

    #[test]
    fn same_seed_plans_the_same_rounds() {
        assert_eq!(rounds(7, 20), rounds(7, 20));
        assert_ne!(rounds(7, 20), rounds(8, 20));
    }

    #[test]
    fn every_class_comes_before_one_comes_again() {
        let all = layout().classes();
        let drawn: Vec<HarmClass> =
            rounds(7, 20).concat().iter().filter_map(|planned| planned.strike.as_ref().map(Harm::class)).collect();
        for deck in drawn.chunks_exact(all.len()) {
            let mut deck = deck.to_vec();
            deck.sort_unstable();
            assert_eq!(deck, all);
        }
    }

    #[test]
    fn no_five_seconds_pass_without_a_fault_that_is_there_or_comes() {
        for planned in rounds(7, 50) {
            let mut is_there = true;
            for Planned { after, strike } in planned {
                assert!(after < Duration::from_secs(5));
                assert!(strike.is_some() || is_there, "a heal of nothing");
                is_there = strike.is_some_and(|harm| harm.lasts());
            }
        }
    }

    #[test]
    fn some_rounds_heal_in_between() {
        assert!(rounds(7, 50).concat().iter().any(|planned| planned.strike.is_none()));
    }

    #[test]
    fn only_wanted_classes_are_planned() {
        let mut plans = Plans::new(7, vec![HarmClass::KillRouter]);
        for planned in plans.round(&layout()) {
            assert!(planned.strike.is_none_or(|harm| harm.class() == HarmClass::KillRouter));
        }
    }
}

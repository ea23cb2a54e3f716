//! A breadth-first search of all states, so that the first breach found has a shortest story.
//!
//! The checks know nothing of how a state was reached, so the order of the search does not matter to them. A state
//! is remembered by 64 bits of xxh3 and its predecessor's: for n states, two of them share a fingerprint with a
//! probability of about n^2 / 2^65 (3e-6 for 10^7), and then the search would miss one of the two.

use super::fingerprint::{Identity, fingerprint};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash};

/// Something whose states can be visited one by one.
pub trait System {
    /// A state.
    type State: Copy + Eq + Hash;
    /// What leads from one to another.
    type Step: Copy;
    /// What is wrong with a state.
    type Breach;

    /// Where everything begins.
    fn initial(&self) -> Self::State;
    /// What can happen in a state; appended.
    fn steps(&self, state: &Self::State, steps: &mut Vec<Self::Step>);
    /// The state after a step.
    fn after(&self, state: &Self::State, step: Self::Step) -> Self::State;
    /// What is wrong with a state, if anything.
    fn breach(&self, state: &Self::State) -> Option<Self::Breach>;
    /// What of interest is to be seen in a state, as bits: a search that never comes there shows nothing about it.
    fn sights(&self, state: &Self::State) -> u32;
}

/// How far a search has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Visited {
    /// Different states.
    pub states: u64,
    /// Steps taken from them.
    pub steps: u64,
    /// Steps from the first state to the farthest.
    pub depth: u64,
    /// What was seen, as bits.
    pub sights: u32,
    /// Whether there are no other states.
    pub is_complete: bool,
}

/// A state that is wrong, and a shortest way to it.
#[derive(Debug, Clone)]
pub struct Counterexample<S: System> {
    /// What is wrong.
    pub breach: S::Breach,
    /// The way.
    pub path: Vec<S::Step>,
}

/// Visits the states of a system, up to a number of them, until one is wrong. `progress` is called now and then.
pub fn search<S: System>(
    system: &S,
    states_max: u64,
    progress: impl FnMut(Visited),
) -> (Visited, Option<Counterexample<S>>) {
    Search { system, parents: HashMap::default(), visited: Visited::default(), progress }.run(states_max)
}

const PROGRESS_EVERY: u64 = 1 << 14;

struct Search<'a, S: System, P> {
    system: &'a S,
    /// Of each state but the first, the one it was reached from.
    parents: HashMap<u64, u64, BuildHasherDefault<Identity>>,
    visited: Visited,
    progress: P,
}

impl<S: System, P: FnMut(Visited)> Search<'_, S, P> {
    fn run(mut self, states_max: u64) -> (Visited, Option<Counterexample<S>>) {
        let first = self.system.initial();
        let mut frontier = vec![first];
        self.parents.insert(fingerprint(&first), fingerprint(&first));
        self.visited.states = 1;
        if let Some(breach) = self.system.breach(&first) {
            return (self.visited, Some(Counterexample { breach, path: Vec::new() }));
        }
        while !frontier.is_empty() {
            if self.visited.states >= states_max {
                return (self.visited, None);
            }
            match self.next_level(&frontier) {
                Ok(level) => frontier = level,
                Err((breach, last)) => {
                    let path = self.path_to(last);
                    return (self.visited, Some(Counterexample { breach, path }));
                }
            }
            self.visited.depth += u64::from(!frontier.is_empty());
        }
        self.visited.is_complete = true;
        (self.visited, None)
    }

    /// The new states one step from these; or what is wrong with one of them, and its fingerprint.
    fn next_level(&mut self, frontier: &[S::State]) -> Result<Vec<S::State>, (S::Breach, u64)> {
        let mut level = Vec::new();
        let mut steps = Vec::new();
        for state in frontier {
            let from = fingerprint(state);
            steps.clear();
            self.system.steps(state, &mut steps);
            for step in &steps {
                self.visited.steps += 1;
                let after = self.system.after(state, *step);
                if after == *state {
                    continue;
                }
                let to = fingerprint(&after);
                if self.parents.contains_key(&to) {
                    continue;
                }
                self.parents.insert(to, from);
                self.visited.states += 1;
                if self.visited.states.is_multiple_of(PROGRESS_EVERY) {
                    (self.progress)(self.visited);
                }
                if let Some(breach) = self.system.breach(&after) {
                    return Err((breach, to));
                }
                self.visited.sights |= self.system.sights(&after);
                level.push(after);
            }
        }
        Ok(level)
    }

    /// Only fingerprints were kept, so the way is walked again.
    fn path_to(&self, last: u64) -> Vec<S::Step> {
        let mut way = vec![last];
        let mut at = last;
        while let Some(parent) = self.parents.get(&at).filter(|parent| **parent != at) {
            at = *parent;
            way.push(at);
        }
        let mut state = self.system.initial();
        let mut path = Vec::new();
        for wanted in way.into_iter().rev().skip(1) {
            let mut steps = Vec::new();
            self.system.steps(&state, &mut steps);
            let found = steps.into_iter().find(|step| fingerprint(&self.system.after(&state, *step)) == wanted);
            let Some(step) = found else { break };
            path.push(step);
            state = self.system.after(&state, step);
        }
        path
    }
}

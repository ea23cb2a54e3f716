//! The wallet as a model: its cast, the planted bug, and every decision made so far.

use super::books::{Loaded, Saving, decide};
use super::breach::Promise;
use super::cast::{Cast, CastError};
use super::configuration::Configuration;
use super::fingerprint::Bytes;
use super::search::System;
use super::step::Step;
use super::world::World;
use crate::Bug;
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

/// A configuration ready to be searched. The decision is a pure function, and the same few thousand cases come up a
/// hundred million times: each is decided once.
#[derive(Debug)]
pub struct Wallet {
    /// What is being modelled.
    pub configuration: Configuration,
    /// The mistake in it, if any.
    pub bug: Option<Bug>,
    pub(super) cast: Cast,
    decided: RefCell<HashMap<Loaded, Saving, BuildHasherDefault<Bytes>>>,
}

impl Wallet {
    /// The wallet of a configuration.
    ///
    /// # Errors
    /// The configuration's constants do not fit: a defect.
    pub fn new(configuration: Configuration, bug: Option<Bug>) -> Result<Wallet, CastError> {
        let cast = Cast::of(&configuration)?;
        Ok(Wallet { configuration, bug, cast, decided: RefCell::default() })
    }

    /// Whether that mistake is in it.
    pub fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// How many different cases were decided.
    pub fn decisions(&self) -> usize {
        self.decided.borrow().len()
    }

    pub(super) fn decide(&self, loaded: &Loaded) -> Saving {
        if let Some(saving) = self.decided.borrow().get(loaded) {
            return *saving;
        }
        let saving = decide(&self.cast, loaded);
        self.decided.borrow_mut().insert(*loaded, saving);
        saving
    }
}

impl System for Wallet {
    type State = World;
    type Step = Step;
    type Breach = Promise;

    fn initial(&self) -> World {
        World::initial(&self.configuration)
    }

    fn steps(&self, world: &World, steps: &mut Vec<Step>) {
        Wallet::steps(self, world, steps);
    }

    fn after(&self, world: &World, step: Step) -> World {
        Wallet::after(self, world, step)
    }

    fn breach(&self, world: &World) -> Option<Promise> {
        self.breach_now(world).or_else(|| (!self.can_end(world)).then_some(Promise::CanEnd))
    }

    fn sights(&self, world: &World) -> u32 {
        Wallet::sights(self, world)
    }
}

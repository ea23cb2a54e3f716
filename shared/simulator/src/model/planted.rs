//! Looking for a planted bug.

use super::cast::CastError;
use super::search::{Counterexample, Visited, search};
use super::{Configuration, Wallet};
use crate::Bug;

/// A bug that was found out.
#[derive(Debug)]
pub struct Caught {
    /// The model that shows it.
    pub wallet: Wallet,
    /// How much had to be visited.
    pub visited: Visited,
    /// The way to the breach.
    pub counterexample: Counterexample<Wallet>,
}

/// Looks for a planted bug, the small configurations first.
///
/// # Errors
/// A configuration's constants do not fit: a defect.
pub fn catch(bug: Bug) -> Result<Option<Caught>, CastError> {
    for configuration in Configuration::all() {
        let wallet = Wallet::new(configuration, Some(bug))?;
        let (visited, found) = search(&wallet, STATES_MAX, |_| {});
        if let Some(counterexample) = found {
            return Ok(Some(Caught { wallet, visited, counterexample }));
        }
    }
    Ok(None)
}

/// A bug that shows only after so many states of every configuration would be no use in a test.
const STATES_MAX: u64 = 1_000_000;

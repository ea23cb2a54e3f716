//! Crash points and planted bugs of a router, for tests only: without the feature `faults`, none of this is there. How
//! they are used is told where those of a shard-node are.

mod mistakes;
mod registry;

pub(crate) use mistakes::{patience, retry_with_fresh_key, salt};
pub use registry::POINTS;

/// Names the points of this program and arms those that the environment wants. Before anything else.
///
/// # Errors
/// The environment arms what cannot be armed.
pub fn begin() -> Result<(), runtime::faults::ArmError> {
    runtime::faults::begin(POINTS)
}

//! Crash points and planted bugs of a shard-node, for tests only: without the feature `faults`, none of this is there.
//!
//! **How to use them.** `shard-node-faults` is a shard-node with all its points off. `GET /faults` at its admin port
//! lists them as JSON; `PUT /faults/NAME` with an action as its body arms one; `DELETE /faults` turns all off. The
//! environment variable `FAILPOINTS` (`NAME=ACTION;NAME=ACTION`) arms them from the start. Actions are those of the crate
//! `fail`: `return` (each time), `1*return` (once), `5%return` (one time in twenty), `3*off->1*return` (the fourth
//! time), `off`. What is armed is forgotten when the process dies, except what the environment says.
//!
//! **A crash point** (`crash::...`) kills the process as `kill -9` does; the last line on standard error is `crash point
//! NAME: the process kills itself`.
//!
//! **A planted bug** (`bug::...`) is one plausible mistake, made in the code that serves, each time its action says so.
//! `caught_by` names checks of the fault suite, each sufficient, and `audit::` with an invariant of the crate `audit`.
//! `needs` says what must go on in the cluster, beside its usual load, for the mistake to be made or to show.
//!
//! Mistakes in a decision are made around `ledger::decide` ([`decision`]): the pure crate knows nothing of them.

mod answers;
mod decision;
mod delivery;
mod registry;

pub(crate) use answers::{answer_early, as_posted, from_old_copies, with_fresh_key, without_first};
pub(crate) use decision::{after, before};
pub(crate) use delivery::{due, forget_message, misunderstand};
pub use registry::POINTS;

/// Names the points of this program and arms those that the environment wants. Before anything else.
///
/// # Errors
/// The environment arms what cannot be armed.
pub fn begin() -> Result<(), runtime::faults::ArmError> {
    runtime::faults::begin(POINTS)
}

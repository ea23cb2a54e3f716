//! The rules of money under everything that can happen around them: a [`model`] whose every state is visited, and
//! a simulation of shards, lanes and delivery that a seed reproduces.
//!
//! Both run the code that serves, [`ledger::decide`] and [`ledger::saga::next`], and both can be given a [`Bug`] in
//! what stands around it, for a check that was never seen to fail proves nothing.

mod bug;
pub mod model;
pub mod sim;

pub use bug::Bug;

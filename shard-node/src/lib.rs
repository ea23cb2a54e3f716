//! A shard-node: the only writer of one shard's PostgreSQL.
//!
//! Calls come in over links ([`serve`], [`dispatch`]); changes go through lanes ([`lane`]) that decide batches
//! with the pure `ledger` and store them ([`store`]); transfers to other shards go on as sagas ([`saga`]), and are
//! compared with what the others have of them ([`reconcile`]); other services are told what became of all ([`events`]).
//! A database that lacks what it once had is only read ([`gate`]).

pub mod config;
mod dispatch;
mod events;
#[cfg(feature = "faults")]
pub mod faults;
mod gate;
mod lane;
mod metrics;
mod node;
mod reads;
mod reconcile;
mod saga;
mod serve;
mod start;
pub mod store;
mod upkeep;

pub use start::start;

//! The model check: two transfers on two or three shards, in every order of events there is.
//!
//! A [`World`] holds what PostgreSQL holds, what is on its way, and what clients have been told. A step of it runs one
//! command through [`ledger::decide`] and commits it, or crashes before or after that, or breaks off so that nobody
//! knows. Messages and requests, once sent, stay on their way: so each may be lost, late, out of order, or arrive any
//! number of times. [`search`] visits all states; [`breach`] and [`heal`] say what must hold in each.

mod books;
pub mod breach;
mod cast;
pub mod configuration;
mod fingerprint;
pub mod heal;
mod memory;
pub mod planted;
pub mod search;
pub mod sight;
pub mod step;
pub mod story;
mod take;
pub mod world;

pub use configuration::Configuration;
pub use memory::Wallet;
pub use world::World;

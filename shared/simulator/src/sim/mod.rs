//! The simulation: three shards with two nodes each, their stores, the network between them and clients, in virtual
//! time, on one thread, with one source of chance. The same seed gives the same run, byte for byte.
//!
//! What is real: [`ledger::decide`], [`ledger::saga::next`], the books and the writes. What is mirrored, from
//! `shard-node`: lanes (`lane/run.rs`), answers (`lane/finish.rs`, `saga/follow.rs`), delivery and the outbox
//! (`saga/deliver.rs`, `store/outbox.rs`), the locks and unique indexes that the batches rely on. For a while everything
//! breaks that can; then nothing does, and everything must come to its end.

mod cast;
mod check;
mod deliver;
mod event;
mod fault;
mod finish;
mod lane;
mod message;
mod network;
mod node;
mod planted;
mod present;
mod random;
mod request;
mod rows;
mod run;
mod simulation;
mod store;
mod tally;
mod trace;

pub use cast::CastError;
pub use check::Breach;
pub use run::{Options, Report, run, story};
pub use tally::Tally;

use ledger::Timestamp;

/// When it all begins. All times are in microseconds.
const EPOCH: Timestamp = Timestamp(1_700_000_000_000_000);
const SHARDS: usize = 3;
const REPLICAS: usize = 2;
const BATCH_MAX: usize = 16;
const QUEUE_MAX: usize = 32;
const BATCH_TIMEOUT: i64 = 10_000_000;
const RECONNECT_AFTER: i64 = 50_000;
const RECONNECT_AFTER_MAX: i64 = 1_000_000;
const SWEEP_OUTBOX_EVERY: i64 = 200_000;
const SWEEP_HELD_EVERY: i64 = 100_000;
const RETRY_MIN: i64 = 200_000;
const RETRY_MAX: i64 = 10_000_000;

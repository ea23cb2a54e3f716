//! The rules of money: one file for each use case with its refusals in order, the saga's transitions one by
//! one, and properties of random batches and of random schedules between two shards.

mod shard;
mod world;

mod commit;
mod commit_refused;
mod create_account;
mod credit;
mod deposit;
mod give_back;
mod idempotency;
mod ownership;
mod refusals;
mod reserve;
mod set_status;
mod settle;
mod transfer;
mod values;
mod void;
mod withdraw;

mod saga_model;
mod saga_table;

mod batches;
mod first_wins;
mod invariants;
mod network;
mod random;
mod two_shards;

mod purity;

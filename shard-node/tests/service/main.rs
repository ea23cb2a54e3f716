//! A shard-node and what it depends on, as real processes. One program, so that it is linked once and its tests run
//! beside each other.

mod alerts;
mod answers;
mod chains;
mod clock;
mod configuration;
mod crashes;
mod events;
mod failover;
mod fault_points;
mod outage;
mod pool;
mod reconcile;
mod restored;
mod statements;
mod support;

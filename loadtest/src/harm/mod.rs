//! Hurting a real local cluster, and healing it: what the fault suite draws its faults from.
//!
//! [`HarmedCluster`] starts two regions of two shards in which every way between two processes (router to shard-node,
//! shard-node to shard-node, shard-node to PostgreSQL, router to Redis) leads through a proxy of this program.
//! [`draw_of`] takes a [`Harm`] from a seeded generator; [`HarmedCluster::inflict`] does it, [`HarmedCluster::undo`]
//! undoes all.

mod cluster;
mod draw;
mod heal;
mod kinds;
mod network;
mod processes;
mod proxy;
mod servers;
#[cfg(test)]
mod tests;

pub use cluster::{Change, HarmOptions, HarmedCluster};
pub use draw::{Layout, draw_of};
pub use kinds::{Harm, HarmClass};

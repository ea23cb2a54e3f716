//! Lanes: the writer tasks of a shard-node, each with its own connection, committing batch after batch.

mod finish;
mod queue;
mod run;
mod wait_bound;

pub use queue::{Lanes, Origin, Refused, Task};
pub use run::{Lane, LaneSettings};
pub use wait_bound::{Allowed, WaitBound};

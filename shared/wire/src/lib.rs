//! Everything that crosses a socket.
//!
//! * [`api`]: the JSON of the public HTTP contract.
//! * [`operation`] and [`answer`]: what a router or a shard-node asks of a shard-node, in postcard.
//! * [`link`]: the framed, multiplexed stream that carries them.
//! * [`directory`]: the typed client: topology, ownership map, one link per shard-node, and calls that
//!   find the owner of a slot by themselves.
//! * [`event`]: what other services are told of transfers.
//! * [`pairing`]: what two shards compare of the transfers between them.
//! * [`trace`]: W3C trace context.

pub mod answer;
pub mod api;
pub mod directory;
pub mod event;
pub mod link;
pub mod operation;
pub mod pairing;
pub mod trace;

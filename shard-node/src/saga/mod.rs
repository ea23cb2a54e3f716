//! Sagas between shards: delivering messages at once and again, telling those who wait, and the expiry of what clients
//! hold.

mod deliver;
mod expire;
mod follow;
mod held;
mod sweep;
mod waiters;

pub use deliver::deliver;
pub use expire::expire;
pub use follow::follow;
pub use held::{answer_as_reserved, answer_not_reserved};
pub use sweep::sweep;
pub use waiters::Waiters;

//! Sagas between shards: delivering messages at once and again, and telling those who wait.

mod deliver;
mod follow;
mod sweep;
mod waiters;

pub use deliver::deliver;
pub use follow::follow;
pub use sweep::sweep;
pub use waiters::Waiters;

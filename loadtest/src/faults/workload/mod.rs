//! The clients: each goes its own way through a sequence of requests that follows from the seed alone.

mod client;
mod deliver;
mod draw;
mod look;

pub use client::Worker;
pub use deliver::{Line, ask, attempt};
pub use draw::Mix;

//! Proves from what the wallet shows afterwards that it did what it said: no more, no less.

mod breach;
mod checker;
mod read;

pub use checker::{Proof, Verdict};
pub use read::prove;

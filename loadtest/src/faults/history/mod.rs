//! What was asked of the wallet, what it said, and when: all that the checks know of the clients.
//!
//! A request that was checked twice and can no longer change is folded: its calls are forgotten, what they came to
//! stays, so that a repeat of its key, however late, can still be compared.

mod answer;
mod book;
mod read;
mod request;

pub use answer::{Answer, Code, Loss, Said, State};
pub use book::{Folded, History};
pub use read::{ReadCall, Seen};
pub use request::{Attempt, Doom, Fate, How, Request, RequestId, Settled, Want};

//! Reads of accounts and histories.

use super::{Code, Loss};
use crate::faults::clock::Moment;

/// One read of an account. Reads of transfers are kept with their requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadCall {
    /// The account, as a place in the population.
    pub account: u32,
    /// The router, as a place among all.
    pub router: u8,
    /// When it was sent.
    pub sent: Moment,
    /// When the answer was there, or was given up.
    pub answered: Moment,
    /// What was seen.
    pub seen: Seen,
}

/// What a read showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// The account.
    Account {
        /// All money in it.
        balance: i64,
        /// What of it is set aside.
        reserved: i64,
        /// What may be spent.
        available: i64,
    },
    /// The newest page of the history.
    History {
        /// The newest entry; 0 if there is none.
        entry: i64,
        /// The balance after it.
        balance: i64,
        /// Whether the page's lines follow from each other.
        is_whole: bool,
    },
    /// The transfers that are open, and their sum.
    Open {
        /// What they hold together.
        sum: i64,
    },
    /// Nothing was sent.
    NotSent,
    /// No answer.
    Lost(Loss),
    /// An answer that shows nothing.
    Problem(u16, Code),
}

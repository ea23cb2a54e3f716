//! What can be wrong.

use std::fmt;

use uuid::Uuid;

use crate::api::Direction;

/// Something that must never be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// The account it shows on, by id; `None` for the whole.
    pub account: Option<u64>,
    /// What is wrong.
    pub what: What,
}

/// What is wrong with an account, a transfer or the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Entries are not numbered 1, 2, 3.
    Gap {
        /// The number that should have come.
        expected: i64,
        /// The one that came.
        found: i64,
    },
    /// The balance after an entry does not follow from the one before.
    BalanceAfter {
        /// The entry.
        entry: i64,
        /// What should be there.
        expected: i64,
        /// What is.
        found: i64,
    },
    /// The balance went below 0.
    Overdraft {
        /// The entry.
        entry: i64,
    },
    /// The account's balance is not the one after its last entry.
    Balance {
        /// After the last entry.
        history: i64,
        /// Of the account.
        account: i64,
    },
    /// Money is set aside, and no transfer is open.
    Reserved {
        /// How much.
        amount: i64,
    },
    /// An entry that nobody asked for.
    Unasked {
        /// The entry.
        entry: i64,
        /// Its transfer.
        transfer_id: Uuid,
    },
    /// An entry that differs from what was asked for and acknowledged.
    Changed {
        /// The transfer's number.
        number: usize,
        /// The entry.
        entry: i64,
        /// The field that differs.
        field: &'static str,
    },
    /// An entry of a transfer that was refused or released.
    Refused {
        /// The transfer's number.
        number: usize,
        /// The entry.
        entry: i64,
    },
    /// A second entry of one side of one transfer.
    Doubled {
        /// The transfer's number; `None` for the deposit.
        number: Option<usize>,
        /// The second entry.
        entry: i64,
    },
    /// An acknowledged transfer is not in the history.
    Missing {
        /// The transfer's number; `None` for the deposit.
        number: Option<usize>,
        /// The side.
        side: Direction,
    },
    /// A transfer without an answer has happened on one side only.
    OneSided {
        /// The transfer's number.
        number: usize,
        /// The side that is not there.
        missing: Direction,
    },
    /// Money was made or lost.
    Sum {
        /// What was let in.
        deposited: i128,
        /// What is there.
        found: i128,
    },
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(account) = self.account {
            write!(f, "account {account}: ")?;
        }
        self.what.fmt(f)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gap { expected, found } => write!(f, "entry {expected} should come, and {found} does"),
            Self::BalanceAfter { entry, expected, found } => {
                write!(f, "the balance after entry {entry} should be {expected} and is {found}")
            }
            Self::Overdraft { entry } => write!(f, "the balance is negative after entry {entry}"),
            Self::Balance { history, account } => write!(f, "the history ends at {history}, the balance is {account}"),
            Self::Reserved { amount } => write!(f, "{amount} are reserved, and no transfer is open"),
            Self::Unasked { entry, transfer_id } => {
                write!(f, "nobody asked for entry {entry} (transfer {transfer_id})")
            }
            Self::Changed { number, entry, field } => {
                write!(f, "the {field} of entry {entry} is not that of transfer number {number}")
            }
            Self::Refused { number, entry } => {
                write!(f, "entry {entry} is of transfer number {number}, which was refused or released")
            }
            Self::Doubled { number: Some(number), entry } => {
                write!(f, "entry {entry} is the second one of transfer number {number}")
            }
            Self::Doubled { number: None, entry } => write!(f, "entry {entry} is a second deposit"),
            Self::Missing { number: Some(number), side } => {
                write!(f, "the {side} of transfer number {number} was acknowledged and is missing")
            }
            Self::Missing { number: None, .. } => write!(f, "the deposit is missing"),
            Self::OneSided { number, missing } => {
                write!(f, "transfer number {number} was never answered and has happened, but its {missing} is missing")
            }
            Self::Sum { deposited, found } => {
                write!(f, "{deposited} were deposited, and all balances together are {found}")
            }
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Debit => "debit",
            Self::Credit => "credit",
        })
    }
}

//! Accounts.

use crate::{Amount, Currency, Timestamp, UserId};
use placement::AccountId;
use serde::{Deserialize, Serialize};

/// What may be done with an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AccountStatus {
    /// Everything.
    Open,
    /// Nothing new: no debit, no credit, until an operator unfreezes it. Sagas already begun finish.
    Frozen,
    /// Nothing, for good.
    Closed,
}

impl AccountStatus {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            AccountStatus::Open => "open",
            AccountStatus::Frozen => "frozen",
            AccountStatus::Closed => "closed",
        }
    }
}

/// What an operator asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StatusChange {
    /// Stop new debits and credits.
    Freeze,
    /// Allow them again.
    Unfreeze,
    /// End the account; needs a zero balance.
    Close,
}

/// Holds one currency for one user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The id; the region and the slot follow from it.
    pub id: AccountId,
    /// The holder.
    pub user_id: UserId,
    /// The holder's own label.
    pub name: String,
    /// The one currency it holds; never changes.
    pub currency: Currency,
    /// All money in the account, what is reserved included.
    pub balance: Amount,
    /// The part of `balance` set aside for open transfers.
    pub reserved: Amount,
    /// How many entries its history has; the last one's number.
    pub entry_count: i64,
    /// What may be done with it.
    pub status: AccountStatus,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Account {
    /// What a new debit may take: `balance - reserved`.
    pub fn available(&self) -> Amount {
        Amount(self.balance.0 - self.reserved.0)
    }
}

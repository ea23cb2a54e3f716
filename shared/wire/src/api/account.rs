//! Accounts.

use super::Time;
use placement::AccountId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /v1/accounts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateAccountRequest {
    /// What it is to hold: a code of `GET /v1/currencies`.
    #[schema(example = "SGD")]
    pub currency: String,
    /// The holder's label for it: one line, 1 to 64 characters. `current` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "current", min_length = 1, max_length = 64)]
    pub name: Option<String>,
    /// Where it is to live; the router's own region if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "sg")]
    pub region: Option<String>,
}

/// The body of a call that has nothing to say; it may be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmptyRequest {}

/// Holds one currency for one user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Account {
    /// The id: a positive integer below 2^53.
    #[schema(value_type = u64, minimum = 1, maximum = 9007199254740991_u64, example = 5629499534213120_u64)]
    pub id: AccountId,
    /// The holder.
    #[schema(example = "yunus")]
    pub user_id: String,
    /// The holder's own label.
    #[schema(example = "current")]
    pub name: String,
    /// The one currency it holds.
    #[schema(value_type = String, example = "SGD")]
    pub currency: ledger::Currency,
    /// The region it lives in.
    #[schema(example = "sg")]
    pub region: String,
    /// All money in it, what is reserved included.
    #[schema(example = 1000)]
    pub balance: i64,
    /// The part of `balance` that is set aside for open transfers.
    #[schema(example = 0)]
    pub reserved: i64,
    /// What a new transfer may take: `balance - reserved`.
    #[schema(example = 1000)]
    pub available: i64,
    /// What may be done with it.
    pub status: AccountStatus,
    /// When it was made.
    pub created_at: Time,
}

impl Account {
    /// An account as its shard states it, in the region of that name.
    pub fn new(account: ledger::Account, region: &str) -> Self {
        Account {
            id: account.id,
            available: account.available().get(),
            user_id: account.user_id.into(),
            name: account.name,
            currency: account.currency,
            region: region.to_owned(),
            balance: account.balance.get(),
            reserved: account.reserved.get(),
            status: account.status.into(),
            created_at: account.created_at.into(),
        }
    }
}

/// What may be done with an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountStatus {
    /// Everything.
    Open,
    /// Nothing new, until an operator unfreezes it.
    Frozen,
    /// Nothing, for good.
    Closed,
}

impl From<ledger::AccountStatus> for AccountStatus {
    fn from(status: ledger::AccountStatus) -> Self {
        match status {
            ledger::AccountStatus::Open => AccountStatus::Open,
            ledger::AccountStatus::Frozen => AccountStatus::Frozen,
            ledger::AccountStatus::Closed => AccountStatus::Closed,
        }
    }
}

/// `GET /v1/accounts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccountList {
    /// The caller's accounts, oldest first within a region.
    pub items: Vec<Account>,
    /// Where a region was asked for: those that could not be asked now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable_regions: Option<Vec<String>>,
}

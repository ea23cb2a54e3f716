//! An account's history.

use super::{Time, TransferKind};
use crate::answer::EntryLine;
use crate::operation;
use placement::{AccountId, TransferId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A line of an account's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Transaction {
    /// The transfer that made it.
    #[schema(value_type = String, format = Uuid, example = "019acb2e-5f00-8041-8000-00c0ffee0007")]
    pub transfer_id: TransferId,
    /// What moved the money.
    pub kind: TransferKind,
    /// Whether it left the account or came in.
    pub direction: Direction,
    /// How much.
    #[schema(example = 250)]
    pub amount: i64,
    /// An account's entries are numbered 1, 2, 3 without a gap.
    #[schema(example = 7)]
    pub entry: i64,
    /// The account's balance once the entry was made.
    #[schema(example = 750)]
    pub balance_after: i64,
    /// The other account; absent for a deposit or a withdrawal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, example = 281474976841728_u64)]
    pub counterparty_account_id: Option<AccountId>,
    /// Who holds the other account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "nick")]
    pub counterparty_user_id: Option<String>,
    /// From the transfer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "lunch")]
    pub message: Option<String>,
    /// When the entry was made.
    pub created_at: Time,
}

impl From<EntryLine> for Transaction {
    fn from(line: EntryLine) -> Self {
        Transaction {
            transfer_id: line.transfer_id,
            kind: line.kind.into(),
            direction: line.direction.into(),
            amount: line.amount.get(),
            entry: line.entry.number,
            balance_after: line.entry.balance_after.get(),
            counterparty_account_id: line.counterparty_account_id,
            counterparty_user_id: line.counterparty_user_id.map(String::from),
            message: line.message,
            created_at: line.created_at.into(),
        }
    }
}

/// Which side of a transfer an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Money left the account.
    Debit,
    /// Money came in.
    Credit,
}

impl From<operation::Direction> for Direction {
    fn from(direction: operation::Direction) -> Self {
        match direction {
            operation::Direction::Debit => Direction::Debit,
            operation::Direction::Credit => Direction::Credit,
        }
    }
}

/// `GET /v1/accounts/{id}/transactions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransactionPage {
    /// In the order asked for.
    pub items: Vec<Transaction>,
    /// What to send as `cursor` for the next page; `null` on the last one.
    pub next_cursor: Option<String>,
}

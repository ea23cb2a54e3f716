//! Transfers.

use super::{ErrorCode, Time};
use placement::{AccountId, TransferId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /v1/transfers`: either `credit_account_id` or `credit_user_id`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateTransferRequest {
    /// Where the money comes from: an account of the caller.
    #[schema(minimum = 1, maximum = 9007199254740991_u64, example = 140737488420864_u64)]
    pub debit_account_id: u64,
    /// Where it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 9007199254740991_u64, example = 281474976841728_u64)]
    pub credit_account_id: Option<u64>,
    /// Whom it goes to: the user's oldest open account in the debit account's currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "nick")]
    pub credit_user_id: Option<String>,
    /// How much, from 1 to the currency's `transfer_amount_max`.
    #[schema(example = 250)]
    pub amount: i64,
    /// For the other party to read: at most 255 characters; line breaks and tabs may be in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "lunch", max_length = 255)]
    pub message: Option<String>,
    /// For the caller's own books: one line, 1 to 64 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "order-7", min_length = 1, max_length = 64)]
    pub reference: Option<String>,
    /// Only set the amount aside, to be committed or released later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserve: Option<bool>,
    /// With `reserve`: when the reservation expires unless it is committed or released before; a week if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 2592000, example = 604800)]
    pub expires_in_seconds: Option<u32>,
}

/// `POST /v1/transfers/{id}/commit`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CommitTransferRequest {
    /// How much of what is reserved; all of it if absent. The rest is given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 200)]
    pub amount: Option<i64>,
}

/// The intent to move an amount, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Transfer {
    /// The id: a UUID.
    #[schema(value_type = String, format = Uuid, example = "019acb2e-5f00-8041-8000-00c0ffee0007")]
    pub id: TransferId,
    /// What moves the money.
    pub kind: TransferKind,
    /// How far it has come.
    pub state: TransferState,
    /// Why, when `released` or `rejected`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ErrorCode>)]
    pub reason: Option<ErrorCode>,
    /// Where the money comes from; absent for a deposit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, example = 140737488420864_u64)]
    pub debit_account_id: Option<AccountId>,
    /// Where it goes; absent for a withdrawal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, example = 281474976841728_u64)]
    pub credit_account_id: Option<AccountId>,
    /// How much.
    #[schema(example = 250)]
    pub amount: i64,
    /// The currency of both accounts.
    #[schema(value_type = String, example = "SGD")]
    pub currency: ledger::Currency,
    /// For the other party to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "lunch")]
    pub message: Option<String>,
    /// For the books of whoever made the transfer; only they see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "order-7")]
    pub reference: Option<String>,
    /// When it was first decided upon.
    pub created_at: Time,
    /// When it became terminal; absent until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Time>,
    /// Of a two-step transfer, what was reserved; `amount` is what was committed of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 250)]
    pub amount_reserved: Option<i64>,
    /// Of a two-step transfer, when its reservation expires unless it is committed or released before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
}

impl From<ledger::Transfer> for Transfer {
    fn from(transfer: ledger::Transfer) -> Self {
        Transfer {
            id: transfer.id,
            kind: transfer.kind.into(),
            state: transfer.state.into(),
            reason: transfer.reason.map(ErrorCode::from),
            debit_account_id: transfer.debit_account_id,
            credit_account_id: transfer.credit_account_id,
            amount: transfer.amount.get(),
            currency: transfer.currency,
            message: transfer.message,
            reference: transfer.reference,
            created_at: transfer.created_at.into(),
            decided_at: transfer.decided_at.map(Time::from),
            amount_reserved: transfer.hold.map(|hold| hold.amount_reserved.get()),
            expires_at: transfer.hold.map(|hold| hold.expires_at.into()),
        }
    }
}

/// How far a transfer has come; `posted`, `released` and `rejected` are terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransferState {
    /// The amount is set aside; the other shard has not decided yet.
    Pending,
    /// The amount is set aside by the client's wish.
    Reserved,
    /// The money has moved.
    Posted,
    /// The amount was set aside and given back.
    Released,
    /// Refused; nothing was set aside.
    Rejected,
}

impl From<ledger::TransferState> for TransferState {
    fn from(state: ledger::TransferState) -> Self {
        match state {
            ledger::TransferState::Pending => TransferState::Pending,
            ledger::TransferState::Reserved => TransferState::Reserved,
            ledger::TransferState::Posted => TransferState::Posted,
            ledger::TransferState::Released => TransferState::Released,
            ledger::TransferState::Rejected => TransferState::Rejected,
        }
    }
}

/// What moves the money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransferKind {
    /// Between two customers' accounts.
    Transfer,
    /// Money that entered the system.
    Deposit,
    /// Money that left it.
    Withdrawal,
}

impl From<ledger::TransferKind> for TransferKind {
    fn from(kind: ledger::TransferKind) -> Self {
        match kind {
            ledger::TransferKind::Transfer => TransferKind::Transfer,
            ledger::TransferKind::Deposit => TransferKind::Deposit,
            ledger::TransferKind::Withdrawal => TransferKind::Withdrawal,
        }
    }
}

/// `GET /v1/accounts/{id}/transfers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransferList {
    /// The open transfers that make up the account's `reserved`, oldest first.
    pub items: Vec<Transfer>,
    /// What to send as `cursor` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

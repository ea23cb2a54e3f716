//! The small numbers that stand for enums in the tables, and the one error for numbers and ids that
//! stand for nothing: rows of a newer version, or damage.

use ledger::saga::{DebitState, Decision};
use ledger::{AccountStatus, Rejection, TransferKind, TransferState, UserId};

/// A stored value that this version cannot understand.
#[derive(Debug, thiserror::Error)]
#[error("a stored value cannot be understood: {0}")]
pub struct Unreadable(pub String);

impl Unreadable {
    /// From the error of whoever could not read it.
    pub fn because(error: impl std::fmt::Display) -> Self {
        Unreadable(error.to_string())
    }
}

pub fn status_code(status: AccountStatus) -> i16 {
    match status {
        AccountStatus::Open => 0,
        AccountStatus::Frozen => 1,
        AccountStatus::Closed => 2,
    }
}

pub fn status(code: i16) -> Result<AccountStatus, Unreadable> {
    match code {
        0 => Ok(AccountStatus::Open),
        1 => Ok(AccountStatus::Frozen),
        2 => Ok(AccountStatus::Closed),
        other => Err(Unreadable(format!("account status {other}"))),
    }
}

pub fn kind_code(kind: TransferKind) -> i16 {
    match kind {
        TransferKind::Transfer => 0,
        TransferKind::Deposit => 1,
        TransferKind::Withdrawal => 2,
    }
}

pub fn kind(code: i16) -> Result<TransferKind, Unreadable> {
    match code {
        0 => Ok(TransferKind::Transfer),
        1 => Ok(TransferKind::Deposit),
        2 => Ok(TransferKind::Withdrawal),
        other => Err(Unreadable(format!("transfer kind {other}"))),
    }
}

pub fn state_code(state: TransferState) -> i16 {
    match state {
        TransferState::Pending => 0,
        TransferState::Reserved => 1,
        TransferState::Posted => 2,
        TransferState::Released => 3,
        TransferState::Rejected => 4,
    }
}

pub fn state(code: i16) -> Result<TransferState, Unreadable> {
    match code {
        0 => Ok(TransferState::Pending),
        1 => Ok(TransferState::Reserved),
        2 => Ok(TransferState::Posted),
        3 => Ok(TransferState::Released),
        4 => Ok(TransferState::Rejected),
        other => Err(Unreadable(format!("transfer state {other}"))),
    }
}

/// The states of open sagas; a terminal one has no row.
pub fn debit_state_code(state: DebitState) -> i16 {
    match state {
        DebitState::Crediting => 0,
        DebitState::Voiding => 1,
        DebitState::Held => 2,
        DebitState::Committed => 3,
        DebitState::Released(_) => 4,
    }
}

/// The states of open sagas that are shown as this one.
pub fn open_state_codes(state: TransferState) -> Vec<i16> {
    match state {
        TransferState::Pending => [DebitState::Crediting, DebitState::Voiding].map(debit_state_code).into(),
        TransferState::Reserved => vec![debit_state_code(DebitState::Held)],
        TransferState::Posted | TransferState::Released | TransferState::Rejected => Vec::new(),
    }
}

pub fn debit_state(code: i16) -> Result<DebitState, Unreadable> {
    match code {
        0 => Ok(DebitState::Crediting),
        1 => Ok(DebitState::Voiding),
        2 => Ok(DebitState::Held),
        other => Err(Unreadable(format!("reservation state {other}"))),
    }
}

/// Decision, reason and receiver, as the inbox stores them.
pub fn decision_columns(decision: &Decision) -> (i16, Option<i16>, Option<&str>) {
    match decision {
        Decision::Credited { credit_user_id } => (0, None, Some(credit_user_id.as_str())),
        Decision::Refused(reason) => (1, Some(reason.number()), None),
        Decision::Voided => (2, None, None),
    }
}

pub fn decision(code: i16, reason: Option<i16>, credit_user: Option<String>) -> Result<Decision, Unreadable> {
    match (code, reason, credit_user) {
        (0, _, Some(user)) => Ok(Decision::Credited { credit_user_id: user_id(user)? }),
        (1, Some(reason), _) => Ok(Decision::Refused(rejection(reason)?)),
        (2, _, _) => Ok(Decision::Voided),
        (code, ..) => Err(Unreadable(format!("decision {code}"))),
    }
}

pub fn rejection(number: i16) -> Result<Rejection, Unreadable> {
    Rejection::try_from(number).map_err(Unreadable::because)
}

pub fn user_id(text: String) -> Result<UserId, Unreadable> {
    UserId::try_from(text).map_err(Unreadable::because)
}

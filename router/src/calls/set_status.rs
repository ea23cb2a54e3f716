//! `POST /v1/admin/accounts/{id}/freeze`, `/unfreeze` and `/close`.

use super::get_account;
use crate::admission::Asked;
use crate::exchange::Exchange;
use crate::refusal::Refusal;
use crate::reply::Outcome;
use crate::spec::{Access, AnswerSpec, BodySpec, Spec, Verb};
use ledger::{Command, SetStatus, StatusChange};
use wire::answer::Answer;
use wire::api::ErrorCode;
use wire::operation::Operation;

const BOTH: Spec = Spec {
    method: Verb::Post,
    access: Access::Admin,
    body: BodySpec::Empty,
    answers: &[AnswerSpec {
        status: 200,
        description: "The account as it is now.",
        body: Some(("Account", get_account::EXAMPLE)),
        headers: &[],
    }],
    problems: &[ErrorCode::AccountClosed],
    ..Spec::PLAIN
};

/// `POST /v1/admin/accounts/{id}/freeze`.
pub const FREEZE: Spec = Spec {
    name: "freeze_account",
    path: "/v1/admin/accounts/{id}/freeze",
    summary: "Freeze an account",
    description: "Stops new debits and credits; transfers already begun finish. Of a frozen account, nothing changes.",
    ..BOTH
};

/// `POST /v1/admin/accounts/{id}/unfreeze`.
pub const UNFREEZE: Spec = Spec {
    name: "unfreeze_account",
    path: "/v1/admin/accounts/{id}/unfreeze",
    summary: "Unfreeze an account",
    description: "Allows debits and credits again. Of an open account, nothing changes.",
    ..BOTH
};

/// `POST /v1/admin/accounts/{id}/close`.
pub const CLOSE: Spec = Spec {
    name: "close_account",
    path: "/v1/admin/accounts/{id}/close",
    summary: "Close an account",
    description: "Ends an account with a balance of 0, for good. Of a closed account, nothing changes.",
    problems: &[ErrorCode::AccountNotEmpty],
    ..BOTH
};

/// Changes the status.
///
/// # Errors
/// See the specs.
pub async fn run(exchange: &Exchange<'_>, asked: &Asked<'_>, change: StatusChange) -> Outcome {
    let account_id = exchange.account_in_path(asked.id)?;
    let command = Command::SetStatus(SetStatus { account_id, change });
    match exchange.ask(Operation::Command { command, wait_ms: 0 }).await? {
        Answer::Account { account, .. } => get_account::shown(exchange, account),
        other => Err(Refusal::from_answer(other)),
    }
}

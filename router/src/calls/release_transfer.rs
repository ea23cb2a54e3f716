//! `POST /v1/transfers/{id}/release`.

use super::get_transfer::transfer_in_path;
use crate::admission::Asked;
use crate::exchange::Exchange;
use crate::refusal::Refusal;
use crate::reply::{Outcome, Reply};
use crate::spec::{AnswerSpec, BodySpec, Spec, Verb};
use http::StatusCode;
use ledger::{Command, ReleaseTransfer};
use wire::answer::Answer;
use wire::api::{ErrorCode, Transfer};
use wire::operation::Operation;

/// What the call is.
pub const SPEC: Spec = Spec {
    name: "release_transfer",
    method: Verb::Post,
    path: "/v1/transfers/{id}/release",
    body: BodySpec::Empty,
    summary: "Release a reserved transfer",
    description: "Gives the reserved amount back. Needs no key: to release what is released already changes nothing \
                  and gives the same answer. Exactly one of commit, release and expiry wins.",
    answers: &[AnswerSpec {
        status: 200,
        description: "The amount was given back.",
        body: Some(("Transfer", EXAMPLE)),
        headers: &[],
    }],
    problems: &[ErrorCode::NotFound, ErrorCode::TransferNotReserved],
    ..Spec::PLAIN
};

const EXAMPLE: &str = r#"{"id": "019acb2e-5f00-8041-8000-00c0ffee0007", "kind": "transfer", "state": "released",
    "reason": "released_by_client", "debit_account_id": 140737488420864, "credit_account_id": 281474976841728,
    "amount": 250, "currency": "SGD", "created_at": "2026-11-22T09:30:00.123456Z",
    "decided_at": "2026-11-22T09:45:00.123456Z", "amount_reserved": 250,
    "expires_at": "2026-11-29T09:30:00.123456Z"}"#;

/// Releases the transfer.
///
/// # Errors
/// See [`SPEC`].
pub async fn run(exchange: &Exchange<'_>, asked: &Asked<'_>) -> Outcome {
    let transfer_id = transfer_in_path(exchange, asked.id)?;
    let release = ReleaseTransfer { caller: asked.caller.user_id.clone(), transfer_id };
    match exchange.ask(Operation::Command { command: Command::Release(release), wait_ms: 0 }).await? {
        Answer::Transfer { transfer, .. } => {
            let reply = Reply::json(StatusCode::OK, &Transfer::from(transfer))?;
            Ok(Reply { transfer_id: Some(transfer_id), ..reply })
        }
        other => Err(Refusal::from_answer(other)),
    }
}

//! `GET /v1/transfers/{id}`.

use crate::admission::Asked;
use crate::exchange::Exchange;
use crate::prefer::WAIT_SECONDS_MAX;
use crate::refusal::Refusal;
use crate::reply::{Outcome, Reply};
use crate::spec::{AnswerSpec, Parameter, Spec, Values};
use http::StatusCode;
use ledger::{Transfer, UserId};
use placement::{InvalidId, TransferId};
use std::time::Duration;
use wire::answer::Answer;
use wire::api::{self, ErrorCode};
use wire::operation::{Operation, Read};

/// What the call is.
pub const SPEC: Spec = Spec {
    name: "get_transfer",
    path: "/v1/transfers/{id}",
    query: &[Parameter {
        name: "wait_seconds",
        description: "Wait so long for a terminal state; 0 if absent. Where too many wait already, the answer comes at \
                      once.",
        values: Values::Number(0, WAIT_SECONDS_MAX),
    }],
    summary: "Read a transfer",
    description: "For the owner of either account; to everybody else it looks absent. `reference` is shown to the \
                  owner of the debit account only.",
    answers: &[AnswerSpec {
        status: 200,
        description: "The transfer.",
        body: Some(("Transfer", EXAMPLE)),
        headers: &[],
    }],
    ..Spec::PLAIN
};

/// A transfer.
pub const EXAMPLE: &str = r#"{"id": "019acb2e-5f00-8041-8000-00c0ffee0007", "kind": "transfer", "state": "posted",
    "debit_account_id": 140737488420864, "credit_account_id": 281474976841728, "amount": 250, "currency": "SGD",
    "message": "lunch", "created_at": "2026-11-22T09:30:00.123456Z", "decided_at": "2026-11-22T09:30:00.123456Z"}"#;

/// Reads the transfer.
///
/// # Errors
/// See [`SPEC`].
pub async fn run(exchange: &Exchange<'_>, asked: &Asked<'_>) -> Outcome {
    let wait_seconds = asked.query.number("wait_seconds", 0, WAIT_SECONDS_MAX)?.unwrap_or(0);
    let id = transfer_in_path(exchange, asked.id)?;
    let caller = &asked.caller.user_id;
    let mut transfer = read(exchange, id, Duration::ZERO).await?;
    if !concerns(exchange, &transfer, caller).await? {
        return Err(Refusal::not_found());
    }
    // Only now: a wait would tell strangers that there is something to wait for.
    if wait_seconds > 0 && !transfer.state.is_terminal() && exchange.may_wait(&asked.caller) {
        let wait = Duration::from_secs(wait_seconds.into());
        exchange.wait_longer(wait);
        transfer = read(exchange, id, wait).await?;
    }
    if transfer.debit_user_id.as_ref() != Some(caller) {
        transfer.reference = None;
    }
    let reply = Reply::json(StatusCode::OK, &api::Transfer::from(transfer))?;
    Ok(Reply { transfer_id: Some(id), ..reply })
}

/// The transfer of a path's `{id}`. A UUID that is no transfer's is absent, not malformed.
pub(super) fn transfer_in_path(exchange: &Exchange<'_>, text: &str) -> Result<TransferId, Box<Refusal>> {
    let id: TransferId = text.parse().map_err(|error| match error {
        InvalidId::NotUuid | InvalidId::NotDecimal { .. } => {
            Refusal::with_detail(ErrorCode::MalformedRequest, "the path's transfer id must be a hyphenated UUID")
        }
        InvalidId::NotVersion8 | InvalidId::OutOfRange { .. } => Refusal::not_found(),
    })?;
    if exchange.knows_region(id.region())? { Ok(id) } else { Err(Refusal::not_found()) }
}

async fn read(exchange: &Exchange<'_>, id: TransferId, wait: Duration) -> Result<Transfer, Box<Refusal>> {
    // At most 30 s.
    let wait_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
    match exchange.ask(Operation::Read(Read::Transfer { id, wait_ms })).await? {
        Answer::Transfer { transfer, .. } => Ok(transfer),
        other => Err(Refusal::from_answer(other)),
    }
}

/// Whether the caller holds one of the accounts. The debit account's shard may not know who holds the credit
/// account; then that one's shard is asked.
async fn concerns(exchange: &Exchange<'_>, transfer: &Transfer, caller: &UserId) -> Result<bool, Box<Refusal>> {
    if [&transfer.debit_user_id, &transfer.credit_user_id].into_iter().flatten().any(|holder| holder == caller) {
        return Ok(true);
    }
    let (None, Some(id)) = (&transfer.credit_user_id, transfer.credit_account_id) else {
        return Ok(false);
    };
    match exchange.ask(Operation::Read(Read::Account { id, caller: Some(caller.clone()) })).await? {
        Answer::Account { .. } => Ok(true),
        Answer::NotFound => Ok(false),
        other => Err(Refusal::from_answer(other)),
    }
}

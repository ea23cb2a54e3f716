//! `POST /v1/transfers/{id}/commit`.

use super::get_transfer::transfer_in_path;
use crate::admission::Asked;
use crate::exchange::Exchange;
use crate::idempotency::Fingerprint;
use crate::prefer;
use crate::refusal::Refusal;
use crate::reply::{Outcome, Reply};
use crate::spec::{AnswerSpec, BodySpec, KeyUse, Spec, Verb};
use ledger::{Amount, Command, CommitTransfer};
use wire::answer::Answer;
use wire::api::{CommitTransferRequest, ErrorCode};
use wire::operation::Operation;

/// What the call is.
pub const SPEC: Spec = Spec {
    name: "commit_transfer",
    method: Verb::Post,
    path: "/v1/transfers/{id}/commit",
    key: KeyUse::Required,
    body: BodySpec::Optional { schema: "CommitTransferRequest", example: r#"{"amount": 200}"# },
    headers: &[prefer::WAIT],
    summary: "Commit a reserved transfer",
    description: "Moves the reserved amount, or a part of it; the rest is given back. Exactly one of commit, release \
                  and expiry wins. The same key with the same request gives the first answer again. A 422 about the \
                  credit account has released the transfer; one about the debit account or the amount leaves it \
                  reserved. `GET` it to know.",
    answers: &[
        AnswerSpec {
            status: 200,
            description: "The money has moved.",
            body: Some(("Transfer", EXAMPLE)),
            headers: &["Idempotency-Replayed", "Preference-Applied"],
        },
        AnswerSpec {
            status: 202,
            description: "Committed; the other shard has not decided yet. `GET` the `Location`.",
            body: Some(("Transfer", PENDING_EXAMPLE)),
            headers: &["Location", "Idempotency-Replayed", "Preference-Applied"],
        },
    ],
    problems: &[
        ErrorCode::NotFound,
        ErrorCode::TransferNotReserved,
        ErrorCode::AmountOutOfRange,
        ErrorCode::AmountExceedsReserved,
        ErrorCode::CreditAccountNotFound,
        ErrorCode::CurrencyMismatch,
        ErrorCode::AccountFrozen,
        ErrorCode::AccountClosed,
        ErrorCode::LimitExceeded,
        ErrorCode::Voided,
    ],
    ..Spec::PLAIN
};

const EXAMPLE: &str = r#"{"id": "019acb2e-5f00-8041-8000-00c0ffee0007", "kind": "transfer", "state": "posted",
    "debit_account_id": 140737488420864, "credit_account_id": 281474976841728, "amount": 200, "currency": "SGD",
    "created_at": "2026-11-22T09:30:00.123456Z", "decided_at": "2026-11-22T09:45:00.123456Z",
    "amount_reserved": 250, "expires_at": "2026-11-29T09:30:00.123456Z"}"#;

const PENDING_EXAMPLE: &str = r#"{"id": "019acb2e-5f00-8041-8000-00c0ffee0007", "kind": "transfer",
    "state": "pending", "debit_account_id": 140737488420864, "credit_account_id": 281474976841728, "amount": 200,
    "currency": "SGD", "created_at": "2026-11-22T09:30:00.123456Z", "amount_reserved": 250,
    "expires_at": "2026-11-29T09:30:00.123456Z"}"#;

/// Commits the transfer.
///
/// # Errors
/// See [`SPEC`].
pub async fn run(exchange: &Exchange<'_>, asked: &Asked<'_>) -> Outcome {
    let CommitTransferRequest { amount } = asked.json_or_default()?;
    let transfer_id = transfer_in_path(exchange, asked.id)?;
    let fingerprint = Fingerprint::of("commit_transfer").text(&transfer_id.to_string()).optional_number(amount);
    let key = asked.claim(|key, caller| key.claim(caller, fingerprint))?;
    let preferred = exchange.granted(&asked.caller, prefer::wait(asked.headers));
    let wait_ms = exchange.wait_for_decision(preferred);
    let caller = asked.caller.user_id.clone();
    let commit = CommitTransfer { key, caller, transfer_id, amount: amount.map(Amount) };
    match exchange.ask(Operation::Command { command: Command::Commit(commit), wait_ms }).await? {
        Answer::Transfer { transfer, replayed } => {
            let reply = Reply::committed_transfer(transfer, replayed)?;
            Ok(Reply { preference_applied: preferred.and_then(prefer::applied), ..reply })
        }
        other => Err(Refusal::from_answer(other)),
    }
}

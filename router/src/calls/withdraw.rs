//! `POST /v1/admin/withdrawals`.

use super::external_move;
use crate::admission::Asked;
use crate::exchange::Exchange;
use crate::reply::Outcome;
use crate::spec::{Access, AnswerSpec, BodySpec, KeyUse, Spec, Verb};
use ledger::Command;

/// What the call is.
pub const SPEC: Spec = Spec {
    name: "withdraw",
    method: Verb::Post,
    path: "/v1/admin/withdrawals",
    access: Access::Admin,
    key: KeyUse::Required,
    body: BodySpec::Object { schema: "ExternalMoveRequest", example: external_move::REQUEST_EXAMPLE },
    summary: "Take money out",
    description: "Debits an account to the external account. The idempotency key belongs to the operator and the \
                  account.",
    answers: &[AnswerSpec {
        status: 201,
        description: "The money is out.",
        body: Some(("Transfer", EXAMPLE)),
        headers: &["Location", "Idempotency-Replayed"],
    }],
    problems: external_move::PROBLEMS,
    ..Spec::PLAIN
};

const EXAMPLE: &str = r#"{"id": "019acb2e-5f00-8041-8000-00c0ffee0007", "kind": "withdrawal", "state": "posted",
    "debit_account_id": 140737488420864, "amount": 1000, "currency": "SGD", "reference": "bank-2026-0007",
    "created_at": "2026-11-22T09:30:00.123456Z", "decided_at": "2026-11-22T09:30:00.123456Z"}"#;

/// Takes the money out.
///
/// # Errors
/// See [`SPEC`].
pub async fn run(exchange: &Exchange<'_>, asked: &Asked<'_>) -> Outcome {
    external_move::run(exchange, asked, SPEC.name, Command::Withdraw).await
}

//! What deposits and withdrawals have in common.

use crate::admission::Asked;
use crate::exchange::Exchange;
use crate::idempotency::Fingerprint;
use crate::json_body::FieldChecks;
use crate::refusal::Refusal;
use crate::reply::{Outcome, Reply};
use ledger::{Amount, Command, ExternalMove, REFERENCE_CHARS_MAX, check_line};
use wire::answer::Answer;
use wire::api::{ErrorCode, ExternalMoveRequest};
use wire::operation::Operation;

/// An example of the body.
pub(super) const REQUEST_EXAMPLE: &str =
    r#"{"account_id": 140737488420864, "amount": 1000, "reference": "bank-2026-0007"}"#;

/// The problems that both have.
pub(super) const PROBLEMS: &[ErrorCode] = &[
    ErrorCode::NotFound,
    ErrorCode::InsufficientFunds,
    ErrorCode::AmountOutOfRange,
    ErrorCode::AccountFrozen,
    ErrorCode::AccountClosed,
    ErrorCode::LimitExceeded,
];

/// Moves money in or out; `command` says which.
pub(super) async fn run(
    exchange: &Exchange<'_>,
    asked: &Asked<'_>,
    call: &'static str,
    command: fn(ExternalMove) -> Command,
) -> Outcome {
    let request: ExternalMoveRequest = asked.json()?;
    let mut checks = FieldChecks::default();
    checks.account_id("account_id", Some(request.account_id));
    checks.text("reference", request.reference.as_deref(), |text| check_line(text, REFERENCE_CHARS_MAX));
    checks.finish()?;
    let account_id = exchange.account_id(request.account_id)?.ok_or_else(Refusal::not_found)?;
    let fingerprint = Fingerprint::of(call)
        .number(request.account_id)
        .number(request.amount)
        .optional_text(request.reference.as_deref());
    let key = asked.claim(|key, caller| key.claim_for_account(caller, request.account_id, fingerprint))?;
    let external = ExternalMove { key, account_id, amount: Amount(request.amount), reference: request.reference };
    match exchange.ask(Operation::Command { command: command(external), wait_ms: 0 }).await? {
        Answer::Transfer { transfer, replayed } => Reply::made_transfer(transfer, replayed),
        other => Err(Refusal::from_answer(other)),
    }
}

//! `POST /v1/transfers`.

mod credit_target;

use crate::admission::Asked;
use crate::exchange::Exchange;
use crate::idempotency::Fingerprint;
use crate::json_body::FieldChecks;
use crate::prefer;
use crate::refusal::Refusal;
use crate::reply::{Outcome, Reply};
use crate::spec::{AnswerSpec, BodySpec, KeyUse, Spec, Verb};
use ledger::{
    Amount, Command, EXPIRES_IN_SECONDS_DEFAULT, EXPIRES_IN_SECONDS_MAX, REFERENCE_CHARS_MAX, ReserveTransfer,
    TransferCommand, UserId, check_line, check_text,
};
use wire::answer::Answer;
use wire::api::{CreateTransferRequest, ErrorCode};
use wire::operation::Operation;

/// What the call is.
pub const SPEC: Spec = Spec {
    name: "create_transfer",
    method: Verb::Post,
    path: "/v1/transfers",
    key: KeyUse::Required,
    body: BodySpec::Object {
        schema: "CreateTransferRequest",
        example: r#"{"debit_account_id": 140737488420864, "credit_user_id": "nick", "amount": 250, "message": "lunch",
            "reference": "order-7"}"#,
    },
    headers: &[prefer::WAIT],
    summary: "Move money",
    description: "Moves an amount from one of the caller's accounts to another account, or to a user: to the user's \
                  oldest open account in the debit account's currency, the debit account's region first. With \
                  `reserve` the amount is only set aside, to be committed or released later, or to expire. The \
                  same key with the same request gives the first answer again.",
    answers: &[
        AnswerSpec {
            status: 201,
            description: "The money has moved, or is reserved.",
            body: Some(("Transfer", super::get_transfer::EXAMPLE)),
            headers: &["Location", "Idempotency-Replayed", "Preference-Applied"],
        },
        AnswerSpec {
            status: 202,
            description: "The amount is set aside; the other shard has not decided yet. `GET` the `Location`.",
            body: Some(("Transfer", PENDING_EXAMPLE)),
            headers: &["Location", "Idempotency-Replayed", "Preference-Applied"],
        },
    ],
    problems: &[
        ErrorCode::NotFound,
        ErrorCode::InsufficientFunds,
        ErrorCode::AmountOutOfRange,
        ErrorCode::CurrencyMismatch,
        ErrorCode::SameAccount,
        ErrorCode::CreditAccountNotFound,
        ErrorCode::CreditUserNotFound,
        ErrorCode::AccountFrozen,
        ErrorCode::AccountClosed,
        ErrorCode::LimitExceeded,
        ErrorCode::MessageTooLong,
        ErrorCode::Voided,
    ],
    ..Spec::PLAIN
};

const PENDING_EXAMPLE: &str = r#"{"id": "019acb2e-5f00-8041-8000-00c0ffee0007", "kind": "transfer",
    "state": "pending", "debit_account_id": 140737488420864, "credit_account_id": 281474976841728, "amount": 250,
    "currency": "SGD", "message": "lunch", "created_at": "2026-11-22T09:30:00.123456Z"}"#;

/// Moves the money.
///
/// # Errors
/// See [`SPEC`].
pub async fn run(exchange: &Exchange<'_>, asked: &Asked<'_>) -> Outcome {
    let request: CreateTransferRequest = asked.json()?;
    let credit = check(&request)?;
    let expires_in_seconds = expires_in_seconds(&request);
    let debit_account_id = exchange.account_id(request.debit_account_id)?.ok_or_else(Refusal::not_found)?;
    let caller = asked.caller.user_id.clone();
    let key = asked.claim(|key, caller| key.claim(caller, fingerprint(&request)))?;
    let credit = credit_target::find(exchange, &caller, debit_account_id, credit).await?;
    let preferred = exchange.granted(&asked.caller, prefer::wait(asked.headers));
    let wait_ms = exchange.wait_for_decision(preferred);
    let transfer = TransferCommand {
        key,
        caller,
        debit_account_id,
        credit,
        amount: Amount(request.amount),
        message: request.message,
        reference: request.reference,
    };
    let command = match expires_in_seconds {
        Some(expires_in_seconds) => Command::Reserve(ReserveTransfer { transfer, expires_in_seconds }),
        None => Command::Transfer(transfer),
    };
    match exchange.ask(Operation::Command { command, wait_ms }).await? {
        Answer::Transfer { transfer, replayed } => {
            let reply = Reply::made_transfer(transfer, replayed)?;
            Ok(Reply { preference_applied: preferred.and_then(prefer::applied), ..reply })
        }
        other => Err(Refusal::from_answer(other)),
    }
}

/// Whom the client wants to pay.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Credit {
    Account(u64),
    User(UserId),
}

/// How long the client wants the amount set aside; `None`: it is to be moved now.
fn expires_in_seconds(request: &CreateTransferRequest) -> Option<u32> {
    (request.reserve == Some(true)).then(|| request.expires_in_seconds.unwrap_or(EXPIRES_IN_SECONDS_DEFAULT))
}

fn check(request: &CreateTransferRequest) -> Result<Credit, Box<Refusal>> {
    let mut checks = FieldChecks::default();
    checks.account_id("debit_account_id", Some(request.debit_account_id));
    checks.account_id("credit_account_id", request.credit_account_id);
    checks.text("message", request.message.as_deref(), check_text);
    checks.text("reference", request.reference.as_deref(), |text| check_line(text, REFERENCE_CHARS_MAX));
    match request.expires_in_seconds {
        Some(_) if request.reserve != Some(true) => {
            checks.mistake("expires_in_seconds", "may be given only with \"reserve\": true");
        }
        Some(seconds) if !(1..=EXPIRES_IN_SECONDS_MAX).contains(&seconds) => {
            checks.mistake("expires_in_seconds", format!("must be from 1 to {EXPIRES_IN_SECONDS_MAX}"));
        }
        Some(_) | None => {}
    }
    let user = request.credit_user_id.as_deref().map(str::parse::<UserId>);
    let credit = match (request.credit_account_id, user) {
        (Some(number), None) => Some(Credit::Account(number)),
        (None, Some(Ok(user))) => Some(Credit::User(user)),
        (None, Some(Err(error))) => {
            checks.mistake("credit_user_id", error.to_string());
            None
        }
        (None, None) | (Some(_), Some(_)) => {
            checks.mistake("credit_account_id", "give either this or credit_user_id, and not both");
            None
        }
    };
    checks.finish()?;
    credit.ok_or_else(|| Refusal::new(ErrorCode::MalformedRequest))
}

/// Of what the client asked for, not of what it was resolved to: a repeat is the same request, whatever
/// accounts the other user has opened meanwhile.
fn fingerprint(request: &CreateTransferRequest) -> Fingerprint {
    let (call, expires) = match expires_in_seconds(request) {
        Some(seconds) => ("reserve_transfer", Some(seconds)),
        None => ("create_transfer", None),
    };
    let moved = Fingerprint::of(call)
        .number(request.debit_account_id)
        .optional_number(request.credit_account_id)
        .optional_text(request.credit_user_id.as_deref())
        .number(request.amount)
        .optional_text(request.message.as_deref())
        .optional_text(request.reference.as_deref());
    match expires {
        Some(seconds) => moved.number(seconds),
        None => moved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: &str) -> CreateTransferRequest {
        serde_json::from_str(body).expect("a request")
    }

    fn pointers(body: &str) -> Vec<String> {
        let refusal = check(&request(body)).expect_err("malformed");
        refusal.errors.into_iter().map(|error| error.pointer).collect()
    }

    #[test]
    fn exactly_one_credit_must_be_given() {
        let account = r#"{"debit_account_id": 1, "amount": 1, "credit_account_id": 2}"#;
        assert_eq!(check(&request(account)), Ok(Credit::Account(2)));
        let user = r#"{"debit_account_id": 1, "amount": 1, "credit_user_id": "nick"}"#;
        assert_eq!(check(&request(user)), Ok(Credit::User("nick".parse().expect("a user"))));
        assert_eq!(pointers(r#"{"debit_account_id": 1, "amount": 1}"#), ["/credit_account_id"]);
        let both = r#"{"debit_account_id": 1, "amount": 1, "credit_account_id": 2, "credit_user_id": "nick"}"#;
        assert_eq!(pointers(both), ["/credit_account_id"]);
    }

    #[test]
    fn every_mistake_is_told() {
        let body = r#"{"debit_account_id": 0, "credit_account_id": 9007199254740992, "amount": 1,
            "message": "a\u0000b", "reference": "a\nb"}"#;
        assert_eq!(pointers(body), ["/debit_account_id", "/credit_account_id", "/message", "/reference"]);
        let body = r#"{"debit_account_id": 1, "credit_user_id": "", "amount": 1, "reference": ""}"#;
        assert_eq!(pointers(body), ["/reference", "/credit_user_id"]);
    }

    #[test]
    fn message_may_have_lines_and_any_length() {
        let message = "line\n".repeat(100);
        let request = CreateTransferRequest {
            message: Some(message),
            ..request(r#"{"debit_account_id": 1, "amount": -1, "credit_account_id": 2}"#)
        };
        assert_eq!(check(&request), Ok(Credit::Account(2)), "the shard decides about length and amount");
    }
}

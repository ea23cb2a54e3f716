//! `GET /v1/accounts/{id}`.

use crate::admission::Asked;
use crate::exchange::Exchange;
use crate::refusal::Refusal;
use crate::reply::{Outcome, Reply};
use crate::spec::{AnswerSpec, Parameter, Spec, Values};
use http::{HeaderValue, StatusCode, header};
use ledger::Account;
use wire::answer::Answer;
use wire::api::{self, ErrorCode};
use wire::operation::{Operation, Read};

/// What the call is.
pub const SPEC: Spec = Spec {
    name: "get_account",
    path: "/v1/accounts/{id}",
    headers: &[Parameter {
        name: "If-None-Match",
        description: "The `ETag` of an earlier answer: if nothing has changed, the answer is 304 without a body.",
        values: Values::Text,
    }],
    summary: "Read an account",
    description: "One of the caller's accounts; another user's looks absent.",
    answers: &[
        AnswerSpec { status: 200, description: "The account.", body: Some(("Account", EXAMPLE)), headers: &["ETag"] },
        AnswerSpec { status: 304, description: "Nothing has changed.", body: None, headers: &["ETag"] },
    ],
    ..Spec::PLAIN
};

/// An account.
pub const EXAMPLE: &str = r#"{"id": 5629499534213120, "user_id": "yunus", "name": "current", "currency": "SGD",
    "region": "sg", "balance": 1000, "reserved": 0, "available": 1000, "status": "open",
    "created_at": "2026-11-22T09:30:00.123456Z"}"#;

/// Reads the account.
///
/// # Errors
/// See [`SPEC`].
pub async fn run(exchange: &Exchange<'_>, asked: &Asked<'_>) -> Outcome {
    let id = exchange.account_in_path(asked.id)?;
    let read = Read::Account { id, caller: Some(asked.caller.user_id.clone()) };
    match exchange.ask(Operation::Read(read)).await? {
        Answer::Account { account, .. } => {
            let etag = etag(&account)?;
            Ok(shown(exchange, account)?.unless_matched(etag, asked.headers.get(header::IF_NONE_MATCH)))
        }
        other => Err(Refusal::from_answer(other)),
    }
}

/// The account as JSON, status 200.
///
/// # Errors
/// [`ErrorCode::Unavailable`]: the regions' names are not known yet.
pub fn shown(exchange: &Exchange<'_>, account: Account) -> Outcome {
    let topology = exchange.topology()?;
    let region = topology.region_coded(account.id.region()).map_or("", |region| &region.name);
    Reply::json(StatusCode::OK, &api::Account::new(account, region))
}

/// Each change of the balance makes an entry; what is reserved and the status change without one; the rest
/// never changes.
fn etag(account: &Account) -> Result<HeaderValue, Box<Refusal>> {
    let tag = format!("\"{}.{}.{}\"", account.entry_count, account.reserved, account.status.as_str());
    HeaderValue::try_from(tag).map_err(|_| Refusal::new(ErrorCode::Internal))
}

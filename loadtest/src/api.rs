//! The calls of the wallet's API that a load needs, and as much of the answers as it looks at.
//!
//! These shapes are written from the contract and not shared with the wallet: a check should not make the same mistake
//! as what it checks, and reading three fields costs less than reading all.

use std::borrow::Cow;
use std::io::Write;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::HeaderValue;
use http::{Method, StatusCode, Uri};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::client::{Call, Reply};

/// The most lines of history that one page may have.
pub const HISTORY_LIMIT_MAX: usize = 200;

/// The body of `POST /v1/accounts`.
#[derive(Debug, Serialize)]
pub struct NewAccount<'a> {
    /// What it holds.
    pub currency: &'a str,
    /// Where it lives; the router's own region if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<&'a str>,
}

/// The body of `POST /v1/admin/deposits`.
#[derive(Debug, Serialize)]
pub struct NewDeposit {
    /// The account that the money enters.
    pub account_id: u64,
    /// How much.
    pub amount: i64,
}

/// The parts of `POST /v1/transfers`.
#[derive(Debug, Clone, Copy)]
pub struct NewTransfer<'a> {
    /// Where the money comes from.
    pub debit_account_id: u64,
    /// Where it goes.
    pub credit_account_id: u64,
    /// How much.
    pub amount: i64,
    /// Digits, by which the proof knows the transfer again in a history.
    pub message: &'a str,
}

/// An account, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AccountState {
    /// Its id.
    pub id: u64,
    /// Its region.
    pub region: String,
    /// All money in it.
    pub balance: i64,
    /// What of it is set aside.
    pub reserved: i64,
}

/// What a transfer's own answer says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TransferState<'a> {
    /// Its id.
    pub id: Uuid,
    /// `pending`, `posted`, `released` or `rejected`.
    #[serde(borrow)]
    pub state: Cow<'a, str>,
}

/// A page of history, oldest first.
#[derive(Debug, Deserialize)]
pub struct HistoryPage {
    /// Its lines.
    pub items: Vec<HistoryLine>,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
}

/// A line of history.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct HistoryLine {
    /// The transfer that made it.
    pub transfer_id: Uuid,
    /// What moved the money.
    pub kind: LineKind,
    /// Whether it left or came.
    pub direction: Direction,
    /// How much.
    pub amount: i64,
    /// The number of the line.
    pub entry: i64,
    /// The account's balance after it.
    pub balance_after: i64,
    /// The other account.
    pub counterparty_account_id: Option<u64>,
    /// What the transfer's maker wrote.
    pub message: Option<String>,
}

/// What moves money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// Between two accounts.
    Transfer,
    /// From outside.
    Deposit,
    /// To the outside.
    Withdrawal,
}

/// Which side of a transfer an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Money leaves.
    Debit,
    /// Money comes.
    Credit,
}

#[derive(Deserialize)]
struct Problem<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
}

/// Opens an account; the key makes a repeat find the same one.
pub fn open_account(authorization: &HeaderValue, key: &str, account: &NewAccount<'_>) -> Result<Call> {
    post("/v1/accounts", authorization, key, serde_json::to_vec(account)?)
}

/// Lets money into an account.
pub fn deposit(authorization: &HeaderValue, key: &str, deposit: &NewDeposit) -> Result<Call> {
    post("/v1/admin/deposits", authorization, key, serde_json::to_vec(deposit)?)
}

/// Moves money.
pub fn transfer(authorization: &HeaderValue, key: &str, transfer: &NewTransfer<'_>) -> Result<Call> {
    let NewTransfer { debit_account_id, credit_account_id, amount, message } = transfer;
    let mut body = Vec::with_capacity(144);
    write!(
        body,
        r#"{{"debit_account_id":{debit_account_id},"credit_account_id":{credit_account_id},"amount":{amount},"message":"{message}"}}"#
    )?;
    post("/v1/transfers", authorization, key, body)
}

/// Sets 1 aside on the first account for the second one.
pub fn reserve(authorization: &HeaderValue, key: &str, between: (u64, u64), expires_in_seconds: u32) -> Result<Call> {
    let (debit, credit) = between;
    let mut body = Vec::with_capacity(144);
    write!(
        body,
        r#"{{"debit_account_id":{debit},"credit_account_id":{credit},"amount":1,"reserve":true,"expires_in_seconds":{expires_in_seconds}}}"#
    )?;
    post("/v1/transfers", authorization, key, body)
}

/// Where an account is read.
pub fn account_uri(id: u64) -> Result<Uri> {
    Ok(Uri::try_from(format!("/v1/accounts/{id}"))?)
}

/// Reads anything.
pub fn get(authorization: &HeaderValue, uri: Uri) -> Call {
    Call { method: Method::GET, uri, authorization: authorization.clone(), key: None, body: Bytes::new() }
}

/// Reads a page of an account's history, oldest first.
pub fn history(authorization: &HeaderValue, id: u64, cursor: Option<&str>) -> Result<Call> {
    let mut uri = format!("/v1/accounts/{id}/transactions?order=asc&limit={HISTORY_LIMIT_MAX}");
    if let Some(cursor) = cursor {
        uri.push_str("&cursor=");
        uri.extend(cursor.bytes().map(escaped));
    }
    Ok(get(authorization, Uri::try_from(uri)?))
}

/// Asks how far a transfer is, waiting for its end for up to `wait_seconds`.
pub fn transfer_state(authorization: &HeaderValue, id: Uuid, wait_seconds: u64) -> Result<Call> {
    let uri = format!("/v1/transfers/{id}?wait_seconds={wait_seconds}");
    Ok(get(authorization, Uri::try_from(uri)?))
}

fn post(path: &'static str, authorization: &HeaderValue, key: &str, body: Vec<u8>) -> Result<Call> {
    Ok(Call {
        method: Method::POST,
        uri: Uri::from_static(path),
        authorization: authorization.clone(),
        key: Some(HeaderValue::try_from(key)?),
        body: body.into(),
    })
}

/// Percent-encodes what may not stand in a query. Cursors are short, so a string each is fine.
fn escaped(byte: u8) -> String {
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    }
}

/// Reads the body of a good answer.
///
/// # Errors
/// The answer is a problem, or not what the contract says.
pub fn read<'a, T: Deserialize<'a>>(call: &Call, reply: &'a Reply) -> Result<T> {
    if !reply.status.is_success() {
        bail!("{} {} was answered with {}: {}", call.method, call.uri, reply.status, text(reply));
    }
    serde_json::from_slice(&reply.body)
        .with_context(|| format!("{} {} was answered with {}", call.method, call.uri, text(reply)))
}

fn text(reply: &Reply) -> Cow<'_, str> {
    String::from_utf8_lossy(&reply.body)
}

/// The error code of a problem; the status where it has none.
pub fn code(reply: &Reply) -> String {
    match serde_json::from_slice::<Problem<'_>>(&reply.body) {
        Ok(problem) => problem.code.into_owned(),
        Err(_) => format!("(status {})", reply.status.as_u16()),
    }
}

/// Whether an answer leaves open what became of the request, so that it has to be sent again with its key.
pub fn is_open(reply: &Reply) -> bool {
    match reply.status {
        StatusCode::TOO_MANY_REQUESTS => true,
        StatusCode::CONFLICT => code(reply) == "idempotency_in_flight",
        status => status.is_server_error(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        let body = Bytes::copy_from_slice(body.as_bytes());
        Reply { status: StatusCode::from_u16(status).unwrap(), body, is_replay: false }
    }

    #[test]
    fn transfer_body_is_the_contracts_json() {
        let call = transfer(
            &HeaderValue::from_static("Bearer x"),
            "k",
            &NewTransfer { debit_account_id: 1, credit_account_id: 2, amount: 250, message: "7" },
        );
        let body: serde_json::Value = serde_json::from_slice(&call.unwrap().body).unwrap();
        let wanted = serde_json::json!({"debit_account_id": 1, "credit_account_id": 2, "amount": 250, "message": "7"});
        assert_eq!(body, wanted);
    }

    #[test]
    fn answers_that_decide_nothing_are_open() {
        assert!(is_open(&reply(503, "")));
        assert!(is_open(&reply(500, r#"{"code": "internal"}"#)));
        assert!(is_open(&reply(429, "")));
        assert!(is_open(&reply(409, r#"{"code": "idempotency_in_flight"}"#)));
        assert!(!is_open(&reply(409, r#"{"code": "transfer_not_reserved"}"#)));
        assert!(!is_open(&reply(422, r#"{"code": "insufficient_funds"}"#)));
        assert!(!is_open(&reply(404, "")));
        assert!(!is_open(&reply(201, "{}")));
    }

    #[test]
    fn cursor_of_any_bytes_makes_a_uri() {
        let call = history(&HeaderValue::from_static("Bearer x"), 5, Some("a+/=&ö")).unwrap();
        assert!(call.uri.to_string().ends_with("limit=200&cursor=a%2B%2F%3D%26%C3%B6"));
    }
}

//! `POST /v1/accounts`.

use crate::admission::Asked;
use crate::exchange::Exchange;
use crate::idempotency::{Fingerprint, claim_without_key};
use crate::json_body::FieldChecks;
use crate::refusal::Refusal;
use crate::reply::{Outcome, Reply, location};
use crate::spec::{AnswerSpec, BodySpec, KeyUse, Spec, Verb};
use http::StatusCode;
use ledger::{Command, CreateAccount, NAME_CHARS_MAX, check_line};
use wire::answer::Answer;
use wire::api::{self, CreateAccountRequest, ErrorCode};
use wire::operation::Operation;

/// What the call is.
pub const SPEC: Spec = Spec {
    name: "create_account",
    method: Verb::Post,
    path: "/v1/accounts",
    key: KeyUse::Honoured,
    body: BodySpec::Object {
        schema: "CreateAccountRequest",
        example: r#"{"currency": "SGD", "name": "current", "region": "sg"}"#,
    },
    summary: "Open an account",
    description: "Opens an account of the caller's in one currency. `name` is `current` and `region` the router's own \
                  unless they are given. With an idempotency key, a repeat finds the account made before.",
    answers: &[AnswerSpec {
        status: 201,
        description: "The account.",
        body: Some(("Account", super::get_account::EXAMPLE)),
        headers: &["Location", "Idempotency-Replayed"],
    }],
    problems: &[ErrorCode::CurrencyUnknown, ErrorCode::RegionUnknown, ErrorCode::AccountLimitReached],
    ..Spec::PLAIN
};

/// What an account is called whose holder gave it no name.
const USUAL_NAME: &str = "current";
/// More than any code of a currency or name of a region has.
const WORD_CHARS_MAX: usize = 64;

/// Opens the account.
///
/// # Errors
/// See [`SPEC`].
pub async fn run(exchange: &Exchange<'_>, asked: &Asked<'_>) -> Outcome {
    let request: CreateAccountRequest = asked.json()?;
    check(&request)?;
    let command = command(exchange, asked, request)?;
    let operation = Operation::Command { command: Command::CreateAccount(command), wait_ms: 0 };
    // Of a key that the client knows nothing of, no repeat is told.
    let has_key = asked.key.is_some();
    match exchange.ask(operation).await? {
        Answer::Account { account, replayed } => {
            let topology = exchange.topology()?;
            let region = topology.region_coded(account.id.region()).map_or("", |region| &region.name);
            let at = location(format!("/v1/accounts/{}", account.id));
            let reply = Reply::json(StatusCode::CREATED, &api::Account::new(account, region))?;
            Ok(Reply { location: at, replayed: replayed && has_key, ..reply })
        }
        other => {
            let refusal = Refusal::from_answer(other);
            Err(Box::new(Refusal { replayed: refusal.replayed && has_key, ..*refusal }))
        }
    }
}

fn check(request: &CreateAccountRequest) -> Result<(), Box<Refusal>> {
    let mut checks = FieldChecks::default();
    checks.text("currency", Some(&request.currency), |text| check_line(text, WORD_CHARS_MAX));
    checks.text("name", request.name.as_deref(), |text| check_line(text, NAME_CHARS_MAX));
    checks.text("region", request.region.as_deref(), |text| check_line(text, WORD_CHARS_MAX));
    checks.finish()
}

/// An unknown region is the own region's to refuse, so that the refusal is recorded under the key. There always is
/// one: whatever is asked again below, no request makes two accounts.
fn command(
    exchange: &Exchange<'_>,
    asked: &Asked<'_>,
    request: CreateAccountRequest,
) -> Result<CreateAccount, Box<Refusal>> {
    let topology = exchange.topology()?;
    let own = topology.region_named(&exchange.app.region);
    let own = own.ok_or_else(|| Refusal::unavailable("the router's region is not in the topology"))?;
    let wanted = request.region.as_deref().map_or(Some(own), |name| topology.region_named(name));
    let fingerprint = Fingerprint::of("create_account")
        .text(&request.currency)
        .optional_text(request.name.as_deref())
        .optional_text(request.region.as_deref());
    let user_id = asked.caller.user_id.clone();
    let key = match &asked.key {
        Some(key) => key.claim(user_id.as_str(), fingerprint),
        None => claim_without_key(fingerprint),
    };
    Ok(CreateAccount {
        key: Some(key),
        user_id,
        name: request.name.unwrap_or_else(|| USUAL_NAME.to_owned()),
        currency: request.currency,
        region: wanted.unwrap_or(own).code,
        locality: asked.caller.locality,
        region_known: wanted.is_some(),
    })
}

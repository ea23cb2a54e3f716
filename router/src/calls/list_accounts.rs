//! `GET /v1/accounts`.

use crate::admission::Asked;
use crate::exchange::Exchange;
use crate::refusal::Refusal;
use crate::reply::{Outcome, Reply};
use crate::spec::{AnswerSpec, Parameter, Spec, Values};
use futures_util::future::join_all;
use http::StatusCode;
use placement::topology::Region;
use std::time::Duration;
use wire::answer::Answer;
use wire::api::{self, AccountList, ErrorCode};
use wire::operation::{Operation, Read};

/// What the call is.
pub const SPEC: Spec = Spec {
    name: "list_accounts",
    path: "/v1/accounts",
    query: &[Parameter {
        name: "region",
        description: "A region's name, or `all`. The router's own region if absent.",
        values: Values::Text,
    }],
    summary: "List the caller's accounts",
    description: "Oldest first within a region. With `region`, `unavailable_regions` names those that could not be \
                  asked now; their accounts are missing from the list.",
    answers: &[AnswerSpec {
        status: 200,
        description: "The accounts.",
        body: Some(("AccountList", EXAMPLE)),
        headers: &[],
    }],
    ..Spec::PLAIN
};

const EXAMPLE: &str = r#"{"items": [{"id": 5629499534213120, "user_id": "yunus", "name": "current", "currency": "SGD",
    "region": "sg", "balance": 1000, "reserved": 0, "available": 1000, "status": "open",
    "created_at": "2026-11-22T09:30:00.123456Z"}], "unavailable_regions": []}"#;

/// How long a region is waited for when all are asked: the others' accounts are of use, too.
const OF_ALL_TIMEOUT: Duration = Duration::from_millis(1_500);

/// Lists the accounts.
///
/// # Errors
/// See [`SPEC`].
pub async fn run(exchange: &Exchange<'_>, asked: &Asked<'_>) -> Outcome {
    let topology = exchange.topology()?;
    match asked.query.text("region") {
        Some("all") => of_all(exchange, asked, &topology.regions).await,
        wanted => {
            let region = topology.region_named(wanted.unwrap_or(&exchange.app.region));
            let region = region.ok_or_else(|| Refusal::malformed_at("?region", "must be a region's name, or all"))?;
            let items = of_region(exchange, asked, region, exchange.remaining()).await?;
            let unavailable_regions = wanted.map(|_| Vec::new());
            Reply::json(StatusCode::OK, &AccountList { items, unavailable_regions })
        }
    }
}

async fn of_all(exchange: &Exchange<'_>, asked: &Asked<'_>, regions: &[Region]) -> Outcome {
    let time = exchange.remaining().min(OF_ALL_TIMEOUT);
    let answers = join_all(regions.iter().map(|region| of_region(exchange, asked, region, time))).await;
    let (mut items, mut unavailable) = (Vec::new(), Vec::new());
    for (region, answer) in regions.iter().zip(answers) {
        match answer {
            Ok(accounts) => items.extend(accounts),
            Err(refusal) if is_passing(refusal.code) => unavailable.push(region.name.clone()),
            Err(refusal) => return Err(refusal),
        }
    }
    Reply::json(StatusCode::OK, &AccountList { items, unavailable_regions: Some(unavailable) })
}

fn is_passing(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::Unavailable | ErrorCode::Overloaded)
}

async fn of_region(
    exchange: &Exchange<'_>,
    asked: &Asked<'_>,
    region: &Region,
    time: Duration,
) -> Result<Vec<api::Account>, Box<Refusal>> {
    let (locality, user_id) = (asked.caller.locality, asked.caller.user_id.clone());
    let read = Read::AccountsOfUser { region: region.code, locality, user_id };
    match exchange.ask_within(time, Operation::Read(read)).await? {
        Answer::Accounts(accounts) => {
            Ok(accounts.into_iter().map(|account| api::Account::new(account, &region.name)).collect())
        }
        other => Err(Refusal::from_answer(other)),
    }
}

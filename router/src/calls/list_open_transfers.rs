//! `GET /v1/accounts/{id}/transfers`.

use crate::admission::Asked;
use crate::exchange::Exchange;
use crate::query::Query;
use crate::refusal::Refusal;
use crate::reply::{Outcome, Reply};
use crate::spec::{AnswerSpec, Parameter, Spec, Values};
use http::StatusCode;
use ledger::TransferState;
use placement::TransferId;
use wire::answer::Answer;
use wire::api::{Transfer, TransferList};
use wire::operation::{OPEN_TRANSFERS_PAGE, OpenTransfersQuery, Operation, Read};

/// What the call is.
pub const SPEC: Spec = Spec {
    name: "list_open_transfers",
    path: "/v1/accounts/{id}/transfers",
    query: &[
        Parameter {
            name: "state",
            description: "`pending`, `reserved`, or both with a comma between; both if absent.",
            values: Values::Text,
        },
        Parameter { name: "cursor", description: "The `next_cursor` of the page before.", values: Values::Text },
    ],
    summary: "List an account's open transfers",
    description: "The transfers that make up `reserved` of one of the caller's accounts, oldest first, a page at a time.",
    answers: &[AnswerSpec {
        status: 200,
        description: "The open transfers.",
        body: Some(("TransferList", EXAMPLE)),
        headers: &[],
    }],
    ..Spec::PLAIN
};

const EXAMPLE: &str = r#"{"items": [{"id": "019acb2e-5f00-8041-8000-00c0ffee0007", "kind": "transfer",
    "state": "pending", "debit_account_id": 140737488420864, "credit_account_id": 281474976841728, "amount": 250,
    "currency": "SGD", "message": "lunch", "created_at": "2026-11-22T09:30:00.123456Z"}]}"#;

/// Lists the transfers.
///
/// # Errors
/// See [`SPEC`].
pub async fn run(exchange: &Exchange<'_>, asked: &Asked<'_>) -> Outcome {
    let account_id = exchange.account_in_path(asked.id)?;
    let states = wanted_states(&asked.query)?;
    let after = asked.query.read("cursor", str::parse::<TransferId>)?;
    let caller = asked.caller.user_id.clone();
    let read = OpenTransfersQuery { account_id, caller, states, after, limit: OPEN_TRANSFERS_PAGE + 1 };
    match exchange.ask(Operation::Read(Read::OpenTransfersPage(read))).await? {
        Answer::Transfers(transfers) => Reply::json(StatusCode::OK, &shown(transfers)),
        other => Err(Refusal::from_answer(other)),
    }
}

/// One more than a page has tells that there is another one.
fn shown(mut transfers: Vec<ledger::Transfer>) -> TransferList {
    let has_more = transfers.len() > usize::from(OPEN_TRANSFERS_PAGE);
    transfers.truncate(usize::from(OPEN_TRANSFERS_PAGE));
    let next_cursor = transfers.last().filter(|_| has_more).map(|last| last.id.to_string());
    TransferList { items: transfers.into_iter().map(Transfer::from).collect(), next_cursor }
}

fn wanted_states(query: &Query<'_>) -> Result<Vec<TransferState>, Box<Refusal>> {
    let states = query.read("state", |text| {
        text.split(',')
            .map(|word| match word {
                "pending" => Ok(TransferState::Pending),
                "reserved" => Ok(TransferState::Reserved),
                _ => Err("must be pending, reserved, or both with a comma between"),
            })
            .collect()
    })?;
    Ok(states.unwrap_or_else(|| vec![TransferState::Pending, TransferState::Reserved]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(query: &str) -> Option<Vec<TransferState>> {
        let query = Query::parse(Some(query), |name| name == "state").expect("known");
        wanted_states(&query).ok()
    }

    #[test]
    fn states_are_a_list_of_open_ones() {
        assert_eq!(states("state=pending"), Some(vec![TransferState::Pending]));
        assert_eq!(states("state=pending,reserved"), states(""));
        for absurd in ["state=", "state=posted", "state=pending,", "state=Pending", "state=pending%00"] {
            assert_eq!(states(absurd), None, "{absurd}");
        }
    }
}

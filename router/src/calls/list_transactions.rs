//! `GET /v1/accounts/{id}/transactions`.

use crate::admission::Asked;
use crate::cursor::Cursor;
use crate::exchange::Exchange;
use crate::query::Query;
use crate::refusal::Refusal;
use crate::reply::{Outcome, Reply};
use crate::spec::{AnswerSpec, Parameter, Spec, Values};
use http::StatusCode;
use ledger::{Timestamp, UserId};
use placement::AccountId;
use wire::answer::{Answer, EntriesPage};
use wire::api::{Transaction, TransactionPage};
use wire::operation::{Direction, EntriesQuery, Operation, Read};

/// What the call is.
pub const SPEC: Spec = Spec {
    name: "list_transactions",
    path: "/v1/accounts/{id}/transactions",
    query: &[
        Parameter {
            name: "limit",
            description: "Most items of the page; 50 if absent.",
            values: Values::Number(LIMIT_MIN as u32, LIMIT_MAX as u32),
        },
        Parameter {
            name: "cursor",
            description: "The `next_cursor` of the page before, of the same account and order.",
            values: Values::Text,
        },
        Parameter {
            name: "order",
            description: "Newest first (`desc`, if absent) or oldest first.",
            values: Values::OneOf(&["desc", "asc"]),
        },
        Parameter { name: "from", description: "Made at this time or later.", values: Values::Time },
        Parameter { name: "to", description: "Made before this time.", values: Values::Time },
        Parameter {
            name: "direction",
            description: "Only money that left (`debit`) or came in (`credit`).",
            values: Values::OneOf(&["debit", "credit"]),
        },
    ],
    summary: "Read an account's history",
    description: "The entries of one of the caller's accounts, a page at a time. `entry` numbers them 1, 2, 3 without \
                  a gap, and `balance_after` is the balance once the entry was made.",
    answers: &[AnswerSpec {
        status: 200,
        description: "A page.",
        body: Some(("TransactionPage", EXAMPLE)),
        headers: &[],
    }],
    ..Spec::PLAIN
};

const EXAMPLE: &str = r#"{"items": [{"transfer_id": "019acb2e-5f00-8041-8000-00c0ffee0007", "kind": "transfer",
    "direction": "debit", "amount": 250, "entry": 7, "balance_after": 750,
    "counterparty_account_id": 281474976841728, "counterparty_user_id": "nick", "message": "lunch",
    "created_at": "2026-11-22T09:30:00.123456Z"}], "next_cursor": null}"#;

const LIMIT_MIN: u16 = 1;
const LIMIT_MAX: u16 = 200;
const LIMIT_USUAL: u16 = 50;

/// Reads the page.
///
/// # Errors
/// See [`SPEC`].
pub async fn run(exchange: &Exchange<'_>, asked: &Asked<'_>) -> Outcome {
    let account_id = exchange.account_in_path(asked.id)?;
    let query = entries_query(account_id, asked.caller.user_id.clone(), &asked.query)?;
    let newest_first = query.newest_first;
    match exchange.ask(Operation::Read(Read::Entries(query))).await? {
        Answer::Entries(page) => Reply::json(StatusCode::OK, &shown(account_id, newest_first, page)),
        other => Err(Refusal::from_answer(other)),
    }
}

fn entries_query(account_id: AccountId, caller: UserId, query: &Query<'_>) -> Result<EntriesQuery, Box<Refusal>> {
    let newest_first = query.read("order", |text| match text {
        "desc" => Ok(true),
        "asc" => Ok(false),
        _ => Err("must be desc or asc"),
    })?;
    let newest_first = newest_first.unwrap_or(true);
    let direction = query.read("direction", |text| match text {
        "debit" => Ok(Direction::Debit),
        "credit" => Ok(Direction::Credit),
        _ => Err("must be debit or credit"),
    })?;
    let cursor = query.read("cursor", |text| Cursor::decode(text, account_id, newest_first))?;
    Ok(EntriesQuery {
        account_id,
        caller,
        limit: query.number("limit", LIMIT_MIN, LIMIT_MAX)?.unwrap_or(LIMIT_USUAL),
        after_entry: cursor.map(|cursor| cursor.after_entry),
        newest_first,
        from: query.read("from", time)?,
        to: query.read("to", time)?,
        direction,
    })
}

/// Entries have whole microseconds, so a bound between two of them is the later one. Nothing is older than
/// the epoch.
fn time(text: &str) -> Result<Timestamp, &'static str> {
    let time: jiff::Timestamp = text.parse().map_err(|_| "must be a time such as 2026-11-22T09:30:00Z")?;
    let microseconds = (time.as_nanosecond().max(0) + 999) / 1_000;
    i64::try_from(microseconds).map(Timestamp).map_err(|_| "is out of range")
}

fn shown(account_id: AccountId, newest_first: bool, page: EntriesPage) -> TransactionPage {
    let last = page.items.last().filter(|_| page.more).map(|line| line.entry.number);
    let next_cursor = last.map(|after_entry| Cursor { account_id, newest_first, after_entry }.encode());
    TransactionPage { items: page.items.into_iter().map(Transaction::from).collect(), next_cursor }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::api::ErrorCode;

    fn read(query: &str) -> Result<EntriesQuery, ErrorCode> {
        let account_id = AccountId::MIN;
        let known = |name: &str| SPEC.query.iter().any(|parameter| parameter.name == name);
        let query = Query::parse(Some(query), known).map_err(|refusal| refusal.code)?;
        entries_query(account_id, "yunus".parse().expect("a user"), &query).map_err(|refusal| refusal.code)
    }

    #[test]
    fn absent_parameters_have_their_defaults() {
        let query = read("").expect("nothing wrong");
        assert_eq!((query.limit, query.newest_first, query.after_entry), (50, true, None));
        assert_eq!((query.from, query.to, query.direction), (None, None, None));
    }

    #[test]
    fn parameters_are_taken_over() {
        let cursor = Cursor { account_id: AccountId::MIN, newest_first: false, after_entry: 9 }.encode();
        let text = format!("limit=200&order=asc&direction=credit&from=1970-01-01T00:00:01Z&cursor={cursor}");
        let query = read(&text).expect("nothing wrong");
        assert_eq!((query.limit, query.newest_first, query.after_entry), (200, false, Some(9)));
        assert_eq!((query.from, query.direction), (Some(Timestamp(1_000_000)), Some(Direction::Credit)));
    }

    #[test]
    fn times_with_an_offset_and_fractions_are_understood() {
        let query = read("from=1970-01-01T08:00:00.0000001%2B08:00&to=1969-12-31T00:00:00Z").expect("times");
        assert_eq!((query.from, query.to), (Some(Timestamp(1)), Some(Timestamp(0))));
    }

    #[test]
    fn what_cannot_be_understood_is_malformed() {
        for text in [
            "limit=0",
            "limit=201",
            "limit=ten",
            "order=up",
            "direction=both",
            "cursor=",
            "cursor=0123",
            "from=yesterday",
            "to=2026-02-30T00:00:00Z",
            "from=2026-11-22",
            "to=2026-11-22T09:30:00",
            "page=2",
            "limit=1&limit=2",
        ] {
            assert_eq!(read(text).err(), Some(ErrorCode::MalformedRequest), "{text}");
        }
    }
}

//! `GET /v1/currencies`.

use crate::exchange::Exchange;
use crate::reply::{Outcome, Reply};
use crate::spec::{Access, AnswerSpec, Spec};
use http::StatusCode;
use wire::api::{Currency, CurrencyList};

/// What the call is.
pub const SPEC: Spec = Spec {
    name: "list_currencies",
    path: "/v1/currencies",
    access: Access::Session,
    summary: "List the currencies",
    description: "What accounts may hold. Amounts are integers that carry `exponent` decimal digits: 250 is 250 \
                  dollars with exponent 0, and 2.50 dollars with exponent 2.",
    answers: &[AnswerSpec {
        status: 200,
        description: "The currencies.",
        body: Some(("CurrencyList", r#"{"items": [{"code": "SGD", "exponent": 0, "transfer_amount_max": 999999}]}"#)),
        headers: &[],
    }],
    ..Spec::PLAIN
};

/// Lists the currencies.
///
/// # Errors
/// See [`SPEC`].
pub fn run(exchange: &Exchange<'_>) -> Outcome {
    let items = exchange.topology()?.currencies.iter().map(Currency::from).collect();
    Reply::json(StatusCode::OK, &CurrencyList { items })
}

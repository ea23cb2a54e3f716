//! From a request to its answer: what holds for every one, whatever it asks.

use crate::access_log;
use crate::admission;
use crate::app::App;
use crate::calls;
use crate::exchange::Exchange;
use crate::metrics::Ending;
use crate::refusal::Refusal;
use crate::reply::{Outcome, Reply};
use crate::route::Call;
use crate::spec::Access;
use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{self, HeaderName};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use runtime::in_flight::Place;
use std::panic::AssertUnwindSafe;
use wire::api::ErrorCode;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const BEARER: HeaderValue = HeaderValue::from_static("Bearer");
const TRUE: HeaderValue = HeaderValue::from_static("true");

/// Answers one request. Never fails: what goes wrong is told as a problem.
pub async fn answer(app: &App, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let exchange = Exchange::begin(app, &head.headers);
    let found = app.routes.find(&head.method, head.uri.path());
    let call = found.as_ref().ok().map(|(call, _)| *call);
    let Some(place) = app.in_flight.enter() else {
        return finish(&exchange, call, &head.method, Err(admission::refused_in_flight(app)));
    };
    let outcome = match found {
        Err(refusal) => Err(refusal),
        Ok((call, id)) => {
            let run = AssertUnwindSafe(run(&exchange, place, call, id, &head, body));
            // The hook of the process has logged the panic.
            run.catch_unwind().await.unwrap_or_else(|_| Err(Refusal::new(ErrorCode::Internal)))
        }
    };
    finish(&exchange, call, &head.method, outcome)
}

async fn run(
    exchange: &Exchange<'_>,
    place: Place,
    call: Call,
    id: &str,
    head: &http::request::Parts,
    body: Incoming,
) -> Outcome {
    let spec = call.spec();
    if spec.access == Access::Public {
        return calls::page(exchange.app, call);
    }
    let (asked, _place) = admission::admit(exchange, place, spec, id, head, body).await?;
    calls::run(exchange, call, asked).await
}

fn finish(exchange: &Exchange<'_>, call: Option<Call>, method: &Method, outcome: Outcome) -> Response<Full<Bytes>> {
    let ending = match &outcome {
        Ok(reply) => Ending::Fine(reply.status),
        Err(refusal) => Ending::Problem(refusal.code),
    };
    let took = exchange.started.elapsed();
    exchange.app.metrics.answered(call, ending, took);
    access_log::note(exchange, call, &outcome, ending, took);
    let mut response = match outcome {
        Ok(reply) => fine(reply),
        Err(refusal) => problem(exchange, &refusal),
    };
    let headers = response.headers_mut();
    let mut text = uuid::Uuid::encode_buffer();
    let request_id = exchange.request_id.hyphenated().encode_lower(&mut text);
    if let Ok(request_id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, request_id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    if *method == Method::HEAD {
        without_body(&mut response);
    }
    response
}

fn fine(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(reply.body));
    *response.status_mut() = reply.status;
    let headers = response.headers_mut();
    if reply.status != StatusCode::NOT_MODIFIED {
        headers.insert(header::CONTENT_TYPE, reply.content_type);
    }
    headers.insert(header::CACHE_CONTROL, reply.cache_control.unwrap_or(NO_STORE));
    let optional = [
        (header::LOCATION, reply.location),
        (header::ETAG, reply.etag),
        (header::CONTENT_SECURITY_POLICY, reply.content_security_policy),
        (PREFERENCE_APPLIED, reply.preference_applied),
        (REPLAYED, reply.replayed.then_some(TRUE)),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
    response
}

fn problem(exchange: &Exchange<'_>, refusal: &Refusal) -> Response<Full<Bytes>> {
    // A problem is made of texts and numbers, which always can be written.
    let body = serde_json::to_vec(&refusal.problem(exchange.request_id)).unwrap_or_default();
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = StatusCode::from_u16(refusal.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    if refusal.code == ErrorCode::Unauthenticated {
        headers.insert(header::WWW_AUTHENTICATE, BEARER);
    }
    if let Some(seconds) = refusal.retry_after_seconds {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    if let Some(allow) = refusal.allow {
        headers.insert(header::ALLOW, HeaderValue::from_static(allow));
    }
    if refusal.replayed {
        headers.insert(REPLAYED, TRUE);
    }
    response
}

/// What GET would have answered, told by its headers alone (RFC 9110, section 9.3.2).
fn without_body(response: &mut Response<Full<Bytes>>) {
    let body = std::mem::take(response.body_mut());
    if let Some(length) = hyper::body::Body::size_hint(&body).exact() {
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    }
}

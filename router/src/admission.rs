//! What must be so before a call is run, in the order in which it is checked: no overload, session, scope, rate, query,
//! content type, size of the body, idempotency key.

use crate::app::App;
use crate::exchange::Exchange;
use crate::idempotency::IdempotencyKey;
use crate::json_body;
use crate::query::Query;
use crate::refusal::Refusal;
use crate::session::{Session, bearer_token};
use crate::spec::{Access, BodySpec, KeyUse, Spec, Verb};
use crate::user_places::NoPlace;
use bytes::Bytes;
use http::{HeaderMap, header};
use hyper::body::{Body, Incoming};
use ledger::KeyClaim;
use runtime::body::{BodyError, read_limited};
use runtime::in_flight::Place;
use serde::de::DeserializeOwned;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use utoipa::ToSchema;
use wire::api::ErrorCode;

/// A request that may be run.
#[derive(Debug)]
pub struct Asked<'a> {
    /// Who asks.
    pub caller: Arc<Session>,
    /// The `{id}` of the path.
    pub id: &'a str,
    /// The parameters of the query.
    pub query: Query<'a>,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The key, if the call honours one and there is one.
    pub key: Option<IdempotencyKey>,
    /// The body; empty if the call takes none.
    pub body: Bytes,
}

impl Asked<'_> {
    /// The object in the body.
    ///
    /// # Errors
    /// [`ErrorCode::MalformedRequest`].
    pub fn json<T: DeserializeOwned + ToSchema>(&self) -> Result<T, Box<Refusal>> {
        json_body::read(&self.body)
    }

    /// The object in the body, or the default if there is none.
    ///
    /// # Errors
    /// [`ErrorCode::MalformedRequest`].
    pub fn json_or_default<T: DeserializeOwned + ToSchema + Default>(&self) -> Result<T, Box<Refusal>> {
        if self.body.trim_ascii().is_empty() { Ok(T::default()) } else { self.json() }
    }

    /// The claim of the key, which the call requires.
    ///
    /// # Errors
    /// [`ErrorCode::IdempotencyKeyRequired`].
    pub fn claim(&self, claim: impl FnOnce(&IdempotencyKey, &str) -> KeyClaim) -> Result<KeyClaim, Box<Refusal>> {
        let key = self.key.as_ref().ok_or_else(|| Refusal::new(ErrorCode::IdempotencyKeyRequired))?;
        Ok(claim(key, self.caller.user_id.as_str()))
    }
}

/// One more than can be in flight.
pub fn refused_in_flight(app: &App) -> Box<Refusal> {
    app.metrics.refused_in_flight();
    Refusal::with_detail(ErrorCode::Overloaded, "too many requests are in flight; nothing was done")
}

/// Checks everything that is the same for all calls. The place in flight is given back and taken again while the client
/// takes its time with the body.
///
/// # Errors
/// The first check that fails.
pub async fn admit<'a>(
    exchange: &Exchange<'_>,
    place: Place,
    spec: &Spec,
    id: &'a str,
    head: &'a http::request::Parts,
    body: Incoming,
) -> Result<(Asked<'a>, Place), Box<Refusal>> {
    if spec.access == Access::Wallet && !exchange.app.doors.first(spec.method == Verb::Get, rand::random()) {
        exchange.app.metrics.refused_at_door();
        return Err(Refusal::new(ErrorCode::Overloaded));
    }
    let caller = authenticate(exchange, &head.headers).await?;
    check_scope(spec.access, &caller)?;
    exchange.app.rate_limit.check(caller.rate_key).map_err(Refusal::rate_limited)?;
    let query = Query::parse(head.uri.query(), |name| spec.query.iter().any(|known| known.name == name))?;
    let (body, place) = read_body(exchange, &caller, place, spec, &head.headers, body).await?;
    let key = match spec.key {
        KeyUse::Ignored => None,
        KeyUse::Honoured => IdempotencyKey::of(&head.headers)?,
        KeyUse::Required => {
            let key = IdempotencyKey::of(&head.headers)?;
            Some(key.ok_or_else(|| Refusal::new(ErrorCode::IdempotencyKeyRequired))?)
        }
    };
    Ok((Asked { caller, id, query, headers: &head.headers, key, body }, place))
}

async fn authenticate(exchange: &Exchange<'_>, headers: &HeaderMap) -> Result<Arc<Session>, Box<Refusal>> {
    let token = bearer_token(headers).ok_or_else(|| Refusal::new(ErrorCode::Unauthenticated))?;
    match exchange.app.sessions.of_token(token).await {
        Ok(Some(session)) => Ok(session),
        Ok(None) => Err(Refusal::with_detail(ErrorCode::Unauthenticated, "the token is unknown, or has expired")),
        Err(_) => Err(Refusal::unavailable("sessions cannot be read now")),
    }
}

fn check_scope(access: Access, session: &Session) -> Result<(), Box<Refusal>> {
    let (allowed, detail) = match access {
        Access::Public | Access::Session => (true, ""),
        Access::Wallet => (session.wallet, "this call needs the scope wallet"),
        Access::Admin => (session.admin, "this call needs the scope admin"),
    };
    if allowed { Ok(()) } else { Err(Refusal::with_detail(ErrorCode::Forbidden, detail)) }
}

async fn read_body(
    exchange: &Exchange<'_>,
    caller: &Session,
    place: Place,
    spec: &Spec,
    headers: &HeaderMap,
    body: Incoming,
) -> Result<(Bytes, Place), Box<Refusal>> {
    let may_be_empty = match spec.body {
        BodySpec::Ignored => return Ok((Bytes::new(), place)),
        BodySpec::Empty | BodySpec::Optional { .. } => body.is_end_stream(),
        BodySpec::Object { .. } => false,
    };
    let mut content_types = headers.get_all(header::CONTENT_TYPE).iter();
    match (content_types.next(), content_types.next()) {
        _ if may_be_empty => return Ok((Bytes::new(), place)),
        (Some(content_type), None) if json_body::is_json(content_type) => {}
        _ => return Err(Refusal::new(ErrorCode::UnsupportedMediaType)),
    }
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Refusal::with_detail(ErrorCode::UnsupportedMediaType, "the body must not be encoded"));
    }
    let (read, place) = await_body(exchange, caller, place, body).await?;
    let body = read.map_err(|error| match error {
        BodyError::TooLarge { max } => {
            Refusal::with_detail(ErrorCode::PayloadTooLarge, format!("the body must be at most {max} bytes long"))
        }
        BodyError::TimedOut { .. } => {
            Refusal::with_detail(ErrorCode::MalformedRequest, "the body did not arrive in time")
        }
        BodyError::Broken(_) => Refusal::with_detail(ErrorCode::MalformedRequest, "the body broke off"),
    })?;
    if spec.body == BodySpec::Empty && !body.trim_ascii().is_empty() {
        json_body::read::<wire::api::EmptyRequest>(&body)?;
    }
    Ok((body, place))
}

/// Reads the body. Mostly it has come with the head. Where it has not, the place in flight goes to somebody else: a
/// client that is slow, or never sends the rest, takes nothing from those whose requests are here; nor does one user
/// take all places of those that are slow.
async fn await_body(
    exchange: &Exchange<'_>,
    caller: &Session,
    place: Place,
    body: Incoming,
) -> Result<(Result<Bytes, BodyError>, Place), Box<Refusal>> {
    let app = exchange.app;
    let mut reading = pin!(read_limited(body, app.body_bytes_max, exchange.remaining()));
    if let Poll::Ready(read) = futures_util::poll!(reading.as_mut()) {
        return Ok((read, place));
    }
    drop(place);
    let awaited = app.bodies_awaited.enter(caller.rate_key).map_err(|no_place| {
        app.metrics.refused_body();
        match no_place {
            NoPlace::AtAll => {
                Refusal::with_detail(ErrorCode::Overloaded, "too many requests come slowly; nothing was done")
            }
            NoPlace::OfUser => Refusal::with_detail(
                ErrorCode::RateLimited,
                "too many requests of this user come slowly; nothing was done",
            ),
        }
    })?;
    let read = reading.await;
    drop(awaited);
    let place = app.in_flight.enter().ok_or_else(|| refused_in_flight(app))?;
    Ok((read, place))
}

//! What came of one call, in a form small enough to keep hundreds of thousands.

use std::borrow::Cow;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use http::StatusCode;
use serde::Deserialize;
use uuid::Uuid;

use crate::client::{Failure, Reply};

/// What came of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// No connection could be made, so nothing was sent.
    NotSent,
    /// There is no answer: the request may have been carried out.
    Lost(Loss),
    /// An answer that decides nothing: the same key may be sent again.
    Open(u16, Code),
    /// A transfer.
    Said(Said),
    /// A refusal that is recorded under the key (422), or the loss of a race (409).
    Refused(u16, Code, Option<Uuid>),
    /// An answer that is not recorded, and that no repeat would change.
    Denied(u16, Code),
    /// Not an answer of the contract.
    Nonsense(u16),
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The connection broke.
    Broken,
    /// It did not come while the client waited its usual time.
    Timeout,
    /// The client hung up early, on purpose.
    HungUp,
}

/// What an answer says of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// The status.
    pub status: u16,
    /// The transfer.
    pub transfer: Uuid,
    /// How far it is.
    pub state: State,
    /// Its amount.
    pub amount: i64,
    /// Of the whole body: equal answers have equal ones.
    pub body: u64,
}

/// How far a transfer is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The other shard has not decided.
    Pending,
    /// Set aside by the client's wish.
    Reserved,
    /// The money has moved.
    Posted,
    /// Given back, and why.
    Released(Code),
    /// Refused, and why.
    Rejected(Code),
}

/// An error code of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(&'static str);

/// All codes that a transfer can meet. Written from the contract, not shared with the wallet.
const CODES: &[&str] = &[
    "malformed_request",
    "idempotency_key_required",
    "idempotency_key_invalid",
    "unauthenticated",
    "forbidden",
    "not_found",
    "method_not_allowed",
    "payload_too_large",
    "unsupported_media_type",
    "transfer_not_reserved",
    "idempotency_in_flight",
    "idempotency_key_reused",
    "insufficient_funds",
    "amount_out_of_range",
    "amount_exceeds_reserved",
    "currency_mismatch",
    "currency_unknown",
    "region_unknown",
    "same_account",
    "credit_account_not_found",
    "credit_user_not_found",
    "account_frozen",
    "account_closed",
    "limit_exceeded",
    "message_too_long",
    "voided",
    "released_by_client",
    "expired",
    "rate_limited",
    "internal",
    "overloaded",
    "unavailable",
];

impl Code {
    /// What stands where the contract has no such code.
    pub const UNKNOWN: Self = Self("(no code of the contract)");

    /// The code of this name.
    pub fn of(name: &str) -> Self {
        CODES.iter().find(|known| **known == name).map_or(Self::UNKNOWN, |known| Self(known))
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

#[derive(Deserialize)]
struct Body<'a> {
    id: Uuid,
    #[serde(borrow)]
    state: Cow<'a, str>,
    #[serde(borrow)]
    reason: Option<Cow<'a, str>>,
    amount: i64,
}

#[derive(Deserialize)]
struct Problem<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
    transfer_id: Option<Uuid>,
}

impl Answer {
    /// Of a call that asks for, or about, a transfer.
    pub fn of(sent: &Result<Reply, Failure>) -> Self {
        match sent {
            Err(Failure::Connect) => Self::NotSent,
            Err(Failure::Broken) => Self::Lost(Loss::Broken),
            Err(Failure::Timeout) => Self::Lost(Loss::Timeout),
            Ok(reply) if reply.status.is_success() => said(reply).map_or_else(|| nonsense(reply), Self::Said),
            Ok(reply) => problem(reply),
        }
    }

    /// Whether this decides what became of the request, for good.
    pub fn decides(&self) -> bool {
        match self {
            Self::Said(said) => said.state != State::Pending,
            Self::Refused(..) | Self::Denied(..) | Self::Nonsense(_) => true,
            Self::NotSent | Self::Lost(_) | Self::Open(..) => false,
        }
    }

    /// Whether the request may have been carried out although this does not say so.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::Open(..))
    }

    /// The transfer that this names.
    pub fn transfer(&self) -> Option<Uuid> {
        match self {
            Self::Said(said) => Some(said.transfer),
            Self::Refused(_, _, transfer) => *transfer,
            Self::NotSent | Self::Lost(_) | Self::Open(..) | Self::Denied(..) | Self::Nonsense(_) => None,
        }
    }

    /// Under which word the report counts this.
    pub fn word(&self) -> &'static str {
        match self {
            Self::NotSent => "(no connection)",
            Self::Lost(Loss::Broken) => "(connection broken)",
            Self::Lost(Loss::Timeout) => "(timeout)",
            Self::Lost(Loss::HungUp) => "(hung up)",
            Self::Open(_, code) | Self::Refused(_, code, _) | Self::Denied(_, code) => code.as_str(),
            Self::Said(said) => said.state.as_str(),
            Self::Nonsense(_) => "(not an answer of the contract)",
        }
    }
}

impl State {
    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Reserved => "reserved",
            Self::Posted => "posted",
            Self::Released(_) => "released",
            Self::Rejected(_) => "rejected",
        }
    }

    /// Whether nothing can change it any more.
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Pending | Self::Reserved)
    }

    fn of(body: &Body<'_>) -> Option<Self> {
        let reason = || body.reason.as_deref().map_or(Code::UNKNOWN, Code::of);
        Some(match body.state.as_ref() {
            "pending" => Self::Pending,
            "reserved" => Self::Reserved,
            "posted" => Self::Posted,
            "released" => Self::Released(reason()),
            "rejected" => Self::Rejected(reason()),
            _ => return None,
        })
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent => f.write_str("no connection, so nothing was sent"),
            Self::Lost(Loss::Broken) => f.write_str("no answer: the connection broke"),
            Self::Lost(Loss::Timeout) => f.write_str("no answer in time"),
            Self::Lost(Loss::HungUp) => f.write_str("no answer: the client hung up"),
            Self::Open(status, code) | Self::Denied(status, code) => write!(f, "{status} {code}"),
            Self::Refused(status, code, None) => write!(f, "{status} {code}"),
            Self::Refused(status, code, Some(transfer)) => write!(f, "{status} {code}, transfer {transfer}"),
            Self::Said(said) => said.fmt(f),
            Self::Nonsense(status) => write!(f, "{status} with a body that the contract does not know"),
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, transfer, state, amount, body } = self;
        write!(f, "{status} {}", state.as_str())?;
        if let State::Released(reason) | State::Rejected(reason) = state {
            write!(f, " ({reason})")?;
        }
        write!(f, ", amount {amount}, transfer {transfer}, body {body:016x}")
    }
}

fn said(reply: &Reply) -> Option<Said> {
    let body: Body<'_> = serde_json::from_slice(&reply.body).ok()?;
    let mut hasher = DefaultHasher::new();
    reply.body.hash(&mut hasher);
    let (status, state) = (reply.status.as_u16(), State::of(&body)?);
    Some(Said { status, transfer: body.id, state, amount: body.amount, body: hasher.finish() })
}

fn nonsense(reply: &Reply) -> Answer {
    Answer::Nonsense(reply.status.as_u16())
}

fn problem(reply: &Reply) -> Answer {
    let Ok(problem) = serde_json::from_slice::<Problem<'_>>(&reply.body) else { return nonsense(reply) };
    let (status, code) = (reply.status, Code::of(&problem.code));
    match status {
        _ if code == Code::UNKNOWN => nonsense(reply),
        StatusCode::CONFLICT if code == Code::of("idempotency_in_flight") => Answer::Open(status.as_u16(), code),
        StatusCode::UNPROCESSABLE_ENTITY | StatusCode::CONFLICT => {
            Answer::Refused(status.as_u16(), code, problem.transfer_id)
        }
        StatusCode::TOO_MANY_REQUESTS => Answer::Open(status.as_u16(), code),
        _ if status.is_server_error() => Answer::Open(status.as_u16(), code),
        _ => Answer::Denied(status.as_u16(), code),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn answer(status: u16, body: &'static str) -> Answer {
        let status = StatusCode::from_u16(status).unwrap();
        Answer::of(&Ok(Reply { status, body: Bytes::from_static(body.as_bytes()), is_replay: false }))
    }

    #[test]
    fn success_is_read_and_anything_else_in_its_place_is_nonsense() {
        let posted = r#"{"id":"019acb2e-5f00-8401-8000-00c0ffee0007","state":"posted","amount":5,"x":1}"#;
        let Answer::Said(said) = answer(201, posted) else { panic!() };
        assert_eq!((said.status, said.state, said.amount), (201, State::Posted, 5));
        let released =
            r#"{"id":"019acb2e-5f00-8401-8000-00c0ffee0007","state":"released","reason":"expired","amount":5}"#;
        let Answer::Said(other) = answer(200, released) else { panic!() };
        assert_eq!(other.state, State::Released(Code::of("expired")));
        assert_ne!(said.body, other.body);
        for body in ["", "{}", r#"{"id":"019acb2e-5f00-8401-8000-00c0ffee0007","state":"perhaps","amount":5}"#] {
            assert_eq!(answer(201, body), Answer::Nonsense(201), "{body}");
        }
    }

    #[test]
    fn only_refusals_under_the_key_are_refusals() {
        assert!(matches!(answer(422, r#"{"code":"insufficient_funds"}"#), Answer::Refused(422, _, None)));
        assert!(matches!(answer(409, r#"{"code":"transfer_not_reserved"}"#), Answer::Refused(409, _, None)));
        assert!(matches!(answer(404, r#"{"code":"not_found"}"#), Answer::Denied(404, _)));
        for (status, code) in [(503, "unavailable"), (500, "internal"), (429, "rate_limited")] {
            let body: &'static str = format!(r#"{{"code":"{code}"}}"#).leak();
            assert_eq!(answer(status, body), Answer::Open(status, Code::of(code)));
        }
        assert!(answer(409, r#"{"code":"idempotency_in_flight"}"#).is_unknown());
        assert_eq!(answer(422, r#"{"code":"made_up"}"#), Answer::Nonsense(422));
        assert_eq!(answer(503, "<html>"), Answer::Nonsense(503));
    }
}

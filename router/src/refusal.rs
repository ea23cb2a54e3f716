//! From whatever can go wrong to the problem that the client is told: the one place where it is decided.

use ledger::Rejection;
use placement::TransferId;
use std::borrow::Cow;
use wire::answer::Answer;
use wire::api::{ErrorCode, FieldError, Problem, TransferState};
use wire::link::CallError;

/// After which time a client may try again where nothing better is known, in seconds.
const RETRY_AFTER_SECONDS: u32 = 1;

/// Why a request is not done. Boxed wherever it travels: it is large and rare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The kind of problem; status, title and advice follow from it.
    pub code: ErrorCode,
    /// What is wrong in this case.
    pub detail: Cow<'static, str>,
    /// What is wrong with which part of the request.
    pub errors: Vec<FieldError>,
    /// The transfer that records it.
    pub transfer_id: Option<TransferId>,
    /// What has become of the transfer, and why, where that is what is in the way.
    pub ended: Option<(TransferState, Option<ErrorCode>)>,
    /// Whether it was decided by an earlier request with the same key.
    pub replayed: bool,
    /// For the header `Retry-After`.
    pub retry_after_seconds: Option<u32>,
    /// For the header `Allow`.
    pub allow: Option<&'static str>,
}

impl Refusal {
    /// A problem about which nothing more is to be said.
    pub fn new(code: ErrorCode) -> Box<Self> {
        Self::with_detail(code, usual_detail(code))
    }

    /// A problem with what is wrong in this case.
    pub fn with_detail(code: ErrorCode, detail: impl Into<Cow<'static, str>>) -> Box<Self> {
        Box::new(Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            transfer_id: None,
            ended: None,
            replayed: false,
            retry_after_seconds: usual_retry_after_seconds(code),
            allow: None,
        })
    }

    /// The request cannot be read, because of these parts of it.
    pub fn malformed(errors: Vec<FieldError>) -> Box<Self> {
        Box::new(Self { errors, ..*Self::new(ErrorCode::MalformedRequest) })
    }

    /// The request cannot be read, because of this part of it.
    pub fn malformed_at(pointer: impl Into<String>, detail: impl Into<String>) -> Box<Self> {
        Self::malformed(vec![FieldError::new(pointer, detail)])
    }

    /// Absent, or somebody else's: nobody is told which.
    pub fn not_found() -> Box<Self> {
        Self::new(ErrorCode::NotFound)
    }

    /// A part that is needed cannot be asked.
    pub fn unavailable(detail: &'static str) -> Box<Self> {
        Self::with_detail(ErrorCode::Unavailable, detail)
    }

    /// The path is there, but only with these methods.
    pub fn method_not_allowed(allow: &'static str) -> Box<Self> {
        Box::new(Self { allow: Some(allow), ..*Self::new(ErrorCode::MethodNotAllowed) })
    }

    /// Too soon; not before so many seconds.
    pub fn rate_limited(retry_after_seconds: u32) -> Box<Self> {
        Box::new(Self { retry_after_seconds: Some(retry_after_seconds), ..*Self::new(ErrorCode::RateLimited) })
    }

    /// Refused for good by the shard.
    pub fn rejected(rejection: Rejection, transfer_id: Option<TransferId>, replayed: bool) -> Box<Self> {
        Box::new(Self { transfer_id, replayed, ..*Self::new(ErrorCode::from(rejection)) })
    }

    /// Committed, released or expired before, or never reserved: with the state it is in.
    pub fn not_reserved(transfer: &ledger::Transfer) -> Box<Self> {
        let words = transfer.reason.map(|reason| format!(" ({})", reason.code())).unwrap_or_default();
        let detail = format!("the transfer is {}{words}", transfer.state.as_str());
        let transfer_id = Some(transfer.id);
        let ended = Some((transfer.state.into(), transfer.reason.map(ErrorCode::from)));
        Box::new(Self { transfer_id, ended, ..*Self::with_detail(ErrorCode::TransferNotReserved, detail) })
    }

    /// An answer that is not the one hoped for.
    pub fn from_answer(answer: Answer) -> Box<Self> {
        match answer {
            Answer::Rejected { rejection, transfer_id, replayed } => Self::rejected(rejection, transfer_id, replayed),
            Answer::NotFound => Self::not_found(),
            Answer::AccountNotEmpty => Self::new(ErrorCode::AccountNotEmpty),
            Answer::AccountIsClosed => Self::new(ErrorCode::AccountClosed),
            Answer::InFlight => Self::new(ErrorCode::IdempotencyInFlight),
            Answer::Moved { .. } => Self::unavailable("the account is moving; nothing was done"),
            Answer::Overloaded { retry_after_ms } => Box::new(Self {
                retry_after_seconds: Some(retry_after_ms.div_ceil(1000).max(1)),
                ..*Self::new(ErrorCode::Overloaded)
            }),
            Answer::Unavailable => Self::unavailable("the account's shard cannot tell the outcome now"),
            Answer::NotReserved(transfer) => Self::not_reserved(&transfer),
            // The shard-node has logged why.
            Answer::Internal => Self::new(ErrorCode::Internal),
            Answer::Invalid(rule) => {
                tracing::error!(rule, "a shard-node refused what the router let through");
                Self::new(ErrorCode::Internal)
            }
            unexpected @ (Answer::Transfer { .. }
            | Answer::Account { .. }
            | Answer::Accounts(_)
            | Answer::Entries(_)
            | Answer::Transfers(_)
            | Answer::Resolved(_)
            | Answer::Decision { .. }
            | Answer::Map(_)
            | Answer::Pairing(_)
            | Answer::Clearing(_)
            | Answer::Recent(_)) => {
                tracing::error!(answer = ?std::mem::discriminant(&unexpected), "an answer to another question");
                Self::new(ErrorCode::Internal)
            }
        }
    }

    /// What the client is told.
    pub fn problem(&self, request_id: uuid::Uuid) -> Problem {
        Problem {
            kind: self.code.kind().into(),
            title: self.code.title().into(),
            status: self.code.status(),
            detail: self.detail.clone(),
            code: self.code,
            retry: self.code.retry(),
            transfer_id: self.transfer_id,
            state: self.ended.map(|(state, _)| state),
            reason: self.ended.and_then(|(_, reason)| reason),
            errors: self.errors.clone(),
            request_id,
        }
    }
}

impl From<CallError> for Box<Refusal> {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Unknown if runtime::bug!("bug::timeout_is_a_refusal") => {
                Refusal::rejected(Rejection::InsufficientFunds, None, false)
            }
            CallError::NotApplied => Refusal::unavailable("the account's shard cannot be reached; nothing was done"),
            CallError::Unknown => {
                Refusal::unavailable("the account's shard did not answer in time; ask again with the same key")
            }
        }
    }
}

fn usual_retry_after_seconds(code: ErrorCode) -> Option<u32> {
    match code.status() {
        429 | 503 => Some(RETRY_AFTER_SECONDS),
        _ if code == ErrorCode::IdempotencyInFlight => Some(RETRY_AFTER_SECONDS),
        _ => None,
    }
}

/// What is said of a problem when the case says no more than its code.
fn usual_detail(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::MalformedRequest => "the request cannot be read",
        ErrorCode::IdempotencyKeyRequired => "this call needs the header Idempotency-Key",
        ErrorCode::IdempotencyKeyInvalid => "an Idempotency-Key is 1 to 255 printable ASCII characters, sent once",
        ErrorCode::Unauthenticated => "this call needs the token of a session: Authorization: Bearer TOKEN",
        ErrorCode::Forbidden => "the session does not have the scope that this call needs",
        ErrorCode::NotFound => "there is no such thing, or it is not the caller's",
        ErrorCode::MethodNotAllowed => "this path does not take this method; see the header Allow",
        ErrorCode::TransferNotReserved => "the transfer was committed or released, or has expired",
        ErrorCode::AccountNotEmpty => "only an account with a balance of 0 can be closed",
        ErrorCode::IdempotencyInFlight => "the first request with this key is still being decided",
        ErrorCode::PayloadTooLarge => "the body is too long",
        ErrorCode::UnsupportedMediaType => "the body must be application/json, in UTF-8",
        ErrorCode::IdempotencyKeyReused => "this key was used for another request",
        ErrorCode::InsufficientFunds => "the account's available amount is less than the amount asked for",
        ErrorCode::AmountOutOfRange => "the amount must be at least 1 and at most the currency's limit",
        ErrorCode::AmountExceedsReserved => "the amount is more than was reserved",
        ErrorCode::CurrencyMismatch => "the two accounts hold different currencies",
        ErrorCode::CurrencyUnknown => "there is no such currency; see GET /v1/currencies",
        ErrorCode::RegionUnknown => "there is no such region",
        ErrorCode::SameAccount => "the debit account and the credit account are the same",
        ErrorCode::CreditAccountNotFound => "there is no such credit account",
        ErrorCode::CreditUserNotFound => "the user has no open account in the debit account's currency",
        ErrorCode::AccountFrozen => "an account is frozen",
        ErrorCode::AccountClosed => "an account is closed",
        ErrorCode::AccountLimitReached => "the user has as many accounts in this region as one may have",
        ErrorCode::LimitExceeded => "the credit account would hold more than an account can",
        ErrorCode::MessageTooLong => "a message has at most 255 characters",
        ErrorCode::Voided => {
            "the transfer was given up before the other shard had decided; a later attempt needs a new key"
        }
        ErrorCode::ReleasedByClient => "the reservation was given back by its client",
        ErrorCode::Expired => "the reservation was neither committed nor released in time",
        ErrorCode::RateLimited => "too many requests of this user",
        ErrorCode::Internal => "a defect; it was logged under the request id",
        ErrorCode::Overloaded => "too much work is waiting; nothing was done",
        ErrorCode::Unavailable => "a part that is needed cannot be asked now",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::api::RetryAdvice;

    #[test]
    fn every_rejection_is_told_with_its_code_transfer_and_whether_it_is_replayed() {
        for rejection in Rejection::ALL {
            let answer = Answer::Rejected { rejection, transfer_id: None, replayed: true };
            let refusal = Refusal::from_answer(answer);
            let problem = refusal.problem(uuid::Uuid::nil());
            assert_eq!(problem.code.as_str(), rejection.code());
            assert_eq!(problem.status, 422);
            assert_eq!(refusal.retry_after_seconds, None);
            assert!(refusal.replayed);
        }
    }

    #[test]
    fn what_cannot_be_asked_may_be_asked_again_with_the_same_key() {
        let refusals = [
            Box::<Refusal>::from(CallError::NotApplied),
            Box::<Refusal>::from(CallError::Unknown),
            Refusal::from_answer(Answer::Unavailable),
            Refusal::from_answer(Answer::Overloaded { retry_after_ms: 1_001 }),
            Refusal::from_answer(Answer::InFlight),
        ];
        for refusal in refusals {
            assert_eq!(refusal.code.retry(), RetryAdvice::SameKey, "{refusal:?}");
            assert!(refusal.retry_after_seconds.is_some(), "{refusal:?}");
        }
    }

    #[test]
    fn a_busy_shards_pause_is_rounded_up_to_seconds() {
        let after = |ms| Refusal::from_answer(Answer::Overloaded { retry_after_ms: ms }).retry_after_seconds;
        assert_eq!((after(0), after(1_000), after(1_001)), (Some(1), Some(1), Some(2)));
    }

    #[test]
    fn problem_has_the_form_of_the_contract() {
        let refusal = Refusal::malformed_at("/amount", "must be an integer");
        let problem = serde_json::to_value(refusal.problem(uuid::Uuid::nil())).expect("json");
        let expected = serde_json::json!({
            "type": "/problems/malformed-request", "title": "Malformed request", "status": 400,
            "detail": "the request cannot be read", "code": "malformed_request", "retry": "never",
            "errors": [{"pointer": "/amount", "detail": "must be an integer"}],
            "request_id": "00000000-0000-0000-0000-000000000000"
        });
        assert_eq!(problem, expected);
    }
}

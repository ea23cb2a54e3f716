//! Errors as RFC 9457 writes them.

use super::{ErrorCode, RetryAdvice, TransferState};
use placement::TransferId;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use utoipa::ToSchema;
use uuid::Uuid;

/// What went wrong, as `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Names the kind of problem, as `code` does.
    #[serde(rename = "type")]
    #[schema(example = "/problems/insufficient-funds")]
    pub kind: Cow<'static, str>,
    /// The kind of problem in words.
    #[schema(example = "Insufficient funds")]
    pub title: Cow<'static, str>,
    /// The status of the answer.
    #[schema(example = 422)]
    pub status: u16,
    /// What is wrong in this case.
    #[schema(example = "the account's available amount is less than the amount asked for")]
    pub detail: Cow<'static, str>,
    /// The kind of problem, for programs.
    pub code: ErrorCode,
    /// Whether the request may be sent again.
    pub retry: RetryAdvice,
    /// The transfer that records the refusal, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Uuid, example = "019acb2e-5f00-8041-8000-00c0ffee0007")]
    pub transfer_id: Option<TransferId>,
    /// Of `transfer_not_reserved`: the state that the transfer is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<TransferState>,
    /// Of `transfer_not_reserved`: why the transfer was released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ErrorCode>,
    /// What is wrong with which part of the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// The `X-Request-Id` of the answer.
    #[schema(example = "019acb2e-5f00-7000-8000-000000000001")]
    pub request_id: Uuid,
}

/// What is wrong with one part of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// Where: a JSON Pointer (RFC 6901) into the body, or `?name` for a query parameter.
    #[schema(example = "/amount")]
    pub pointer: String,
    /// What.
    #[schema(example = "must be an integer")]
    pub detail: String,
}

impl FieldError {
    /// What is wrong with the value at a place.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        FieldError { pointer: pointer.into(), detail: detail.into() }
    }
}

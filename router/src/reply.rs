//! An answer that is not a refusal.

use crate::refusal::Refusal;
use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use placement::TransferId;
use serde::Serialize;
use wire::api::{self, ErrorCode};

/// What a call comes to.
pub type Outcome = Result<Reply, Box<Refusal>>;

/// What is answered, without the headers that every answer has.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The media type of the body.
    pub content_type: HeaderValue,
    /// The body.
    pub body: Bytes,
    /// Where the thing made can be read.
    pub location: Option<HeaderValue>,
    /// Changes whenever the body does.
    pub etag: Option<HeaderValue>,
    /// Whether it was decided by an earlier request with the same key.
    pub replayed: bool,
    /// Which wish of `Prefer` was followed.
    pub preference_applied: Option<HeaderValue>,
    /// What a browser may do with the page.
    pub content_security_policy: Option<HeaderValue>,
    /// Who may keep the answer; nobody if absent.
    pub cache_control: Option<HeaderValue>,
    /// For the log.
    pub transfer_id: Option<TransferId>,
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

impl Reply {
    /// A body of JSON.
    ///
    /// # Errors
    /// [`ErrorCode::Internal`]: the value cannot be written as JSON. A defect.
    pub fn json(status: StatusCode, body: &impl Serialize) -> Outcome {
        match serde_json::to_vec(body) {
            Ok(body) => Ok(Self::with_body(status, JSON, body.into())),
            Err(error) => {
                tracing::error!(%error, "an answer cannot be written as JSON");
                Err(Refusal::new(ErrorCode::Internal))
            }
        }
    }

    /// A body made before.
    pub fn with_body(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Self {
        Self {
            status,
            content_type,
            body,
            location: None,
            etag: None,
            replayed: false,
            preference_applied: None,
            content_security_policy: None,
            cache_control: None,
            transfer_id: None,
        }
    }

    /// The transfer that was made or found before, or why it was refused.
    ///
    /// # Errors
    /// A transfer that was given back or refused is the problem of its reason.
    pub fn made_transfer(transfer: ledger::Transfer, replayed: bool) -> Outcome {
        if let Some(reason) = transfer.reason {
            return Err(Refusal::rejected(reason, Some(transfer.id), replayed));
        }
        let is_made = transfer.state != ledger::TransferState::Pending;
        Self::transfer(if is_made { StatusCode::CREATED } else { StatusCode::ACCEPTED }, transfer, replayed)
    }

    /// The transfer that was committed now or before, or why it could not be credited.
    ///
    /// # Errors
    /// A transfer that was given back is the problem of its reason.
    pub fn committed_transfer(transfer: ledger::Transfer, replayed: bool) -> Outcome {
        if let Some(reason) = transfer.reason {
            return Err(Refusal::rejected(reason, Some(transfer.id), replayed));
        }
        let is_over = transfer.state.is_terminal();
        Self::transfer(if is_over { StatusCode::OK } else { StatusCode::ACCEPTED }, transfer, replayed)
    }

    fn transfer(status: StatusCode, transfer: ledger::Transfer, replayed: bool) -> Outcome {
        let id = transfer.id;
        let reply = Self::json(status, &api::Transfer::from(transfer))?;
        let location = (status != StatusCode::OK).then(|| location(format!("/v1/transfers/{id}"))).flatten();
        Ok(Self { location, replayed, transfer_id: Some(id), ..reply })
    }

    /// The same without its body, if the client has it already (RFC 9110, section 13.1.2).
    pub fn unless_matched(mut self, etag: HeaderValue, if_none_match: Option<&HeaderValue>) -> Self {
        if if_none_match.is_some_and(|known| matches_etag(known.as_bytes(), etag.as_bytes())) {
            self.status = StatusCode::NOT_MODIFIED;
            self.body = Bytes::new();
        }
        self.etag = Some(etag);
        self
    }
}

/// A path as a header; `None` is impossible, since ids are ASCII.
pub fn location(path: String) -> Option<HeaderValue> {
    HeaderValue::try_from(path).ok()
}

/// Whether one of the tags listed is ours, by the weak comparison.
fn matches_etag(listed: &[u8], etag: &[u8]) -> bool {
    let mut tags = listed.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    tags.any(|tag| tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_etag_is_recognised_in_a_list_weak_or_not() {
        for listed in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*", "\"b\",W/\"a\""] {
            assert!(matches_etag(listed.as_bytes(), b"\"a\""), "{listed}");
        }
        for listed in ["", "a", "\"b\"", "\"aa\"", "W/a"] {
            assert!(!matches_etag(listed.as_bytes(), b"\"a\""), "{listed}");
        }
    }
}

//! Every code that an error answer can carry, with its status, title and advice: the contract's table.

use ledger::Rejection;
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// Whether a request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetryAdvice {
    /// Nothing was decided: it may, with the same idempotency key.
    SameKey,
    /// Decided for this key: a later attempt is a new one and needs a new key.
    NewKey,
    /// The same request will be refused again.
    Never,
}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $status:literal $code:literal, $title:literal, $retry:ident;)*) => {
        /// The kind of a problem, for programs. Codes are added, never changed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum ErrorCode {
            $($(#[$doc])* $name,)*
        }

        impl ErrorCode {
            /// Every code, in the order of the contract's table.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$name,)*];

            /// The word of the contract.
            pub fn as_str(self) -> &'static str {
                match self { $(ErrorCode::$name => $code,)* }
            }

            /// The HTTP status of an answer with this code.
            pub fn status(self) -> u16 {
                match self { $(ErrorCode::$name => $status,)* }
            }

            /// The kind of problem in words; the same for every occurrence.
            pub fn title(self) -> &'static str {
                match self { $(ErrorCode::$name => $title,)* }
            }

            /// Whether the request may be sent again.
            pub fn retry(self) -> RetryAdvice {
                match self { $(ErrorCode::$name => RetryAdvice::$retry,)* }
            }
        }
    };
}

error_codes! {
    /// The request cannot be read: JSON, an unknown field, a wrong type, a bad id, a bad cursor.
    MalformedRequest = 400 "malformed_request", "Malformed request", Never;
    /// The call needs an `Idempotency-Key`.
    IdempotencyKeyRequired = 400 "idempotency_key_required", "Idempotency key required", Never;
    /// The key is empty, over 255 bytes, or not printable ASCII.
    IdempotencyKeyInvalid = 400 "idempotency_key_invalid", "Idempotency key invalid", Never;
    /// No token, or one without a session.
    Unauthenticated = 401 "unauthenticated", "Unauthenticated", SameKey;
    /// The session has not the scope that the call needs.
    Forbidden = 403 "forbidden", "Forbidden", Never;
    /// Absent, or somebody else's.
    NotFound = 404 "not_found", "Not found", Never;
    /// The path is there, but not with this method; see `Allow`.
    MethodNotAllowed = 405 "method_not_allowed", "Method not allowed", Never;
    /// Committed, released or expired already.
    TransferNotReserved = 409 "transfer_not_reserved", "Transfer not reserved", Never;
    /// Only an empty account can be closed.
    AccountNotEmpty = 409 "account_not_empty", "Account not empty", SameKey;
    /// The first use of the key is still being decided; see `Retry-After`.
    IdempotencyInFlight = 409 "idempotency_in_flight", "Idempotency key in flight", SameKey;
    /// The body is longer than allowed.
    PayloadTooLarge = 413 "payload_too_large", "Payload too large", Never;
    /// The body must be `application/json`.
    UnsupportedMediaType = 415 "unsupported_media_type", "Unsupported media type", Never;
    /// The key was used for another request.
    IdempotencyKeyReused = 422 "idempotency_key_reused", "Idempotency key reused", NewKey;
    /// `available` is less than the amount.
    InsufficientFunds = 422 "insufficient_funds", "Insufficient funds", NewKey;
    /// Less than 1, or more than the limit.
    AmountOutOfRange = 422 "amount_out_of_range", "Amount out of range", Never;
    /// More than the reservation holds.
    AmountExceedsReserved = 422 "amount_exceeds_reserved", "Amount exceeds what is reserved", NewKey;
    /// The two accounts hold different currencies.
    CurrencyMismatch = 422 "currency_mismatch", "Currency mismatch", Never;
    /// There is no such currency here.
    CurrencyUnknown = 422 "currency_unknown", "Currency unknown", Never;
    /// There is no such region.
    RegionUnknown = 422 "region_unknown", "Region unknown", Never;
    /// Debit and credit account are one.
    SameAccount = 422 "same_account", "Same account", Never;
    /// There is no such credit account.
    CreditAccountNotFound = 422 "credit_account_not_found", "Credit account not found", NewKey;
    /// The user has no open account in the currency.
    CreditUserNotFound = 422 "credit_user_not_found", "Credit user not found", NewKey;
    /// One of the accounts is frozen.
    AccountFrozen = 422 "account_frozen", "Account frozen", NewKey;
    /// One of the accounts is closed, for good.
    AccountClosed = 422 "account_closed", "Account closed", Never;
    /// The user has as many accounts in the region as one may have.
    AccountLimitReached = 422 "account_limit_reached", "Account limit reached", NewKey;
    /// The credit account would hold more than an account can.
    LimitExceeded = 422 "limit_exceeded", "Limit exceeded", NewKey;
    /// The message has over 255 characters.
    MessageTooLong = 422 "message_too_long", "Message too long", Never;
    /// The transfer was given up before the other shard had decided.
    Voided = 422 "voided", "Voided", NewKey;
    /// Only as a transfer's `reason`: its client gave the reservation back.
    ReleasedByClient = 422 "released_by_client", "Released by the client", NewKey;
    /// Only as a transfer's `reason`: nobody committed or released the reservation in time.
    Expired = 422 "expired", "Expired", NewKey;
    /// Too many requests of this user; see `Retry-After`.
    RateLimited = 429 "rate_limited", "Rate limited", SameKey;
    /// A defect; never expected.
    Internal = 500 "internal", "Internal error", SameKey;
    /// Too much work is waiting; see `Retry-After`.
    Overloaded = 503 "overloaded", "Overloaded", SameKey;
    /// A part that is needed cannot be asked now; see `Retry-After`.
    Unavailable = 503 "unavailable", "Unavailable", SameKey;
}

impl ErrorCode {
    /// The `type` of the problem (RFC 9457): a relative reference.
    pub fn kind(self) -> String {
        format!("/problems/{}", self.as_str().replace('_', "-"))
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Rejection> for ErrorCode {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::IdempotencyKeyReused => ErrorCode::IdempotencyKeyReused,
            Rejection::InsufficientFunds => ErrorCode::InsufficientFunds,
            Rejection::AmountOutOfRange => ErrorCode::AmountOutOfRange,
            Rejection::AmountExceedsReserved => ErrorCode::AmountExceedsReserved,
            Rejection::CurrencyMismatch => ErrorCode::CurrencyMismatch,
            Rejection::CurrencyUnknown => ErrorCode::CurrencyUnknown,
            Rejection::RegionUnknown => ErrorCode::RegionUnknown,
            Rejection::SameAccount => ErrorCode::SameAccount,
            Rejection::CreditAccountNotFound => ErrorCode::CreditAccountNotFound,
            Rejection::CreditUserNotFound => ErrorCode::CreditUserNotFound,
            Rejection::AccountFrozen => ErrorCode::AccountFrozen,
            Rejection::AccountClosed => ErrorCode::AccountClosed,
            Rejection::AccountLimitReached => ErrorCode::AccountLimitReached,
            Rejection::LimitExceeded => ErrorCode::LimitExceeded,
            Rejection::MessageTooLong => ErrorCode::MessageTooLong,
            Rejection::Voided => ErrorCode::Voided,
            Rejection::ReleasedByClient => ErrorCode::ReleasedByClient,
            Rejection::Expired => ErrorCode::Expired,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_in_json_is_the_contracts_word() {
        for code in ErrorCode::ALL {
            let json = serde_json::to_string(code).expect("text");
            assert_eq!(json, format!("\"{code}\""));
        }
        assert_eq!(ErrorCode::InsufficientFunds.kind(), "/problems/insufficient-funds");
    }

    #[test]
    fn every_rejection_has_its_own_code_and_is_a_422() {
        for rejection in Rejection::ALL {
            let code = ErrorCode::from(rejection);
            assert_eq!(code.as_str(), rejection.code());
            assert_eq!(code.status(), 422);
        }
    }

    #[test]
    fn what_is_decided_never_advises_the_same_key() {
        for code in ErrorCode::ALL.iter().filter(|code| code.status() == 422) {
            assert_ne!(code.retry(), RetryAdvice::SameKey, "{code}");
        }
    }
}

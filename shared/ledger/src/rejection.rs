//! The final refusals.

use serde::{Deserialize, Serialize};

/// Why a transfer, a move of external money or a new account was refused. Final: it is recorded under
/// the caller's idempotency key, and every repeat gets it again (the contract's 422s).
///
/// The numbers are stored; they are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Rejection {
    /// The key was used with another request. Not recorded: the key already is.
    IdempotencyKeyReused = 1,
    /// `available` is less than the amount.
    InsufficientFunds = 2,
    /// Less than 1, or more than the currency's limit.
    AmountOutOfRange = 3,
    /// Commit of more than the reservation holds.
    AmountExceedsReserved = 4,
    /// The two accounts hold different currencies.
    CurrencyMismatch = 5,
    /// The topology has no such currency.
    CurrencyUnknown = 6,
    /// The topology has no such region.
    RegionUnknown = 7,
    /// Debit and credit account are the same.
    SameAccount = 8,
    /// There is no such credit account.
    CreditAccountNotFound = 9,
    /// The user has no open account in the currency.
    CreditUserNotFound = 10,
    /// One of the accounts is frozen.
    AccountFrozen = 11,
    /// One of the accounts is closed.
    AccountClosed = 12,
    /// The user has as many accounts in the region as one may have.
    AccountLimitReached = 13,
    /// The credit account would hold more than [`crate::AMOUNT_LIMIT`].
    LimitExceeded = 14,
    /// Over 255 characters.
    MessageTooLong = 15,
    /// The debit shard gave up and the credit shard agreed before it had credited anything.
    Voided = 16,
    /// A reserved transfer's client gave it back. A transfer's reason only; no request is refused with it.
    ReleasedByClient = 17,
    /// A reserved transfer was neither committed nor released in time. A transfer's reason only.
    Expired = 18,
}

/// A stored number that stands for no rejection: written by a newer version, or damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a known rejection")]
pub struct UnknownRejection(pub i16);

impl Rejection {
    /// Every rejection, in the order of the stored numbers.
    pub const ALL: [Rejection; 18] = [
        Rejection::IdempotencyKeyReused,
        Rejection::InsufficientFunds,
        Rejection::AmountOutOfRange,
        Rejection::AmountExceedsReserved,
        Rejection::CurrencyMismatch,
        Rejection::CurrencyUnknown,
        Rejection::RegionUnknown,
        Rejection::SameAccount,
        Rejection::CreditAccountNotFound,
        Rejection::CreditUserNotFound,
        Rejection::AccountFrozen,
        Rejection::AccountClosed,
        Rejection::AccountLimitReached,
        Rejection::LimitExceeded,
        Rejection::MessageTooLong,
        Rejection::Voided,
        Rejection::ReleasedByClient,
        Rejection::Expired,
    ];

    /// The number that is stored.
    pub fn number(self) -> i16 {
        // A fieldless enum with explicit discriminants below 2^15.
        self as i16
    }

    /// The contract's code, also used as a transfer's `reason` and as a metric label.
    pub fn code(self) -> &'static str {
        match self {
            Rejection::IdempotencyKeyReused => "idempotency_key_reused",
            Rejection::InsufficientFunds => "insufficient_funds",
            Rejection::AmountOutOfRange => "amount_out_of_range",
            Rejection::AmountExceedsReserved => "amount_exceeds_reserved",
            Rejection::CurrencyMismatch => "currency_mismatch",
            Rejection::CurrencyUnknown => "currency_unknown",
            Rejection::RegionUnknown => "region_unknown",
            Rejection::SameAccount => "same_account",
            Rejection::CreditAccountNotFound => "credit_account_not_found",
            Rejection::CreditUserNotFound => "credit_user_not_found",
            Rejection::AccountFrozen => "account_frozen",
            Rejection::AccountClosed => "account_closed",
            Rejection::AccountLimitReached => "account_limit_reached",
            Rejection::LimitExceeded => "limit_exceeded",
            Rejection::MessageTooLong => "message_too_long",
            Rejection::Voided => "voided",
            Rejection::ReleasedByClient => "released_by_client",
            Rejection::Expired => "expired",
        }
    }
}

impl TryFrom<i16> for Rejection {
    type Error = UnknownRejection;

    fn try_from(number: i16) -> Result<Self, UnknownRejection> {
        let found = Rejection::ALL.into_iter().find(|rejection| rejection.number() == number);
        found.ok_or(UnknownRejection(number))
    }
}

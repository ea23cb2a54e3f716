//! The rules of money, and nothing else.
//!
//! Everything here takes values and returns values: no I/O, no clock, no randomness. A shard-node
//! loads [`Books`] under row locks, calls [`decide`] and stores the [`Writes`] that come back, all in
//! one PostgreSQL transaction. The same code runs in the tests and in the model of the saga.
//!
//! Double entry follows the model of a transfer with two sides: one debit account, one credit account,
//! one amount (cf. TigerBeetle's accounts and transfers, and D. Ellerman, "On Double-Entry Bookkeeping",
//! 2014).

mod account;
mod batch;
mod books;
mod command;
mod money;
mod outcome;
mod rejection;
pub mod saga;
mod text;
mod transfer;
mod writes;

pub use account::{Account, AccountStatus, StatusChange};
pub use batch::{BATCH_COMMANDS_MAX, decide};
pub use books::{Books, Neighbourhood, Ownership, RecordedKey, Reservation};
pub use command::{
    Command, CommitTransfer, CreateAccount, CreditMessage, CreditTarget, ExpireTransfer, ExternalMove, KeyClaim,
    KeyHash, ReleaseTransfer, RequestFingerprint, ReserveTransfer, SetStatus, Settle, Stamped, TransferCommand,
    VoidMessage,
};
pub use money::{AMOUNT_LIMIT, Amount, Currency, CurrencyRules, InvalidCurrency, Timestamp};
pub use outcome::{Decided, Outcome};
pub use rejection::{Rejection, UnknownRejection};
pub use text::{
    InvalidText, MESSAGE_CHARS_MAX, NAME_CHARS_MAX, REFERENCE_CHARS_MAX, USER_ID_BYTES_MAX, UserId, check_line,
    check_text,
};
pub use transfer::{Entry, Hold, Transfer, TransferKind, TransferState};
pub use writes::{Counterpart, InboxRecord, KeyRecord, PostedTransfer, Writes};

/// The most accounts that one user may hold in one region (the contract's `account_limit_reached`).
pub const ACCOUNTS_PER_USER_MAX: usize = 100;

/// The longest that a two-step transfer may stay reserved, in seconds: 30 days.
pub const EXPIRES_IN_SECONDS_MAX: u32 = 2_592_000;

/// How long a two-step transfer stays reserved unless its client says otherwise, in seconds: a week.
pub const EXPIRES_IN_SECONDS_DEFAULT: u32 = 604_800;

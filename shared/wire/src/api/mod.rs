//! The JSON of the public HTTP contract: what clients send and what the router answers.
//!
//! The same types make the OpenAPI document, and the clients of this repository use them. None of them is
//! sent between nodes; those speak [`crate::operation`].

mod account;
mod error_code;
mod history;
mod money;
mod problem;
mod time;
mod topology;
mod transfer;

pub use account::{Account, AccountList, AccountStatus, CreateAccountRequest, EmptyRequest};
pub use error_code::{ErrorCode, RetryAdvice};
pub use history::{Direction, Transaction, TransactionPage};
pub use money::{Currency, CurrencyList, ExternalMoveRequest};
pub use problem::{FieldError, Problem};
pub use time::Time;
pub use topology::{RegionView, ShardView, TopologyView};
pub use transfer::{CommitTransferRequest, CreateTransferRequest, Transfer, TransferKind, TransferList, TransferState};

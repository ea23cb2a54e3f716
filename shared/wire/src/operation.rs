//! What can be asked of a shard-node. Enums are appended to, never reordered: the position of a variant
//! is its number on the wire, and versions N and N-1 run side by side during a rolling upgrade.

use crate::trace::TraceContext;
use ledger::{Command, Currency, Timestamp, TransferState, UserId};
use placement::{AccountId, Locality, RegionCode, ShardId, Slot, TransferId};
use serde::{Deserialize, Serialize};

/// One operation with what it takes to follow and bound it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// For the logs of both sides.
    pub context: CallContext,
    /// The operation.
    pub operation: Operation,
}

/// Whose request a call belongs to, and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallContext {
    /// The `X-Request-Id` of the client's answer (a UUID).
    pub request_id: u128,
    /// The trace it belongs to.
    pub trace: TraceContext,
    /// How long the caller still waits, in milliseconds from the moment of sending.
    pub remaining_ms: u32,
}

/// A change or a question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Operation {
    /// A change, decided in a batch.
    Command {
        /// The change.
        command: Command,
        /// How long a transfer that comes out pending is waited for, in milliseconds.
        wait_ms: u32,
    },
    /// A question.
    Read(Read),
}

impl Operation {
    /// The region and slot whose owner must be asked; `None` for what any shard-node answers.
    pub fn place(&self) -> Option<(RegionCode, Slot)> {
        match self {
            Operation::Command { command, .. } => Some((command.region(), command.slot())),
            Operation::Read(read) => read.place(),
        }
    }

    /// Whether it may be sent again when the first answer is unknown: reads always, changes when a key, an
    /// inbox or their nature makes them idempotent. A change of status is not one of them: run late, it could undo a
    /// later one.
    pub fn is_repeatable(&self) -> bool {
        match self {
            Operation::Read(_) => true,
            Operation::Command { command, .. } => match command {
                Command::CreateAccount(create) => create.key.is_some(),
                Command::SetStatus(_) => false,
                Command::Transfer(_) | Command::Deposit(_) | Command::Withdraw(_) => true,
                Command::Credit(_) | Command::Void(_) | Command::Settle(_) => true,
                Command::Reserve(_) | Command::Commit(_) | Command::Release(_) | Command::Expire(_) => true,
            },
        }
    }

    /// A short name for logs and metric labels.
    pub fn name(&self) -> &'static str {
        match self {
            Operation::Command { command, .. } => match command {
                Command::Transfer(_) => "transfer",
                Command::Deposit(_) => "deposit",
                Command::Withdraw(_) => "withdraw",
                Command::CreateAccount(_) => "create_account",
                Command::SetStatus(_) => "set_status",
                Command::Credit(_) => "credit",
                Command::Void(_) => "void",
                Command::Settle(_) => "settle",
                Command::Reserve(_) => "reserve",
                Command::Commit(_) => "commit",
                Command::Release(_) => "release",
                Command::Expire(_) => "expire",
            },
            Operation::Read(read) => match read {
                Read::Account { .. } => "read_account",
                Read::AccountsOfUser { .. } => "read_accounts",
                Read::Entries(_) => "read_entries",
                Read::OpenTransfers { .. } | Read::OpenTransfersPage(_) => "read_open_transfers",
                Read::Transfer { .. } => "read_transfer",
                Read::ResolveUser { .. } => "resolve_user",
                Read::Map { .. } => "read_map",
                Read::Pairing { .. } => "read_pairing",
                Read::Clearing { .. } => "read_clearing",
                Read::Recent { .. } => "read_recent",
            },
        }
    }
}

/// A question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Read {
    /// One account, if it is the caller's (`None`: an operator's question, any account).
    Account {
        /// Which.
        id: AccountId,
        /// Who asks.
        caller: Option<UserId>,
    },
    /// A user's accounts in a region, oldest first.
    AccountsOfUser {
        /// The region.
        region: RegionCode,
        /// The user's locality.
        locality: Locality,
        /// The user.
        user_id: UserId,
    },
    /// A page of an account's history.
    Entries(EntriesQuery),
    /// The open transfers that make up an account's `reserved`, oldest first, as many as a page has. For callers of the
    /// version before [`Read::OpenTransfersPage`].
    OpenTransfers {
        /// The debit account.
        account_id: AccountId,
        /// Who asks.
        caller: UserId,
    },
    /// One transfer, if the caller holds one of its accounts; `remaining_ms` bounds the wait.
    Transfer {
        /// Which.
        id: TransferId,
        /// Wait this long for a terminal state, in milliseconds.
        wait_ms: u32,
    },
    /// The user's oldest open account in a currency.
    ResolveUser {
        /// Where to look.
        region: RegionCode,
        /// The user's locality.
        locality: Locality,
        /// The user.
        user_id: UserId,
        /// The currency wanted.
        currency: Currency,
    },
    /// The topology and this shard's slots; waits for a change from the known version.
    Map {
        /// The version that the caller has; 0 for none.
        known_version: u64,
        /// Wait this long for another one, in milliseconds.
        wait_ms: u32,
    },
    /// What the shard has of transfers with the one that asks.
    Pairing {
        /// The region of a slot that the shard owns: the way to it.
        region: RegionCode,
        /// The slot.
        slot: Slot,
        /// Up to [`crate::pairing::PAGE_MAX`] transfers.
        ids: Vec<uuid::Uuid>,
    },
    /// The shard's clearing account with the one that asks.
    Clearing {
        /// The region of a slot that the shard owns: the way to it.
        region: RegionCode,
        /// The slot.
        slot: Slot,
        /// Who asks.
        peer: ShardId,
        /// How long ago, in milliseconds, the peer read its own.
        age_ms: u32,
    },
    /// What the shard has of the one that asks, which writes nothing meanwhile: its clearing account with it as of now,
    /// and their newest transfers.
    Recent {
        /// The region of a slot that the shard owns: the way to it.
        region: RegionCode,
        /// The slot.
        slot: Slot,
        /// Who asks.
        peer: ShardId,
    },
    /// A page of the open transfers that make up an account's `reserved`, oldest first.
    OpenTransfersPage(OpenTransfersQuery),
}

impl Read {
    fn place(&self) -> Option<(RegionCode, Slot)> {
        match self {
            Read::Account { id, .. } => Some((id.region(), id.slot())),
            Read::AccountsOfUser { region, locality, .. } | Read::ResolveUser { region, locality, .. } => {
                Some((*region, Slot::of(*region, *locality)))
            }
            Read::Entries(query) => Some((query.account_id.region(), query.account_id.slot())),
            Read::OpenTransfers { account_id, .. } | Read::OpenTransfersPage(OpenTransfersQuery { account_id, .. }) => {
                Some((account_id.region(), account_id.slot()))
            }
            Read::Transfer { id, .. } => Some((id.region(), id.slot())),
            Read::Map { .. } => None,
            Read::Pairing { region, slot, .. }
            | Read::Clearing { region, slot, .. }
            | Read::Recent { region, slot, .. } => Some((*region, *slot)),
        }
    }
}

/// `GET /v1/accounts/{id}/transactions`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EntriesQuery {
    /// Whose history.
    pub account_id: AccountId,
    /// Who asks.
    pub caller: UserId,
    /// Most entries in the answer, 1 to 200.
    pub limit: u16,
    /// Start after this entry number (in the direction of reading).
    pub after_entry: Option<i64>,
    /// Newest or oldest first.
    pub newest_first: bool,
    /// Entries made at this time or later.
    pub from: Option<Timestamp>,
    /// Entries made before this time.
    pub to: Option<Timestamp>,
    /// Only one side.
    pub direction: Option<Direction>,
}

/// `GET /v1/accounts/{id}/transfers`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenTransfersQuery {
    /// The debit account.
    pub account_id: AccountId,
    /// Who asks.
    pub caller: UserId,
    /// Only in these states.
    pub states: Vec<TransferState>,
    /// Start after this one.
    pub after: Option<TransferId>,
    /// Most transfers in the answer: one more than [`OPEN_TRANSFERS_PAGE`] tells whether another page follows.
    pub limit: u16,
}

/// Open transfers in one page at most.
pub const OPEN_TRANSFERS_PAGE: u16 = 500;

/// A side of a posting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// Money left the account.
    Debit,
    /// Money came in.
    Credit,
}

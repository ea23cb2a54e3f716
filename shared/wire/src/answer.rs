//! What a shard-node answers. Appended to, never reordered, as [`crate::operation`].

use crate::operation::Direction;
use crate::pairing::{ClearingBooks, Halves, RecentBooks};
use ledger::saga::Decision;
use ledger::{Account, Amount, Entry, Rejection, Timestamp, Transfer, TransferKind, UserId};
use placement::{AccountId, Epoch, ShardId, Slot, SlotClaim, TransferId};
use serde::{Deserialize, Serialize};

/// The answer to one operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// A transfer as it stands.
    Transfer {
        /// It.
        transfer: Transfer,
        /// Whether the key had been used before.
        replayed: bool,
    },
    /// Refused, for good.
    Rejected {
        /// Why.
        rejection: Rejection,
        /// The transfer that records it.
        transfer_id: Option<TransferId>,
        /// Whether the key had been used before.
        replayed: bool,
    },
    /// An account as it stands.
    Account {
        /// It.
        account: Account,
        /// Whether the key had been used before.
        replayed: bool,
    },
    /// A user's accounts.
    Accounts(Vec<Account>),
    /// A page of history.
    Entries(EntriesPage),
    /// Open transfers.
    Transfers(Vec<Transfer>),
    /// The account found for a user, if any.
    Resolved(Option<AccountId>),
    /// The inbox's decision about a saga.
    Decision {
        /// It.
        decision: Decision,
        /// The shard that decided.
        shard: ShardId,
    },
    /// Topology and slots.
    Map(ShardMap),
    /// Absent, or somebody else's.
    NotFound,
    /// Money is in it.
    AccountNotEmpty,
    /// Closed for good.
    AccountIsClosed,
    /// The first use of the key is still being decided; send it again.
    InFlight,
    /// This shard does not own the slot.
    Moved {
        /// The slot.
        slot: Slot,
        /// The owner, as far as this shard knows.
        owner: Option<ShardId>,
        /// The ownership generation that it knows of.
        epoch: Epoch,
    },
    /// Too much work is waiting; nothing was done.
    Overloaded {
        /// When to try again.
        retry_after_ms: u32,
    },
    /// The database cannot be asked, or the outcome of the commit is not known yet. The same key may be
    /// sent again.
    Unavailable,
    /// The operation breaks a rule that the router should have checked.
    Invalid(String),
    /// A defect: logged where it happened.
    Internal,
    /// The transfer is not reserved any more, if it ever was: committed, released or expired before.
    NotReserved(Transfer),
    /// What the shard has of the transfers asked about, in their order.
    Pairing(Vec<Halves>),
    /// Its clearing account with the peer that asked.
    Clearing(ClearingBooks),
    /// What it has of the peer that asked.
    Recent(RecentBooks),
}

/// A page of an account's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EntriesPage {
    /// In the order asked for.
    pub items: Vec<EntryLine>,
    /// Whether there are more: go on after the last item's number.
    pub more: bool,
}

/// A line of an account's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EntryLine {
    /// The transfer that made it.
    pub transfer_id: TransferId,
    /// What moved the money.
    pub kind: TransferKind,
    /// Which side.
    pub direction: Direction,
    /// How much.
    pub amount: Amount,
    /// Its number and the balance after it.
    pub entry: Entry,
    /// The other account; `None` is the external account.
    pub counterparty_account_id: Option<AccountId>,
    /// Who holds it.
    pub counterparty_user_id: Option<UserId>,
    /// From the transfer.
    pub message: Option<String>,
    /// When the entry was made.
    pub created_at: Timestamp,
}

/// What a shard says of itself and of the topology.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardMap {
    /// The shard that speaks.
    pub shard: ShardId,
    /// Changes whenever anything below does; compare for equality only.
    pub version: u64,
    /// The topology document as JSON: it has its own version and rules.
    pub topology: String,
    /// Every slot this shard has a row for.
    pub claims: Vec<SlotClaim>,
}

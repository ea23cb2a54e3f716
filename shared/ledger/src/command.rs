//! What a shard can be asked to change.

use crate::saga::Decision;
use crate::{Amount, Currency, StatusChange, Timestamp, Transfer, TransferKind, TransferState, UserId};
use placement::{AccountId, Locality, RegionCode, ShardId, Slot, TransferId};
use serde::{Deserialize, Serialize};

/// 128 bits of SHA-256 over the length-prefixed caller and key. A cryptographic hash, because one
/// caller must not be able to make a key that meets another caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyHash(pub u128);

/// 128 bits of SHA-256 over what the client asked for (not over what was resolved from it).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RequestFingerprint(pub u128);

/// An idempotency key as a shard sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyClaim {
    /// Whose key, and which.
    pub hash: KeyHash,
    /// For which request.
    pub fingerprint: RequestFingerprint,
}

/// One change asked of a shard. Appended to, never reordered: the position is the wire format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Move money between two customers' accounts.
    Transfer(TransferCommand),
    /// Bring money in from the external account.
    Deposit(ExternalMove),
    /// Take money out to the external account.
    Withdraw(ExternalMove),
    /// Make an account.
    CreateAccount(CreateAccount),
    /// Freeze, unfreeze or close one.
    SetStatus(SetStatus),
    /// From the debit shard of a transfer: post the credit side.
    Credit(CreditMessage),
    /// From the debit shard of a transfer: it gives up, unless the decision has fallen.
    Void(VoidMessage),
    /// The credit shard's decision has come back: commit or release.
    Settle(Settle),
    /// Set money aside for a transfer between two customers' accounts.
    Reserve(ReserveTransfer),
    /// Make such a transfer's reservation permanent, or a part of it.
    Commit(CommitTransfer),
    /// Give such a transfer's reservation back.
    Release(ReleaseTransfer),
    /// Give a reservation back whose time is over.
    Expire(ExpireTransfer),
}

impl Command {
    /// Where the command is decided: the region and locality whose slot must be owned.
    pub fn home(&self) -> (RegionCode, Locality) {
        let account = match self {
            Command::CreateAccount(create) => return (create.region, create.locality),
            Command::Transfer(transfer) => transfer.debit_account_id,
            Command::Deposit(external) | Command::Withdraw(external) => external.account_id,
            Command::SetStatus(set) => set.account_id,
            Command::Credit(credit) => credit.credit_account_id,
            Command::Void(void) => void.credit_account_id,
            Command::Settle(settle) => settle.debit_account_id,
            Command::Reserve(reserve) => reserve.transfer.debit_account_id,
            // A transfer's id carries the region and locality of its debit account.
            Command::Commit(CommitTransfer { transfer_id: id, .. })
            | Command::Release(ReleaseTransfer { transfer_id: id, .. }) => return (id.region(), id.locality()),
            Command::Expire(expire) => expire.debit_account_id,
        };
        (account.region(), account.locality())
    }

    /// The slot that must be owned for the command to be decided here.
    pub fn slot(&self) -> Slot {
        let (region, locality) = self.home();
        Slot::of(region, locality)
    }

    /// The region of that slot.
    pub fn region(&self) -> RegionCode {
        self.home().0
    }

    /// The idempotency key it comes with.
    pub fn key(&self) -> Option<KeyClaim> {
        match self {
            Command::Transfer(transfer) => Some(transfer.key),
            Command::Deposit(external) | Command::Withdraw(external) => Some(external.key),
            Command::CreateAccount(create) => create.key,
            Command::Reserve(reserve) => Some(reserve.transfer.key),
            Command::Commit(commit) => Some(commit.key),
            Command::SetStatus(_) | Command::Credit(_) | Command::Void(_) | Command::Settle(_) => None,
            Command::Release(_) | Command::Expire(_) => None,
        }
    }
}

/// A command with what the pure decision cannot make itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamped {
    /// The command.
    pub command: Command,
    /// An id for the transfer that it may become; random enough to be new.
    pub fresh_id: TransferId,
    /// Sixteen random bits: where the search for a free account id starts.
    pub fresh_discriminator: u16,
}

/// Where a transfer's money goes, as far as the router could find out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CreditTarget {
    /// This account; whether it exists is for its shard to say.
    Account(AccountId),
    /// The id given cannot be any account's: no such region.
    NoSuchAccount,
    /// The user has no open account in the debit account's currency.
    NoSuchUser,
    /// A region that may have the user's account could not be asked: only a repeat can be answered.
    Unresolved,
}

/// `POST /v1/transfers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferCommand {
    /// Makes repeats safe.
    pub key: KeyClaim,
    /// Must hold the debit account.
    pub caller: UserId,
    /// Where the money comes from.
    pub debit_account_id: AccountId,
    /// Where it goes.
    pub credit: CreditTarget,
    /// As asked for; may be out of range.
    pub amount: Amount,
    /// For the other party; may be too long.
    pub message: Option<String>,
    /// For the caller's own books.
    pub reference: Option<String>,
}

/// `POST /v1/transfers` with `"reserve": true`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReserveTransfer {
    /// The transfer to be.
    pub transfer: TransferCommand,
    /// How long the money stays set aside, in seconds: 1 to [`crate::EXPIRES_IN_SECONDS_MAX`].
    pub expires_in_seconds: u32,
}

/// `POST /v1/transfers/{id}/commit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitTransfer {
    /// Makes repeats safe; looked up before the state of the transfer.
    pub key: KeyClaim,
    /// Must hold the debit account.
    pub caller: UserId,
    /// Which.
    pub transfer_id: TransferId,
    /// How much of the reserved amount, the rest of which is given back; `None` is all of it. As asked for; may be
    /// out of range.
    pub amount: Option<Amount>,
}

/// `POST /v1/transfers/{id}/release`; idempotent by nature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseTransfer {
    /// Must hold the debit account.
    pub caller: UserId,
    /// Which.
    pub transfer_id: TransferId,
}

/// From the sweep: a reservation's due time has passed, unless somebody was faster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpireTransfer {
    /// Which.
    pub transfer_id: TransferId,
    /// The account that the amount was set aside on.
    pub debit_account_id: AccountId,
}

/// `POST /v1/admin/deposits` and `/withdrawals`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalMove {
    /// Makes repeats safe; scoped to (operator, account).
    pub key: KeyClaim,
    /// The customer's account.
    pub account_id: AccountId,
    /// As asked for; may be out of range. Bound by [`crate::AMOUNT_LIMIT`], not by the currency's limit.
    pub amount: Amount,
    /// The payment outside that this mirrors.
    pub reference: Option<String>,
}

/// `POST /v1/accounts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateAccount {
    /// Optional for account creation.
    pub key: Option<KeyClaim>,
    /// The holder.
    pub user_id: UserId,
    /// The holder's label for it.
    pub name: String,
    /// As asked for; may be unknown.
    pub currency: String,
    /// Where the command was sent: the wanted region, or the router's own if that is unknown.
    pub region: RegionCode,
    /// The holder's locality.
    pub locality: Locality,
    /// Whether the wanted region exists.
    pub region_known: bool,
}

/// `POST /v1/admin/accounts/{id}/freeze`, `/unfreeze`, `/close`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetStatus {
    /// Which account.
    pub account_id: AccountId,
    /// What to make of it.
    pub change: StatusChange,
}

/// The outbox message "credit".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditMessage {
    /// The transfer; also the key of the inbox.
    pub transfer_id: TransferId,
    /// The shard that coordinates: a label for diagnosis.
    pub debit_shard: ShardId,
    /// Where the money comes from.
    pub debit_account_id: AccountId,
    /// Whose money it is.
    pub debit_user_id: UserId,
    /// Where it goes.
    pub credit_account_id: AccountId,
    /// How much; checked by the debit shard.
    pub amount: Amount,
    /// The debit account's currency.
    pub currency: Currency,
    /// For the receiver.
    pub message: Option<String>,
    /// When the money was reserved.
    pub created_at: Timestamp,
}

impl CreditMessage {
    /// What it tells of its transfer.
    pub(crate) fn as_transfer(&self) -> Transfer {
        Transfer {
            id: self.transfer_id,
            kind: TransferKind::Transfer,
            state: TransferState::Pending,
            reason: None,
            debit_account_id: Some(self.debit_account_id),
            credit_account_id: Some(self.credit_account_id),
            amount: self.amount,
            currency: self.currency,
            message: self.message.clone(),
            reference: None,
            created_at: self.created_at,
            decided_at: None,
            debit_user_id: Some(self.debit_user_id.clone()),
            credit_user_id: None,
            hold: None,
        }
    }
}

/// The outbox message "void".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoidMessage {
    /// The transfer; also the key of the inbox.
    pub transfer_id: TransferId,
    /// The shard that coordinates: a label for diagnosis.
    pub debit_shard: ShardId,
    /// Where the money would have gone.
    pub credit_account_id: AccountId,
}

/// The credit shard's decision, brought back to the debit shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settle {
    /// The transfer.
    pub transfer_id: TransferId,
    /// The account that the amount was set aside on.
    pub debit_account_id: AccountId,
    /// Which shard decided: a label for diagnosis.
    pub credit_shard: ShardId,
    /// What it decided.
    pub decision: Decision,
}

//! Transfers and the entries they leave.

use crate::{Amount, Currency, Rejection, Timestamp, UserId};
use placement::{AccountId, TransferId};
use serde::{Deserialize, Serialize};

/// What moves the money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TransferKind {
    /// Between two customer accounts.
    Transfer,
    /// From the external account to a customer.
    Deposit,
    /// From a customer to the external account.
    Withdrawal,
}

impl TransferKind {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            TransferKind::Transfer => "transfer",
            TransferKind::Deposit => "deposit",
            TransferKind::Withdrawal => "withdrawal",
        }
    }
}

/// How far a transfer has come. All but the first two are terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TransferState {
    /// The amount is set aside; the credit account's shard has not decided yet.
    Pending,
    /// The amount is set aside by the client's wish (two-step transfer).
    Reserved,
    /// The money has moved.
    Posted,
    /// The amount was set aside and given back.
    Released,
    /// Refused at once; nothing was set aside.
    Rejected,
}

impl TransferState {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            TransferState::Pending => "pending",
            TransferState::Reserved => "reserved",
            TransferState::Posted => "posted",
            TransferState::Released => "released",
            TransferState::Rejected => "rejected",
        }
    }

    /// Whether nothing can change it any more.
    pub fn is_terminal(self) -> bool {
        match self {
            TransferState::Pending | TransferState::Reserved => false,
            TransferState::Posted | TransferState::Released | TransferState::Rejected => true,
        }
    }
}

/// A side of a posting as its account sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// 1, 2, 3 ... without a gap, per account.
    pub number: i64,
    /// The account's balance once the entry is made.
    pub balance_after: Amount,
}

/// The customer's intent to move an amount, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Made once per intent by the debit account's shard (a deposit: by the credit account's).
    pub id: TransferId,
    /// What moves the money.
    pub kind: TransferKind,
    /// How far it has come.
    pub state: TransferState,
    /// Why, when released or rejected.
    pub reason: Option<Rejection>,
    /// Where the money comes from; `None` is the external account.
    pub debit_account_id: Option<AccountId>,
    /// Where it goes; `None` is the external account, or a credit account that was never found.
    pub credit_account_id: Option<AccountId>,
    /// How much. Of a rejected transfer, what was asked for.
    pub amount: Amount,
    /// The debit account's currency.
    pub currency: Currency,
    /// For the other party to read.
    pub message: Option<String>,
    /// For the caller's own books.
    pub reference: Option<String>,
    /// When it was first decided upon: rejected, posted or reserved.
    pub created_at: Timestamp,
    /// When it became terminal.
    pub decided_at: Option<Timestamp>,
    /// The holder of the debit account, where this shard knows it.
    pub debit_user_id: Option<UserId>,
    /// The holder of the credit account, where this shard knows it.
    pub credit_user_id: Option<UserId>,
    /// Of a two-step transfer, what was reserved and for how long; kept when it is terminal.
    pub hold: Option<Hold>,
}

/// What the client of a two-step transfer has set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The amount at first; the transfer's own amount is what was committed of it.
    pub amount_reserved: Amount,
    /// When it expires, unless it is committed or released before.
    pub expires_at: Timestamp,
}

impl Transfer {
    /// A two-step transfer as it was first answered, whatever has become of it: the repeat of a request must get
    /// the first answer again. Any other transfer is left as it is.
    pub fn as_reserved(self) -> Transfer {
        let Some(Hold { amount_reserved, .. }) = self.hold else {
            return self;
        };
        let (state, amount) = (TransferState::Reserved, amount_reserved);
        Transfer { state, amount, reason: None, decided_at: None, credit_user_id: None, ..self }
    }
}

//! What became of a command.

use crate::saga::Decision;
use crate::{Account, Rejection, Transfer};
use placement::{AccountId, Slot, TransferId};

/// The answer to one command, in the order of the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Decided now.
    Decided(Decided),
    /// Decided before, under the same key: the recorded transfer is the answer.
    ReplayedTransfer(TransferId),
    /// Decided before, under the same key: the recorded account is the answer.
    ReplayedAccount(AccountId),
    /// Refused before, under the same key.
    ReplayedRejection {
        /// The refusal.
        rejection: Rejection,
        /// The transfer that records it, if there is one.
        transfer_id: Option<TransferId>,
    },
    /// The account is absent, or somebody else's. Not recorded.
    NotFound,
    /// The slot is not owned here: ask its owner. Not recorded.
    Moved(Slot),
    /// It could not be found out where the money goes. Not recorded: the same key may be sent again.
    Unresolved,
    /// An account with money in it cannot be closed. Not recorded.
    AccountNotEmpty,
    /// The account is closed, for good. Not recorded: changes of status carry no key.
    AccountIsClosed,
    /// The transfer is not held any more, if it ever was: its present state is the answer. Not recorded.
    NotReserved(TransferId),
    /// Two decisions about one transfer. Nothing was changed; a defect or damage.
    Contradiction,
}

/// What a decision made now has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decided {
    /// A transfer that is posted, pending, reserved or released.
    Transfer(Transfer),
    /// A refusal.
    Rejected {
        /// Why.
        rejection: Rejection,
        /// The transfer that records it, if there is one.
        transfer_id: Option<TransferId>,
    },
    /// A new account, or the account as it is after a change of status.
    Account(Account),
    /// The decision of the inbox, for the debit shard.
    Decision(Decision),
    /// The saga had been settled before, or the reservation is not due; nothing changed.
    AlreadySettled,
}

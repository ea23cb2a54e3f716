//! The saga of a transfer between two shards, as one transition function per side.
//!
//! The debit shard reserves, asks, and commits or releases; the credit shard decides, once, by its
//! inbox row. See H. Garcia-Molina and K. Salem, "Sagas" (1987), and P. Helland, "Life beyond
//! Distributed Transactions" (2007) for the inbox as the memory of what was done.

use crate::{Rejection, UserId};
use serde::{Deserialize, Serialize};

/// What the credit shard has decided about a transfer. Written once; every repeat gets it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decision {
    /// The credit side is posted.
    Credited {
        /// Who received it.
        credit_user_id: UserId,
    },
    /// The credit account cannot take it.
    Refused(Rejection),
    /// The debit shard gave up first.
    Voided,
}

/// The debit side of a saga.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DebitState {
    /// The amount is set aside and `credit` is being sent.
    Reserved,
    /// The amount is set aside and `void` is being sent.
    Voiding,
    /// The debit side is posted.
    Committed,
    /// The amount was given back.
    Released(Rejection),
}

/// What can happen to the debit side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DebitEvent {
    /// The deadline for trying passed.
    GiveUp,
    /// The credit shard's decision arrived (perhaps not for the first time).
    Decided(Decision),
}

/// What the debit shard must do, in the transaction that stores the new state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DebitEffect {
    /// Nothing.
    None,
    /// From now on send `void` in place of `credit`.
    SendVoid,
    /// Post the debit side against clearing; reservation and outbox rows go.
    Commit,
    /// Give the reserved amount back; reservation and outbox rows go.
    Release,
}

/// Two decisions about one transfer: the inbox of the credit shard has lost or changed a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a transfer that is {state:?} got {event:?}")]
pub struct IllegalTransition {
    /// Where the saga stood.
    pub state: DebitState,
    /// What came.
    pub event: DebitEvent,
}

/// The next state of the debit side. Decisions may be repeated; a different decision is illegal, and
/// must stop the line rather than move money.
pub fn next_debit(state: DebitState, event: DebitEvent) -> Result<(DebitState, DebitEffect), IllegalTransition> {
    use DebitState::{Committed, Released, Reserved, Voiding};
    use Decision::{Credited, Refused, Voided};
    match (state, event) {
        (Reserved, DebitEvent::GiveUp) => Ok((Voiding, DebitEffect::SendVoid)),
        // `void` is asked for as often as it takes; a terminal saga has nothing to give up.
        (Voiding | Committed | Released(_), DebitEvent::GiveUp) => Ok((state, DebitEffect::None)),

        (Reserved | Voiding, DebitEvent::Decided(Credited { .. })) => Ok((Committed, DebitEffect::Commit)),
        (Reserved | Voiding, DebitEvent::Decided(Refused(reason))) => Ok((Released(reason), DebitEffect::Release)),
        // A replica may have begun to void what this one still sends as `credit`.
        (Reserved | Voiding, DebitEvent::Decided(Voided)) => Ok((Released(Rejection::Voided), DebitEffect::Release)),

        (Committed, DebitEvent::Decided(Credited { .. })) => Ok((state, DebitEffect::None)),
        (Released(before), DebitEvent::Decided(Refused(reason))) if before == reason => Ok((state, DebitEffect::None)),
        (Released(Rejection::Voided), DebitEvent::Decided(Voided)) => Ok((state, DebitEffect::None)),

        (Committed, event @ DebitEvent::Decided(Refused(_) | Voided))
        | (Released(_), event @ DebitEvent::Decided(Credited { .. } | Refused(_) | Voided)) => {
            Err(IllegalTransition { state, event })
        }
    }
}

/// What can reach the credit side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreditEvent {
    /// `credit`, with what the account can do with it now.
    Credit(Result<UserId, Rejection>),
    /// `void`.
    Void,
}

/// Whether a decision was made now or had been made before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// To be recorded in the inbox now, in the transaction of its effect.
    New(Decision),
    /// Recorded before; nothing changes.
    Recorded(Decision),
}

/// The credit side: the first message decides, later ones get the recorded decision.
pub fn next_credit(recorded: Option<&Decision>, event: CreditEvent) -> Verdict {
    match (recorded, event) {
        (Some(decision), CreditEvent::Credit(_) | CreditEvent::Void) => Verdict::Recorded(decision.clone()),
        (None, CreditEvent::Credit(Ok(credit_user_id))) => Verdict::New(Decision::Credited { credit_user_id }),
        (None, CreditEvent::Credit(Err(reason))) => Verdict::New(Decision::Refused(reason)),
        (None, CreditEvent::Void) => Verdict::New(Decision::Voided),
    }
}

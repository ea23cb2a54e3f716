//! The saga of a transfer as one transition function, for both of its shards.
//!
//! The debit shard reserves, asks, and commits or releases; the credit shard decides, once, by its
//! inbox row. A two-step transfer begins held, and goes on as any other once its client commits it. See
//! H. Garcia-Molina and K. Salem, "Sagas" (1987), and P. Helland, "Life beyond Distributed Transactions"
//! (2007) for the inbox as the memory of what was done.

use crate::{Rejection, UserId};
use serde::{Deserialize, Serialize};

/// What the credit shard has decided about a transfer. Written once; every repeat gets it again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

/// Where a transfer stands on one of its shards.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum State {
    /// On the debit shard.
    Debit(DebitState),
    /// On the credit shard.
    Credit(CreditState),
}

/// The debit side of a saga. The first three have a reservation; the others are terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DebitState {
    /// The amount is set aside until its client commits or releases it, or it expires. No other shard knows.
    Held,
    /// The amount is set aside and `credit` is being sent.
    Crediting,
    /// The amount is set aside and `void` is being sent.
    Voiding,
    /// The debit side is posted.
    Committed,
    /// The amount was given back.
    Released(Rejection),
}

/// The credit side of a saga: its inbox.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CreditState {
    /// No row.
    Undecided,
    /// The row.
    Decided(Decision),
}

/// What can happen to a transfer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Event {
    /// To the debit side.
    Debit(DebitEvent),
    /// To the credit side.
    Credit(CreditEvent),
}

/// What can happen to the debit side.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DebitEvent {
    /// The client commits a held transfer.
    Commit(CreditPlace),
    /// The client releases a held transfer.
    Release,
    /// The due time of a held transfer has passed.
    Expire,
    /// The deadline for trying to credit has passed.
    GiveUp,
    /// The credit shard's decision arrived (perhaps not for the first time).
    Answered(Decision),
}

/// Where the credit account of a held transfer is when it is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CreditPlace {
    /// On this shard, and what it can do with the amount now.
    Here(Result<(), Rejection>),
    /// On another shard, whose inbox decides.
    Elsewhere,
}

/// What can reach the credit side.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CreditEvent {
    /// `credit`, with what the account can do with it now.
    Credit(Result<UserId, Rejection>),
    /// `void`.
    Void,
}

/// What must be done, in the transaction that stores the new state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Nothing: a repeat, or it is over already.
    None,
    /// Nothing: the transfer is not held any more, and whoever asked is told so.
    NotReserved,
    /// Post both sides on this shard; the reservation goes.
    PostBothSides,
    /// Put `credit` into the outbox.
    SendCredit,
    /// From now on send `void` in place of `credit`.
    SendVoid,
    /// Post the debit side against clearing; reservation and outbox rows go.
    PostDebitSide,
    /// Give the reserved amount back; reservation and outbox rows go.
    GiveBack,
    /// Write the inbox row; if it says credited, post the credit side.
    Decide,
}

/// Two decisions about one transfer, or a message that the other side can never have sent: an inbox or a
/// reservation has lost or changed a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a transfer that is {state:?} got {event:?}")]
pub struct IllegalTransition {
    /// Where the saga stood.
    pub state: State,
    /// What came.
    pub event: Event,
}

/// The next state of a side, and what to do. Messages may be lost, delayed, reordered and repeated.
///
/// # Errors
/// What contradicts the state must stop the line rather than move money.
pub fn next(state: State, event: Event) -> Result<(State, Effect), IllegalTransition> {
    match (state, event) {
        (State::Debit(state), Event::Debit(event)) => {
            debit(state, event).map(|(next, effect)| (State::Debit(next), effect))
        }
        (State::Credit(state), Event::Credit(event)) => Ok(credit(state, event)),
        (state @ State::Debit(_), event @ Event::Credit(_)) | (state @ State::Credit(_), event @ Event::Debit(_)) => {
            Err(IllegalTransition { state, event })
        }
    }
}

fn debit(state: DebitState, event: DebitEvent) -> Result<(DebitState, Effect), IllegalTransition> {
    use DebitEvent::{Answered, Commit, Expire, GiveUp, Release};
    use DebitState::{Committed, Crediting, Held, Released, Voiding};
    use Decision::{Credited, Refused, Voided};
    match (state, event) {
        // The first of commit, release and expiry wins.
        (Held, Commit(CreditPlace::Here(Ok(())))) => Ok((Committed, Effect::PostBothSides)),
        (Held, Commit(CreditPlace::Here(Err(reason)))) => Ok((Released(reason), Effect::GiveBack)),
        (Held, Commit(CreditPlace::Elsewhere)) => Ok((Crediting, Effect::SendCredit)),
        (Held, Release) => Ok((Released(Rejection::ReleasedByClient), Effect::GiveBack)),
        (Held, Expire) => Ok((Released(Rejection::Expired), Effect::GiveBack)),
        // To release is idempotent by nature.
        (Released(Rejection::ReleasedByClient), Release) => Ok((state, Effect::None)),
        (Crediting | Voiding | Committed | Released(_), Commit(_) | Release | Expire) => {
            Ok((state, Effect::NotReserved))
        }

        (Crediting, GiveUp) => Ok((Voiding, Effect::SendVoid)),
        // `void` is asked for as often as it takes; a terminal saga has nothing to give up.
        (Voiding | Committed | Released(_), GiveUp) => Ok((state, Effect::None)),

        (Crediting | Voiding, Answered(Credited { .. })) => Ok((Committed, Effect::PostDebitSide)),
        (Crediting | Voiding, Answered(Refused(reason))) => Ok((Released(reason), Effect::GiveBack)),
        // A replica may have begun to void what this one still sends as `credit`.
        (Crediting | Voiding, Answered(Voided)) => Ok((Released(Rejection::Voided), Effect::GiveBack)),

        (Committed, Answered(Credited { .. })) => Ok((state, Effect::None)),
        (Released(before), Answered(Refused(reason))) if before == reason => Ok((state, Effect::None)),
        (Released(Rejection::Voided), Answered(Voided)) => Ok((state, Effect::None)),

        // Nobody was asked to try, or to decide.
        (Held, event @ (GiveUp | Answered(_)))
        | (Committed, event @ Answered(Refused(_) | Voided))
        | (Released(_), event @ Answered(Credited { .. } | Refused(_) | Voided)) => {
            Err(IllegalTransition { state: State::Debit(state), event: Event::Debit(event) })
        }
    }
}

/// The first message decides, later ones get the recorded decision.
fn credit(state: CreditState, event: CreditEvent) -> (State, Effect) {
    let decision = match (state, event) {
        (state @ CreditState::Decided(_), CreditEvent::Credit(_) | CreditEvent::Void) => {
            return (State::Credit(state), Effect::None);
        }
        (CreditState::Undecided, CreditEvent::Credit(Ok(credit_user_id))) => Decision::Credited { credit_user_id },
        (CreditState::Undecided, CreditEvent::Credit(Err(reason))) => Decision::Refused(reason),
        (CreditState::Undecided, CreditEvent::Void) => Decision::Voided,
    };
    (State::Credit(CreditState::Decided(decision)), Effect::Decide)
}

//! Every transition of a saga, one by one: all states, all events, and all that is illegal.

use crate::world::user;
use ledger::Rejection;
use ledger::saga::DebitState::{Committed, Released, Reserved, Voiding};
use ledger::saga::{
    CreditEvent, DebitEffect, DebitEvent, DebitState, Decision, IllegalTransition, Verdict, next_credit, next_debit,
};

const FROZEN: Rejection = Rejection::AccountFrozen;
const CLOSED: Rejection = Rejection::AccountClosed;
const VOIDED: Rejection = Rejection::Voided;

fn credited() -> Decision {
    Decision::Credited { credit_user_id: user("andrew") }
}

fn events() -> [DebitEvent; 6] {
    let decided = DebitEvent::Decided;
    [
        DebitEvent::GiveUp,
        decided(credited()),
        decided(Decision::Refused(FROZEN)),
        decided(Decision::Refused(CLOSED)),
        decided(Decision::Refused(VOIDED)),
        decided(Decision::Voided),
    ]
}

type Next = Option<(DebitState, DebitEffect)>;

const SEND_VOID: Next = Some((Voiding, DebitEffect::SendVoid));
const COMMIT: Next = Some((Committed, DebitEffect::Commit));
/// The two decisions contradict each other.
const ILLEGAL: Next = None;

const fn release(reason: Rejection) -> Next {
    Some((Released(reason), DebitEffect::Release))
}

const fn stay(state: DebitState) -> Next {
    Some((state, DebitEffect::None))
}

/// A row for each state, a column for each of [`events`].
#[rustfmt::skip]
const DEBIT: [(DebitState, [Next; 6]); 6] = [
    //                  give up                credited         refused frozen         refused closed         refused voided         voided
    (Reserved,         [SEND_VOID,              COMMIT,          release(FROZEN),       release(CLOSED),       release(VOIDED),       release(VOIDED)]),
    (Voiding,          [stay(Voiding),          COMMIT,          release(FROZEN),       release(CLOSED),       release(VOIDED),       release(VOIDED)]),
    (Committed,        [stay(Committed),        stay(Committed), ILLEGAL,               ILLEGAL,               ILLEGAL,               ILLEGAL]),
    (Released(FROZEN), [stay(Released(FROZEN)), ILLEGAL,         stay(Released(FROZEN)), ILLEGAL,              ILLEGAL,               ILLEGAL]),
    (Released(CLOSED), [stay(Released(CLOSED)), ILLEGAL,         ILLEGAL,               stay(Released(CLOSED)), ILLEGAL,              ILLEGAL]),
    (Released(VOIDED), [stay(Released(VOIDED)), ILLEGAL,         ILLEGAL,               ILLEGAL,               stay(Released(VOIDED)), stay(Released(VOIDED))]),
];

fn assert_next(state: DebitState, event: DebitEvent, expected: Next) {
    let found = next_debit(state, event.clone());
    let expected = expected.ok_or(IllegalTransition { state, event: event.clone() });
    assert_eq!(found, expected, "{state:?} gets {event:?}");
}

#[test]
fn every_event_in_every_state_of_the_debit_side() {
    for (state, row) in DEBIT {
        for (event, expected) in events().into_iter().zip(row) {
            assert_next(state, event, expected);
        }
    }
}

/// The table's reasons stand for all: only whether they are the same matters.
#[test]
fn every_reason_against_every_other() {
    for before in Rejection::ALL {
        let state = Released(before);
        assert_next(state, DebitEvent::GiveUp, stay(state));
        assert_next(state, DebitEvent::Decided(credited()), ILLEGAL);
        assert_next(state, DebitEvent::Decided(Decision::Voided), stay(state).filter(|_| before == VOIDED));
        for reason in Rejection::ALL {
            let again = stay(state).filter(|_| before == reason);
            assert_next(state, DebitEvent::Decided(Decision::Refused(reason)), again);
        }
        for open in [Reserved, Voiding] {
            assert_next(open, DebitEvent::Decided(Decision::Refused(before)), release(before));
        }
        assert_next(Committed, DebitEvent::Decided(Decision::Refused(before)), ILLEGAL);
    }
}

#[test]
fn every_message_in_every_state_of_the_credit_side() {
    let credit = || CreditEvent::Credit(Ok(user("andrew")));
    let refusal = |reason| CreditEvent::Credit(Err(reason));
    let first = [
        (credit(), credited()),
        (refusal(FROZEN), Decision::Refused(FROZEN)),
        (refusal(CLOSED), Decision::Refused(CLOSED)),
        (CreditEvent::Void, Decision::Voided),
    ];
    for (event, decision) in &first {
        assert_eq!(next_credit(None, event.clone()), Verdict::New(decision.clone()));
    }
    for (_, recorded) in &first {
        for (event, _) in &first {
            let verdict = next_credit(Some(recorded), event.clone());
            assert_eq!(verdict, Verdict::Recorded(recorded.clone()), "{recorded:?} gets {event:?}");
        }
    }
}

#[test]
fn an_illegal_transition_says_what_met_what() {
    let illegal = next_debit(Committed, DebitEvent::Decided(Decision::Voided)).unwrap_err();
    assert_eq!(illegal.to_string(), "a transfer that is Committed got Decided(Voided)");
}

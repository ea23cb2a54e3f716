//! Every transition of a saga, one by one: all states, all events, and all that is illegal.

use crate::world::{credited, user};
use ledger::Rejection;
use ledger::saga::CreditState::{Decided, Undecided};
use ledger::saga::DebitEvent::{Answered, Commit, Expire, GiveUp, Release};
use ledger::saga::DebitState::{Committed, Crediting, Held, Released, Voiding};
use ledger::saga::{
    CreditEvent, CreditPlace, CreditState, DebitEvent, DebitState, Decision, Effect, Event, IllegalTransition, State,
    next,
};

const FROZEN: Rejection = Rejection::AccountFrozen;
const CLOSED: Rejection = Rejection::AccountClosed;
const VOIDED: Rejection = Rejection::Voided;
const CLIENT: Rejection = Rejection::ReleasedByClient;
const EXPIRED: Rejection = Rejection::Expired;

const HERE: CreditPlace = CreditPlace::Here(Ok(()));
const FROZEN_HERE: CreditPlace = CreditPlace::Here(Err(FROZEN));
const ELSEWHERE: CreditPlace = CreditPlace::Elsewhere;

type Next = Option<(DebitState, Effect)>;

/// What contradicts the state.
const ILLEGAL: Next = None;

const fn to(state: DebitState, effect: Effect) -> Next {
    Some((state, effect))
}

const fn give_back(reason: Rejection) -> Next {
    to(Released(reason), Effect::GiveBack)
}

const fn stay(state: DebitState) -> Next {
    to(state, Effect::None)
}

const POST_BOTH: Next = to(Committed, Effect::PostBothSides);
const SEND_CREDIT: Next = to(Crediting, Effect::SendCredit);
const SEND_VOID: Next = to(Voiding, Effect::SendVoid);
const POST_DEBIT: Next = to(Committed, Effect::PostDebitSide);

const COMMITS: [DebitEvent; 3] = [Commit(HERE), Commit(FROZEN_HERE), Commit(ELSEWHERE)];

/// A row for each state, a column for each event of a client, of the sweep and of the outbox's deadline.
#[rustfmt::skip]
const ASKED: [(DebitState, [Next; 6]); 9] = [
    //                   commit here     commit, frozen here  commit elsewhere  release          expire           give up
    (Held,              [POST_BOTH,      give_back(FROZEN),   SEND_CREDIT,      give_back(CLIENT), give_back(EXPIRED), ILLEGAL]),
    (Crediting,         [over(Crediting), over(Crediting),    over(Crediting),  over(Crediting), over(Crediting), SEND_VOID]),
    (Voiding,           [over(Voiding),  over(Voiding),       over(Voiding),    over(Voiding),   over(Voiding),   stay(Voiding)]),
    (Committed,         [over(Committed), over(Committed),    over(Committed),  over(Committed), over(Committed), stay(Committed)]),
    (Released(CLIENT),  [of(CLIENT),     of(CLIENT),          of(CLIENT),       stay(Released(CLIENT)), of(CLIENT), stay(Released(CLIENT))]),
    (Released(EXPIRED), [of(EXPIRED),    of(EXPIRED),         of(EXPIRED),      of(EXPIRED),     of(EXPIRED),     stay(Released(EXPIRED))]),
    (Released(FROZEN),  [of(FROZEN),     of(FROZEN),          of(FROZEN),       of(FROZEN),      of(FROZEN),      stay(Released(FROZEN))]),
    (Released(CLOSED),  [of(CLOSED),     of(CLOSED),          of(CLOSED),       of(CLOSED),      of(CLOSED),      stay(Released(CLOSED))]),
    (Released(VOIDED),  [of(VOIDED),     of(VOIDED),          of(VOIDED),       of(VOIDED),      of(VOIDED),      stay(Released(VOIDED))]),
];

/// It is not held any more, and whoever asked is told so.
const fn over(state: DebitState) -> Next {
    to(state, Effect::NotReserved)
}

const fn of(reason: Rejection) -> Next {
    over(Released(reason))
}

fn asked() -> [DebitEvent; 6] {
    let [here, frozen, elsewhere] = COMMITS;
    [here, frozen, elsewhere, Release, Expire, GiveUp]
}

/// A row for each state, a column for each decision of the credit shard.
#[rustfmt::skip]
const ANSWERED: [(DebitState, [Next; 5]); 9] = [
    //                   credited         refused frozen          refused closed          refused voided          voided
    (Held,              [ILLEGAL,         ILLEGAL,                ILLEGAL,                ILLEGAL,                ILLEGAL]),
    (Crediting,         [POST_DEBIT,      give_back(FROZEN),      give_back(CLOSED),      give_back(VOIDED),      give_back(VOIDED)]),
    (Voiding,           [POST_DEBIT,      give_back(FROZEN),      give_back(CLOSED),      give_back(VOIDED),      give_back(VOIDED)]),
    (Committed,         [stay(Committed), ILLEGAL,                ILLEGAL,                ILLEGAL,                ILLEGAL]),
    (Released(CLIENT),  [ILLEGAL,         ILLEGAL,                ILLEGAL,                ILLEGAL,                ILLEGAL]),
    (Released(EXPIRED), [ILLEGAL,         ILLEGAL,                ILLEGAL,                ILLEGAL,                ILLEGAL]),
    (Released(FROZEN),  [ILLEGAL,         stay(Released(FROZEN)), ILLEGAL,                ILLEGAL,                ILLEGAL]),
    (Released(CLOSED),  [ILLEGAL,         ILLEGAL,                stay(Released(CLOSED)), ILLEGAL,                ILLEGAL]),
    (Released(VOIDED),  [ILLEGAL,         ILLEGAL,                ILLEGAL,                stay(Released(VOIDED)), stay(Released(VOIDED))]),
];

fn answered() -> [DebitEvent; 5] {
    let refused = |reason| Answered(Decision::Refused(reason));
    [Answered(credited()), refused(FROZEN), refused(CLOSED), refused(VOIDED), Answered(Decision::Voided)]
}

fn assert_next(state: DebitState, event: DebitEvent, expected: Next) {
    let (state, event) = (State::Debit(state), Event::Debit(event));
    let found = next(state.clone(), event.clone());
    let expected = expected.map(|(state, effect)| (State::Debit(state), effect));
    assert_eq!(found, expected.ok_or(IllegalTransition { state, event }));
}

#[test]
fn every_event_in_every_state_of_the_debit_side() {
    for (state, row) in ASKED {
        asked().into_iter().zip(row).for_each(|(event, expected)| assert_next(state, event, expected));
    }
    for (state, row) in ANSWERED {
        answered().into_iter().zip(row).for_each(|(event, expected)| assert_next(state, event, expected));
    }
}

/// The tables' reasons stand for all: only whether they are the same matters, and two of them by name.
#[test]
fn every_reason_against_every_other() {
    for before in Rejection::ALL {
        let state = Released(before);
        assert_next(state, GiveUp, stay(state));
        assert_next(state, Expire, over(state));
        assert_next(state, Release, if before == CLIENT { stay(state) } else { over(state) });
        assert_next(state, Answered(credited()), ILLEGAL);
        assert_next(state, Answered(Decision::Voided), stay(state).filter(|_| before == VOIDED));
        for reason in Rejection::ALL {
            assert_next(state, Commit(CreditPlace::Here(Err(reason))), over(state));
            let again = stay(state).filter(|_| before == reason);
            assert_next(state, Answered(Decision::Refused(reason)), again);
        }
        for saga in [Crediting, Voiding] {
            assert_next(saga, Answered(Decision::Refused(before)), give_back(before));
            assert_next(saga, Commit(CreditPlace::Here(Err(before))), over(saga));
        }
        assert_next(Held, Commit(CreditPlace::Here(Err(before))), give_back(before));
        assert_next(Held, Answered(Decision::Refused(before)), ILLEGAL);
        assert_next(Committed, Answered(Decision::Refused(before)), ILLEGAL);
        assert_next(Committed, Commit(CreditPlace::Here(Err(before))), over(Committed));
    }
}

fn credit_events() -> [(CreditEvent, Decision); 4] {
    [
        (CreditEvent::Credit(Ok(user("andrew"))), credited()),
        (CreditEvent::Credit(Err(FROZEN)), Decision::Refused(FROZEN)),
        (CreditEvent::Credit(Err(CLOSED)), Decision::Refused(CLOSED)),
        (CreditEvent::Void, Decision::Voided),
    ]
}

fn credit_states() -> Vec<CreditState> {
    let decided = credit_events().into_iter().map(|(_, decision)| Decided(decision));
    std::iter::once(Undecided).chain(decided).collect()
}

#[test]
fn every_message_in_every_state_of_the_credit_side() {
    for (event, decision) in credit_events() {
        let first = next(State::Credit(Undecided), Event::Credit(event));
        assert_eq!(first, Ok((State::Credit(Decided(decision)), Effect::Decide)));
    }
    for (_, recorded) in credit_events() {
        let state = State::Credit(Decided(recorded));
        for (event, _) in credit_events() {
            let again = next(state.clone(), Event::Credit(event));
            assert_eq!(again, Ok((state.clone(), Effect::None)));
        }
    }
}

#[test]
fn what_happens_to_one_side_cannot_happen_to_the_other() {
    let debit_events = || asked().into_iter().chain(answered());
    for state in credit_states() {
        for event in debit_events() {
            let (state, event) = (State::Credit(state.clone()), Event::Debit(event));
            assert_eq!(next(state.clone(), event.clone()), Err(IllegalTransition { state, event }));
        }
    }
    for (state, _) in ASKED {
        for (event, _) in credit_events() {
            let (state, event) = (State::Debit(state), Event::Credit(event));
            assert_eq!(next(state.clone(), event.clone()), Err(IllegalTransition { state, event }));
        }
    }
}

#[test]
fn an_illegal_transition_says_what_met_what() {
    let illegal = next(State::Debit(Committed), Event::Debit(Answered(Decision::Voided))).unwrap_err();
    assert_eq!(illegal.to_string(), "a transfer that is Debit(Committed) got Debit(Answered(Voided))");
}

//! All interleavings of one saga, exhaustively: what was once sent may arrive at any time, any number of times
//! and in any order, or never. So the network is a set of messages that only grows. A client may commit and release
//! at any time, any number of times, and the sweep may find the transfer due at any time.

use crate::world::user;
use ledger::Rejection;
use ledger::saga::{
    CreditEvent, CreditPlace, CreditState, DebitEvent, DebitState, Decision, Effect, Event, State, next,
};

#[derive(Debug, Clone, PartialEq)]
struct Saga {
    debit: DebitState,
    inbox: CreditState,
    is_credit_sent: bool,
    is_void_sent: bool,
    /// What the debit side has done with the money, in order.
    moved: Vec<Effect>,
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    /// With where the credit account is just then; a moved slot or an operator may change that at any time.
    Commit(CreditPlace),
    Release,
    Expire,
    GiveUp,
    /// With what the credit account can do with it just then.
    CreditArrives(Result<(), Rejection>),
    VoidArrives,
    AnswerArrives,
}

const FROZEN: Rejection = Rejection::AccountFrozen;

const STEPS: [Step; 11] = [
    Step::Commit(CreditPlace::Here(Ok(()))),
    Step::Commit(CreditPlace::Here(Err(FROZEN))),
    Step::Commit(CreditPlace::Elsewhere),
    Step::Release,
    Step::Expire,
    Step::GiveUp,
    Step::CreditArrives(Ok(())),
    Step::CreditArrives(Err(FROZEN)),
    Step::CreditArrives(Err(Rejection::AccountClosed)),
    Step::VoidArrives,
    Step::AnswerArrives,
];

impl Saga {
    fn one_step() -> Saga {
        Saga { debit: DebitState::Crediting, is_credit_sent: true, ..Saga::two_step() }
    }

    fn two_step() -> Saga {
        let (debit, inbox) = (DebitState::Held, CreditState::Undecided);
        Saga { debit, inbox, is_credit_sent: false, is_void_sent: false, moved: vec![] }
    }

    /// `None`: that cannot happen here.
    fn after(&self, step: &Step) -> Option<Saga> {
        match step {
            Step::Commit(place) => Some(self.debit_gets(DebitEvent::Commit(*place))),
            Step::Release => Some(self.debit_gets(DebitEvent::Release)),
            Step::Expire => Some(self.debit_gets(DebitEvent::Expire)),
            // Only what has a row in the outbox.
            Step::GiveUp => self.is_credit_sent.then(|| self.debit_gets(DebitEvent::GiveUp)),
            Step::CreditArrives(able) => {
                let event = CreditEvent::Credit(able.map(|()| user("andrew")));
                self.is_credit_sent.then(|| self.credit_gets(event))
            }
            Step::VoidArrives => self.is_void_sent.then(|| self.credit_gets(CreditEvent::Void)),
            Step::AnswerArrives => match &self.inbox {
                CreditState::Undecided => None,
                CreditState::Decided(decision) => Some(self.debit_gets(DebitEvent::Answered(decision.clone()))),
            },
        }
    }

    fn debit_gets(&self, event: DebitEvent) -> Saga {
        let (after, effect) = next(State::Debit(self.debit), Event::Debit(event)).expect("no two decisions ever meet");
        let State::Debit(debit) = after else { panic!("{after:?} is no debit side") };
        let mut saga = Saga { debit, ..self.clone() };
        match effect {
            Effect::None | Effect::NotReserved => assert_eq!(saga, *self, "nothing is done, nothing changes"),
            Effect::PostBothSides | Effect::PostDebitSide | Effect::GiveBack => saga.moved.push(effect),
            Effect::SendCredit => saga.is_credit_sent = true,
            Effect::SendVoid => saga.is_void_sent = true,
            Effect::Decide => panic!("the debit side decides nothing"),
        }
        saga
    }

    fn credit_gets(&self, event: CreditEvent) -> Saga {
        let (after, _) = next(State::Credit(self.inbox.clone()), Event::Credit(event)).expect("all messages are legal");
        let State::Credit(inbox) = after else { panic!("{after:?} is no credit side") };
        Saga { inbox, ..self.clone() }
    }

    fn is_over(&self) -> bool {
        match self.debit {
            DebitState::Committed | DebitState::Released(_) => true,
            DebitState::Held | DebitState::Crediting | DebitState::Voiding => false,
        }
    }

    /// Money has left the one side exactly if it has reached the other.
    fn assert_sides_agree(&self) {
        let (debit, effect) = match &self.inbox {
            CreditState::Decided(Decision::Credited { .. }) => (DebitState::Committed, Effect::PostDebitSide),
            CreditState::Decided(Decision::Refused(reason)) => (DebitState::Released(*reason), Effect::GiveBack),
            CreditState::Decided(Decision::Voided) => (DebitState::Released(Rejection::Voided), Effect::GiveBack),
            CreditState::Undecided => return self.assert_ended_here(),
        };
        assert_eq!((self.debit, &self.moved), (debit, &vec![effect]), "{self:?}");
    }

    /// No other shard was ever asked.
    fn assert_ended_here(&self) {
        assert!(!self.is_credit_sent && !self.is_void_sent, "over without a decision: {self:?}");
        let effect = match self.debit {
            DebitState::Committed => Effect::PostBothSides,
            DebitState::Released(Rejection::ReleasedByClient | Rejection::Expired | FROZEN) => Effect::GiveBack,
            _ => panic!("that is no end of a transfer here: {self:?}"),
        };
        assert_eq!(self.moved, [effect], "{self:?}");
    }
}

/// All states that can be reached from either beginning.
fn reachable(beginnings: &[Saga]) -> Vec<Saga> {
    let mut found = beginnings.to_vec();
    let mut next = 0;
    while let Some(saga) = found.get(next).cloned() {
        next += 1;
        for after in STEPS.iter().filter_map(|step| saga.after(step)) {
            if !found.contains(&after) {
                found.push(after);
            }
        }
    }
    found
}

fn all() -> Vec<Saga> {
    reachable(&[Saga::one_step(), Saga::two_step()])
}

#[test]
fn a_saga_that_is_over_has_the_same_end_on_both_sides() {
    // Crediting: undecided, credited, refused in two ways. Voiding: these and voided. Over: credited and refused
    // in two ways, each with or without having given up, and voided.
    let one_step = reachable(&[Saga::one_step()]);
    assert_eq!(one_step.len(), 4 + 5 + 7, "{one_step:?}");
    // A committed one has the same; before it: held. Ended here: posted, frozen, released, expired.
    let all = all();
    assert_eq!(all.len(), one_step.len() + 1 + 4, "{all:?}");
    for saga in &all {
        match saga.is_over() {
            true => saga.assert_sides_agree(),
            false => assert_eq!(saga.moved, [], "{saga:?}"),
        }
    }
}

#[test]
fn a_decision_and_an_end_never_change() {
    for saga in all() {
        for after in STEPS.iter().filter_map(|step| saga.after(step)) {
            assert!(saga.inbox == CreditState::Undecided || saga.inbox == after.inbox, "{saga:?} -> {after:?}");
            assert!(!saga.is_over() || saga.debit == after.debit, "{saga:?} -> {after:?}");
            assert!(!saga.is_over() || saga.moved == after.moved, "{saga:?} -> {after:?}");
        }
    }
}

/// Whatever has been lost: the outbox's message, sent once more and answered, ends it.
#[test]
fn from_every_state_one_message_and_its_answer_end_the_saga() {
    for saga in all().into_iter().filter(|saga| !saga.is_over()) {
        let message = match saga.debit {
            DebitState::Held => continue,
            DebitState::Voiding => Step::VoidArrives,
            _ => Step::CreditArrives(Ok(())),
        };
        let asked = saga.after(&message).expect("it has been sent");
        let answered = asked.after(&Step::AnswerArrives).expect("it is answered");
        assert!(answered.is_over(), "{answered:?}");
        answered.assert_sides_agree();
    }
}

/// Nothing but an answer ends a saga: no timer decides, and no client.
#[test]
fn neither_giving_up_nor_a_client_ends_a_saga() {
    for saga in all().into_iter().filter(|saga| !saga.is_over() && saga.debit != DebitState::Held) {
        for step in STEPS.iter().filter(|step| **step != Step::AnswerArrives) {
            assert!(saga.after(step).is_none_or(|after| !after.is_over()), "{saga:?} {step:?}");
        }
    }
}

#[test]
fn what_is_held_is_known_to_no_other_shard() {
    for saga in all().into_iter().filter(|saga| saga.debit == DebitState::Held) {
        assert_eq!(saga, Saga::two_step());
    }
}

//! All interleavings of one saga, exhaustively: what was once sent may arrive at any time, any number of times
//! and in any order, or never. So the network is a set of messages that only grows.

use crate::world::user;
use ledger::Rejection;
use ledger::saga::{CreditEvent, DebitEvent, DebitState, Decision, Verdict, next_credit, next_debit};

#[derive(Debug, Clone, PartialEq)]
struct Saga {
    debit: DebitState,
    inbox: Option<Decision>,
    is_void_sent: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    GiveUp,
    /// With what the credit account can do with it just then; an operator may change that at any time.
    CreditArrives(Result<(), Rejection>),
    VoidArrives,
    AnswerArrives,
}

const STEPS: [Step; 6] = [
    Step::GiveUp,
    Step::CreditArrives(Ok(())),
    Step::CreditArrives(Err(Rejection::AccountFrozen)),
    Step::CreditArrives(Err(Rejection::AccountClosed)),
    Step::VoidArrives,
    Step::AnswerArrives,
];

impl Saga {
    fn begun() -> Saga {
        Saga { debit: DebitState::Reserved, inbox: None, is_void_sent: false }
    }

    /// `None`: that cannot happen here.
    fn after(&self, step: &Step) -> Option<Saga> {
        match step {
            Step::GiveUp => self.debit_gets(DebitEvent::GiveUp),
            Step::CreditArrives(able) => Some(self.credit_gets(CreditEvent::Credit(able.map(|()| user("andrew"))))),
            Step::VoidArrives => self.is_void_sent.then(|| self.credit_gets(CreditEvent::Void)),
            Step::AnswerArrives => {
                self.inbox.clone().and_then(|decision| self.debit_gets(DebitEvent::Decided(decision)))
            }
        }
    }

    fn debit_gets(&self, event: DebitEvent) -> Option<Saga> {
        let (debit, _) = next_debit(self.debit, event).expect("no two decisions ever meet");
        let is_void_sent = self.is_void_sent || debit == DebitState::Voiding;
        Some(Saga { debit, is_void_sent, ..self.clone() })
    }

    fn credit_gets(&self, event: CreditEvent) -> Saga {
        let (Verdict::New(decision) | Verdict::Recorded(decision)) = next_credit(self.inbox.as_ref(), event);
        Saga { inbox: Some(decision), ..self.clone() }
    }

    fn is_over(&self) -> bool {
        match self.debit {
            DebitState::Committed | DebitState::Released(_) => true,
            DebitState::Reserved | DebitState::Voiding => false,
        }
    }

    /// Money has left the one side exactly if it has reached the other.
    fn assert_sides_agree(&self) {
        let expected = match &self.inbox {
            Some(Decision::Credited { .. }) => DebitState::Committed,
            Some(Decision::Refused(reason)) => DebitState::Released(*reason),
            Some(Decision::Voided) => DebitState::Released(Rejection::Voided),
            None => panic!("over without a decision: {self:?}"),
        };
        assert_eq!(self.debit, expected, "{self:?}");
    }
}

/// All states that can be reached.
fn reachable() -> Vec<Saga> {
    let mut found = vec![Saga::begun()];
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

#[test]
fn a_saga_that_is_over_has_the_same_end_on_both_sides() {
    let found = reachable();
    // Reserved: undecided, credited, refused in two ways. Voiding: these and voided. Over: credited and refused
    // in two ways, each with or without having given up, and voided.
    assert_eq!(found.len(), 4 + 5 + 7, "{found:?}");
    for saga in &found {
        if saga.is_over() {
            saga.assert_sides_agree();
        }
    }
}

#[test]
fn a_decision_and_an_end_never_change() {
    for saga in reachable() {
        for after in STEPS.iter().filter_map(|step| saga.after(step)) {
            assert!(saga.inbox.is_none() || saga.inbox == after.inbox, "{saga:?} -> {after:?}");
            assert!(!saga.is_over() || saga.debit == after.debit, "{saga:?} -> {after:?}");
        }
    }
}

/// Whatever has been lost: the outbox's message, sent once more and answered, ends it.
#[test]
fn from_every_state_one_message_and_its_answer_end_the_saga() {
    for saga in reachable().into_iter().filter(|saga| !saga.is_over()) {
        let message = match saga.debit {
            DebitState::Voiding => Step::VoidArrives,
            _ => Step::CreditArrives(Ok(())),
        };
        let asked = saga.after(&message).expect("it has been sent");
        let answered = asked.after(&Step::AnswerArrives).expect("it is answered");
        assert!(answered.is_over(), "{answered:?}");
        answered.assert_sides_agree();
    }
}

/// Nothing but an answer ends a saga: no timer decides.
#[test]
fn giving_up_ends_nothing() {
    for saga in reachable().into_iter().filter(|saga| !saga.is_over()) {
        for step in STEPS.iter().filter(|step| **step != Step::AnswerArrives) {
            assert!(saga.after(step).is_none_or(|after| !after.is_over()), "{saga:?} {step:?}");
        }
    }
}

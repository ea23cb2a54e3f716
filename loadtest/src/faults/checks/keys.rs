//! One key has one answer.

use super::{Findings, Scene};
use crate::faults::history::{Answer, Code, How, Request, State, Want};

/// Every answer that decides is the same as the first one for its key. After a 202, the first one is that of the end.
pub fn same_answer(scene: &Scene<'_>, findings: &mut Findings) {
    for (id, request) in scene.history.live() {
        let mut first = None;
        for answer in request.key_answers().filter(Answer::decides) {
            findings.look();
            let first = *first.get_or_insert(answer);
            if !is_same(request, first, answer) {
                findings.on_request(id, format!("its key was answered with {first}, and later with {answer}"));
                break;
            }
        }
        let ids = request.attempts.iter().filter(|attempt| attempt.how == How::Asked);
        let mut ids: Vec<_> = ids.filter_map(|attempt| attempt.answer.transfer()).collect();
        ids.dedup();
        if ids.len() > 1 {
            findings.on_request(id, format!("its key has led to {} transfers", ids.len()));
        }
    }
}

/// Bodies are compared byte by byte, except that a problem carries the id of its own exchange. Giving back has no key:
/// it is repeatable by nature, and repeated it says what is so.
fn is_same(request: &Request, first: Answer, later: Answer) -> bool {
    match (first, later) {
        (Answer::Said(one), Answer::Said(other)) if matches!(request.want, Want::Release { .. }) => {
            (one.transfer, one.state) == (other.transfer, other.state)
        }
        (one, other) => one == other,
    }
}

/// The same key with another request is refused, and changes nothing.
pub fn altered_refused(scene: &Scene<'_>, findings: &mut Findings) {
    for (id, request) in scene.history.live() {
        for attempt in request.attempts.iter().filter(|attempt| attempt.how == How::Altered) {
            findings.look();
            match attempt.answer {
                Answer::Refused(422, code, _) if code == Code::of("idempotency_key_reused") => {}
                Answer::NotSent | Answer::Lost(_) | Answer::Open(..) => {}
                Answer::Said(said) if said.state == State::Posted => {
                    findings.on_request(id, format!("another request with its key was carried out: {said}"));
                }
                other => findings.on_request(id, format!("another request with its key was answered with {other}")),
            }
        }
    }
}

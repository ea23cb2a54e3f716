//! Answers are those of the contract, for requests of which it is known beforehand what must come of them.

use super::{Findings, Scene};
use crate::faults::history::{Answer, Code, Doom, How, Request, Want};

/// No answer is outside of the contract, and requests that cannot succeed are refused with the right code.
pub fn answers_expected(scene: &Scene<'_>, findings: &mut Findings) {
    let internal = Code::of("internal");
    for (id, request) in scene.history.live() {
        for attempt in &request.attempts {
            findings.look();
            match attempt.answer {
                Answer::Nonsense(status) => {
                    findings.on_request(id, format!("an answer {status} is not one of the contract"));
                }
                Answer::Open(_, code) if code == internal => {
                    findings.on_request(id, "it was answered with 500, which is never expected");
                }
                answer if attempt.how == How::Asked && answer.decides() && !may_be(request, answer) => {
                    findings.on_request(id, format!("it was answered with {answer}"));
                }
                Answer::Denied(..) if attempt.how == How::Looked => {
                    findings
                        .on_request(id, format!("its transfer was looked for and answered with {}", attempt.answer));
                }
                _ => {}
            }
        }
    }
}

/// Whether a deciding answer can come of the request at all.
fn may_be(request: &Request, answer: Answer) -> bool {
    let doom = match request.want {
        Want::Transfer { doom, .. } => doom,
        Want::Reserve { .. } | Want::Commit { .. } | Want::Release { .. } => None,
    };
    let allowed: &[&str] = match request.want {
        Want::Transfer { .. } | Want::Reserve { .. } => &["insufficient_funds", "voided"],
        Want::Commit { .. } => &["transfer_not_reserved", "amount_exceeds_reserved", "voided"],
        Want::Release { .. } => &["transfer_not_reserved"],
    };
    match (answer, doom) {
        // Whether there is such an account, another shard decides, which can be asked to void instead; and the debit account
        // comes first.
        (Answer::Refused(_, code, _), Some(Doom::NoSuchAccount)) if allowed.contains(&code.as_str()) => true,
        (Answer::Refused(_, code, _) | Answer::Denied(_, code), Some(doom)) => code == doom.code(),
        (_, Some(_)) => false,
        (Answer::Refused(_, code, _), None) => allowed.contains(&code.as_str()),
        (Answer::Said(_), None) => true,
        (_, None) => false,
    }
}

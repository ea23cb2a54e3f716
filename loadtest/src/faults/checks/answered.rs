//! Every request gets an answer, and soon.

use std::time::Duration;

use super::{Findings, Scene};
use crate::faults::clock::Moment;
use crate::faults::history::{Answer, Loss, Seen};

/// The longest that anything may take, whatever is broken behind the router.
pub const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Every request that reached a router which was alive and not stopped all the time was answered within 5 s.
pub fn in_time(scene: &Scene<'_>, findings: &mut Findings) {
    for (id, request) in scene.history.live() {
        let of_this_round = request.attempts.iter().filter(|attempt| attempt.sent >= scene.timeline.began);
        for attempt in of_this_round.filter(|attempt| attempt.answer != Answer::NotSent) {
            let is_lost = matches!(attempt.answer, Answer::Lost(_));
            let hung_up = attempt.answer == Answer::Lost(Loss::HungUp);
            let verdict = late(scene, attempt.router, attempt.sent, attempt.answered, is_lost, hung_up);
            findings.look();
            if let Some(what) = verdict {
                findings.on_request(id, format!("its call of {} {what}", attempt.sent));
            }
        }
    }
    for read in &scene.history.reads {
        let lost = matches!(read.seen, Seen::Lost(_));
        let hung_up = read.seen == Seen::Lost(Loss::HungUp);
        if read.seen == Seen::NotSent {
            continue;
        }
        findings.look();
        if let Some(what) = late(scene, read.router, read.sent, read.answered, lost, hung_up) {
            findings.on_account(read.account, format!("its read of {} {what}", read.sent));
        }
    }
}

fn late(scene: &Scene<'_>, router: u8, sent: Moment, answered: Moment, is_lost: bool, hung_up: bool) -> Option<String> {
    let took = took(scene, sent, answered);
    let in_time = took <= ANSWER_MAX;
    if in_time && (!is_lost || hung_up) {
        return None;
    }
    if !scene.timeline.router_lived(router, sent, answered) {
        return None;
    }
    let took_ms = took.as_millis();
    Some(match is_lost {
        true => format!("got no answer for {took_ms} ms from a router that was alive"),
        false => format!("was answered after {took_ms} ms by a router that was alive"),
    })
}

/// How long a call took, without the time in which the suite itself stood still.
fn took(scene: &Scene<'_>, sent: Moment, answered: Moment) -> Duration {
    answered.since(sent).saturating_sub(scene.timeline.stalled(sent, answered))
}

/// The longest that an answered call took through a router that was alive.
pub fn worst(scene: &Scene<'_>) -> Duration {
    let attempts = scene.history.live().flat_map(|(_, request)| &request.attempts);
    let attempts = attempts.filter(|attempt| attempt.sent >= scene.timeline.began);
    let answered = attempts.filter(|attempt| !matches!(attempt.answer, Answer::NotSent | Answer::Lost(_)));
    let lived = answered.filter(|it| scene.timeline.router_lived(it.router, it.sent, it.answered));
    lived.map(|attempt| took(scene, attempt.sent, attempt.answered)).max().unwrap_or_default()
}

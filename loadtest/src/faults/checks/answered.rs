//! Every request gets an answer, and soon.

use std::time::Duration;

use super::{Findings, Scene};
use crate::faults::clock::Moment;
use crate::faults::history::{Answer, Attempt, Loss, ReadCall, Seen};

/// The longest that anything may take, whatever is broken behind the router.
pub const ANSWER_MAX: Duration = Duration::from_secs(5);

/// A router that was started takes connections after so long at the latest.
const LISTENS_WITHIN: Duration = Duration::from_secs(5);

/// Every request that reached a router which was alive and not stopped all the time was answered within 5 s, and no router
/// that runs refuses a connection.
pub fn in_time(scene: &Scene<'_>, findings: &mut Findings) {
    for (id, request) in scene.history.live() {
        for attempt in request.attempts.iter().filter(|attempt| attempt.sent >= scene.timeline.began) {
            findings.look();
            if let Some(what) = wrong(scene, Call::from(attempt)) {
                findings.on_request(id, format!("its call of {} {what}", attempt.sent));
            }
        }
    }
    for read in &scene.history.reads {
        findings.look();
        if let Some(what) = wrong(scene, Call::from(read)) {
            findings.on_account(read.account, format!("its read of {} {what}", read.sent));
        }
    }
}

/// A call of any kind.
#[derive(Debug, Clone, Copy)]
struct Call {
    router: u8,
    sent: Moment,
    answered: Moment,
    end: End,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Answered,
    NotConnected,
    Lost,
    HungUp,
}

impl From<&Attempt> for Call {
    fn from(attempt: &Attempt) -> Self {
        let Attempt { router, sent, answered, answer, .. } = *attempt;
        let end = match answer {
            Answer::NotSent => End::NotConnected,
            Answer::Lost(loss) => End::of(loss),
            _ => End::Answered,
        };
        Self { router, sent, answered, end }
    }
}

impl From<&ReadCall> for Call {
    fn from(read: &ReadCall) -> Self {
        let ReadCall { router, sent, answered, seen, .. } = *read;
        let end = match seen {
            Seen::NotSent => End::NotConnected,
            Seen::Lost(loss) => End::of(loss),
            _ => End::Answered,
        };
        Self { router, sent, answered, end }
    }
}

impl End {
    fn of(loss: Loss) -> Self {
        match loss {
            Loss::Broken | Loss::Timeout => Self::Lost,
            Loss::HungUp => Self::HungUp,
        }
    }
}

fn wrong(scene: &Scene<'_>, call: Call) -> Option<String> {
    match call.end {
        End::NotConnected => refused(scene, call),
        End::Answered | End::HungUp | End::Lost => late(scene, call),
    }
}

fn late(scene: &Scene<'_>, Call { router, sent, answered, end }: Call) -> Option<String> {
    let took = took(scene, sent, answered);
    let in_time = took <= ANSWER_MAX && end != End::Lost;
    if in_time || !scene.timeline.router_lived(router, sent, answered) {
        return None;
    }
    let took_ms = took.as_millis();
    Some(match end {
        End::Answered => format!("was answered after {took_ms} ms by a router that was alive"),
        _ => format!("got no answer for {took_ms} ms from a router that was alive"),
    })
}

/// Clients connect to the routers themselves, past all proxies, and the system takes connections for a process that is
/// stopped. So nobody is refused but by a router that does not run, or that was started and does not listen yet.
fn refused(scene: &Scene<'_>, Call { router, sent, answered, .. }: Call) -> Option<String> {
    let is_excused = !scene.timeline.router_ran(router, sent, answered) || is_starting(scene, router, sent);
    (!is_excused).then(|| "got no connection from a router that ran".to_owned())
}

/// Whether a router may not listen yet: it has only just been started and has answered nobody since.
fn is_starting(scene: &Scene<'_>, router: u8, now: Moment) -> bool {
    let Some(started) = scene.timeline.router_started(router, now) else { return false };
    let attempts = scene.history.live().flat_map(|(_, request)| &request.attempts).map(Call::from);
    let mut calls = attempts.chain(scene.history.reads.iter().map(Call::from));
    let has_answered =
        |call: Call| call.router == router && call.end == End::Answered && call.sent >= started && call.answered <= now;
    took(scene, started, now) <= LISTENS_WITHIN && !calls.any(has_answered)
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

//! Exactly one of commit, release and expiry ends a reservation.

use super::{Findings, Scene};
use crate::faults::history::{Answer, Code, Fate, Request, RequestId, State, Want};

/// No two ends of a reservation have won, and what won was asked for.
pub fn one_winner(scene: &Scene<'_>, findings: &mut Findings) {
    for (id, request) in reservations(scene) {
        findings.look();
        let ends = || request.ends.iter().map(|end| (*end, scene.history.get(*end)));
        let winners: Vec<RequestId> = ends().filter(|(_, end)| has_won(end)).map(|(id, _)| id).collect();
        if winners.len() > 1 {
            let list: Vec<String> = winners.iter().map(|winner| name(scene, *winner)).collect();
            findings.on_request(id, format!("several ends have won: {}", list.join(", ")));
        }
        let may_have = |is_it: fn(&Want) -> bool| {
            ends().any(|(_, end)| is_it(&end.want) && end.first_sent().is_some() && !has_lost(end))
        };
        let is_commit = |want: &Want| matches!(want, Want::Commit { .. });
        let is_release = |want: &Want| matches!(want, Want::Release { .. });
        let fate = scene.history.fate(id);
        let is_posted = matches!(fate, Fate::Posted(_)) || scene.side(id, true).count() > 0;
        if request.settled.is_none() && is_posted && !may_have(is_commit) {
            findings.on_request(id, "it was posted, and no commit of it was sent, or each was told that it lost");
        }
        let is_given_back = fate == Fate::Never(Code::of("released_by_client"));
        if request.settled.is_none() && is_given_back && !may_have(is_release) {
            findings.on_request(id, "it was given back, and no release of it was sent, or was told that it lost");
        }
        let told = winners.first().map(|winner| scene.history.get(*winner));
        // A commit that the other shard could not follow was told so; an expiry or a release after it was not.
        let lost = [Code::of("released_by_client"), Code::of("expired")].map(Fate::Never).contains(&fate);
        if told.is_some_and(|end| is_commit(&end.want)) && lost {
            findings.on_request(id, "its commit was acknowledged, and it ended otherwise");
        }
        if told.is_some_and(|end| is_release(&end.want)) && is_posted {
            findings.on_request(id, "its release was acknowledged, and it was posted");
        }
    }
}

/// What was posted is what the winning commit asked for.
pub fn amounts(scene: &Scene<'_>, findings: &mut Findings) {
    for (id, request) in reservations(scene) {
        let Some(reserved) = request.amount() else { continue };
        for line in scene.sides(id).iter().flat_map(|side| &side.new) {
            findings.look();
            let wanted = |end: &RequestId| match scene.history.get(*end) {
                end if has_lost(end) => None,
                end => match end.want {
                    Want::Commit { amount, .. } => Some(amount.unwrap_or(reserved)),
                    _ => None,
                },
            };
            let asked: Vec<i64> = request.ends.iter().filter_map(wanted).collect();
            if !asked.contains(&line.amount) {
                let found = line.amount;
                findings
                    .on_request(id, format!("{found} of {reserved} was posted, and the commits asked for {asked:?}"));
            }
        }
    }
}

/// What was to expire has ended, one way or another.
pub fn expires(scene: &Scene<'_>, findings: &mut Findings) {
    for (id, request) in reservations(scene) {
        let Want::Reserve { debit, expires_in_seconds, .. } = request.want else { continue };
        let shard = scene.population.account(debit).shard;
        if !scene.history.expires_soon(id, Some(shard), &scene.timeline.clocks) {
            continue;
        }
        findings.look();
        if scene.is_held(id) || scene.history.fate(id) == Fate::Open {
            findings.on_request(id, format!("it was to expire after {expires_in_seconds} s, and is still open"));
        }
    }
}

fn reservations<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = (RequestId, &'a Request)> {
    scene.history.live().filter(|(_, request)| matches!(request.want, Want::Reserve { .. }))
}

/// Whether an answer has told an end that it took effect. A released state told to a commit is the end of its saga.
fn has_won(end: &Request) -> bool {
    end.key_answers().any(|answer| match (answer, end.want) {
        (Answer::Said(said), Want::Commit { .. }) => matches!(said.state, State::Posted | State::Pending),
        (Answer::Said(said), Want::Release { .. }) => matches!(said.state, State::Released(_)),
        _ => false,
    })
}

/// Whether it was told for certain that it had no effect.
fn has_lost(end: &Request) -> bool {
    matches!(end.decision(), Some(Answer::Refused(..) | Answer::Denied(..)))
}

fn name(scene: &Scene<'_>, id: RequestId) -> String {
    match scene.history.get(id).want {
        Want::Commit { amount: Some(amount), .. } => format!("commit {id} of {amount}"),
        Want::Commit { amount: None, .. } => format!("commit {id} of all"),
        _ => format!("release {id}"),
    }
}

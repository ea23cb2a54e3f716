//! How soon things go on after a fault.

use std::time::Duration;

use super::{Findings, Scene};
use crate::faults::clock::Moment;
use crate::faults::history::{Answer, Attempt, History, How, Said, State};
use crate::faults::timeline::Start;
use crate::population::Population;

/// From the start of a PostgreSQL to the first transfer served by its shard.
pub const RESTART_MAX: Duration = Duration::from_secs(10);

/// From the heal to the end of the last saga.
pub const SAGAS_MAX: Duration = Duration::from_secs(30);

/// No saga is open 30 s after the heal.
pub fn sagas_closed(scene: &Scene<'_>, findings: &mut Findings) {
    findings.look();
    match scene.survey.sagas_closed_after {
        Some(after) if after <= SAGAS_MAX => return,
        Some(after) => {
            return findings.on_all(format!("the last saga was closed {} ms after the heal", after.as_millis()));
        }
        None => findings.on_all("some saga was open for all of the 30 s after the heal"),
    }
    for open in scene.survey.open.iter().filter(|open| !open.is_held) {
        let about = scene.history.live().find(|(_, request)| request.transfer() == Some(open.transfer));
        let what = format!("the saga of transfer {} is open 30 s after the heal", open.transfer);
        match about {
            Some((id, _)) => findings.on_request(id, what),
            None => findings.on_all(what),
        }
    }
}

/// A shard's first served transfer after a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// Of the fault.
    pub class: String,
    /// How long it took from when the shard could have gone on; none if nothing was served since.
    pub took: Option<Duration>,
}

/// Every shard's recovery from every fault that was felt there.
pub fn recoveries(scene: &Scene<'_>) -> Vec<Recovery> {
    let served = Served::new(scene.population, scene.history);
    let mut found = vec![];
    for (place, struck) in scene.timeline.struck.iter().enumerate() {
        for shard in struck.shards.iter().copied() {
            let (_, took) = served.first_undisturbed(scene, Some(place), shard, struck.ended);
            found.push(Recovery { class: struck.class.clone(), took });
        }
    }
    found
}

/// A shard's first served transfer after its PostgreSQL was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restart {
    /// The start.
    pub start: Start,
    /// When it was, or, if another fault was there then, when that was over.
    pub from: Moment,
    /// How long it took from there; none if nothing was served since.
    pub took: Option<Duration>,
}

/// Every start of a PostgreSQL, and what followed.
pub fn restarts(scene: &Scene<'_>) -> Vec<Restart> {
    let served = Served::new(scene.population, scene.history);
    let restart = |start: &Start| {
        let (from, took) = served.first_undisturbed(scene, start.by, start.shard, start.at);
        Restart { start: start.clone(), from, took }
    };
    scene.timeline.starts.iter().map(restart).collect()
}

/// A shard serves again within 10 s of the start of its PostgreSQL, or of the end of another fault that was there then.
pub fn restarts_in_time(scene: &Scene<'_>, findings: &mut Findings) {
    for Restart { start, from, took } in restarts(scene) {
        // Of one that another fault has held up little can be learnt.
        if from == start.at {
            findings.look();
        }
        let (shard, harm) = (start.shard + 1, start.harm);
        match took {
            Some(took) if took <= RESTART_MAX => {}
            Some(took) => {
                let took_ms = took.as_millis();
                findings.on_all(format!(
                    "shard {shard} served its first transfer {took_ms} ms after its start at {from} ({harm})"
                ));
            }
            None => findings.on_all(format!("shard {shard} served nothing after its start at {from} ({harm})")),
        }
    }
}

/// How many shards have served a transfer since then.
pub fn serving_since(population: &Population, history: &History, from: Moment) -> usize {
    let served = Served::new(population, history);
    (0..population.shards.len()).filter(|shard| served.first(*shard, from).is_some()).count()
}

/// When each shard has served a transfer: when it was asked for and when it was answered, in the order of asking.
struct Served(Vec<Vec<(Moment, Moment)>>);

impl Served {
    fn new(population: &Population, history: &History) -> Self {
        let mut served = vec![vec![]; population.shards.len()];
        for (_, request) in history.live() {
            let Some((debit, _)) = request.accounts() else { continue };
            let done = request.attempts.iter().filter(|attempt| is_new(attempt));
            served[population.account(debit).shard].extend(done.map(|attempt| (attempt.sent, attempt.answered)));
        }
        served.iter_mut().for_each(|calls: &mut Vec<(Moment, Moment)>| calls.sort_unstable());
        Self(served)
    }

    /// The first answer to what was asked for since then.
    fn first(&self, shard: usize, from: Moment) -> Option<Moment> {
        let calls = &self.0[shard];
        let since = &calls[calls.partition_point(|(sent, _)| *sent < from)..];
        since.iter().map(|(_, answered)| *answered).min()
    }

    /// From when the shard could have gone on, and how long its first transfer took from then. What another fault has
    /// held up counts from when that one was over.
    fn first_undisturbed(
        &self,
        scene: &Scene<'_>,
        by: Option<usize>,
        shard: usize,
        begin: Moment,
    ) -> (Moment, Option<Duration>) {
        let first = self.first(shard, begin).unwrap_or(begin.plus(RESTART_MAX));
        let from = scene.timeline.disturbed_until(by, shard, begin, first);
        (from, self.first(shard, from).map(|at| at.since(from)))
    }
}

/// Whether the shard has committed something for this call: what was decided before is only read.
fn is_new(attempt: &Attempt) -> bool {
    let done = matches!(attempt.answer, Answer::Said(Said { state: State::Posted | State::Reserved, .. }));
    done && attempt.how == How::Asked && !attempt.is_replay
}

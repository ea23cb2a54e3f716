//! How soon things go on after a fault.

use std::time::Duration;

use super::{Findings, Scene};
use crate::faults::clock::Moment;
use crate::faults::history::{Answer, History, Said, State};
use crate::population::Population;

/// From the start of a PostgreSQL to the first transfer served by its shard.
pub const RESTART_MAX: Duration = Duration::from_secs(10);

/// No saga is open 30 s after the heal.
pub fn sagas_closed(scene: &Scene<'_>, findings: &mut Findings) {
    findings.look();
    if scene.survey.sagas_closed_after.is_none() {
        for open in scene.survey.open.iter().filter(|open| !open.is_held) {
            let about = scene.history.live().find(|(_, request)| request.transfer() == Some(open.transfer));
            let what = format!("the saga of transfer {} is open 30 s after the heal", open.transfer);
            match about {
                Some((id, _)) => findings.on_request(id, what),
                None => findings.on_all(what),
            }
        }
        findings.on_all("some saga was open for all of the 30 s after the heal");
    }
}

/// A shard's first served transfer after a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// Of the fault.
    pub class: String,
    /// The fault in words.
    pub harm: String,
    /// Whether a PostgreSQL was started again.
    pub is_restart: bool,
    /// The shard, as a place.
    pub shard: usize,
    /// When the shard could have gone on.
    pub from: Moment,
    /// How long it took from there; none if nothing was served since.
    pub took: Option<Duration>,
}

/// Every shard's recovery from every fault that was felt there.
pub fn recoveries(scene: &Scene<'_>) -> Vec<Recovery> {
    let served = Served::new(scene.population, scene.history);
    let mut found = vec![];
    for (place, struck) in scene.timeline.struck.iter().enumerate() {
        for shard in struck.shards.iter().copied() {
            let restarted = struck.restarted.filter(|(of, _)| *of == shard).map(|(_, at)| at);
            let begin = restarted.unwrap_or(struck.ended);
            let first = served.first(shard, begin);
            // What another fault has held up counts from when that one was over.
            let from = scene.timeline.disturbed_until(place, shard, begin, first.unwrap_or(begin.plus(RESTART_MAX)));
            let took = served.first(shard, from).map(|at| at.since(from));
            found.push(Recovery {
                class: struck.class.clone(),
                harm: struck.harm.clone(),
                is_restart: restarted.is_some(),
                shard,
                from,
                took,
            });
        }
    }
    found
}

/// A shard serves again within 10 s of the start of its PostgreSQL.
pub fn restarts_in_time(scene: &Scene<'_>, findings: &mut Findings) {
    for recovery in recoveries(scene).into_iter().filter(|recovery| recovery.is_restart) {
        findings.look();
        let shard = recovery.shard + 1;
        match recovery.took {
            Some(took) if took <= RESTART_MAX => {}
            Some(took) => {
                let (took_ms, from) = (took.as_millis(), recovery.from);
                let what = format!("shard {shard} served its first transfer {took_ms} ms after its restart of {from}");
                findings.on_all(what);
            }
            None => findings.on_all(format!("shard {shard} served nothing after its restart at {}", recovery.from)),
        }
    }
}

/// How many shards have served a transfer since then.
pub fn serving_since(population: &Population, history: &History, from: Moment) -> usize {
    let served = Served::new(population, history);
    (0..population.shards.len()).filter(|shard| served.first(*shard, from).is_some()).count()
}

/// When each shard has served a transfer.
struct Served(Vec<Vec<Moment>>);

impl Served {
    fn new(population: &Population, history: &History) -> Self {
        let mut served = vec![vec![]; population.shards.len()];
        for (_, request) in history.live() {
            let Some((debit, _)) = request.accounts() else { continue };
            let is_done =
                |answer: &Answer| matches!(answer, Answer::Said(Said { state: State::Posted | State::Reserved, .. }));
            let done = request.attempts.iter().filter(|attempt| is_done(&attempt.answer));
            served[population.account(debit).shard].extend(done.map(|attempt| attempt.answered));
        }
        served.iter_mut().for_each(|moments: &mut Vec<Moment>| moments.sort_unstable());
        Self(served)
    }

    fn first(&self, shard: usize, from: Moment) -> Option<Moment> {
        let moments = &self.0[shard];
        moments.get(moments.partition_point(|moment| *moment < from)).copied()
    }
}

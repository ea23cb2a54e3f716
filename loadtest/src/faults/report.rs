//! What a run came to.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use super::checks::{self, Breach, Findings, Recovery};
use super::clock::Moment;
use super::history::History;
use super::points::CRASH_POINT;
use super::timeline::Timeline;
use super::told::Told;
use crate::harm::HarmClass;

/// What a long run, of 30 minutes or more, has to come to.
const FAULTS_MIN: u64 = 300;
const ACKNOWLEDGED_MIN: u64 = 100_000;

/// At least one fault comes, or is there, in any so many milliseconds of a round.
const QUIET_MAX_MS: u64 = 5_000;

/// All of it; also the JSON of `--report`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Repeats the run.
    pub seed: u64,
    /// How long it took, in seconds.
    pub seconds: u64,
    /// Rounds that were checked.
    pub rounds: u64,
    /// The classes that are drawn from.
    pub classes: Vec<String>,
    /// Faults by class.
    pub faults: BTreeMap<String, Fault>,
    /// Calls by kind and answer.
    pub calls: BTreeMap<String, BTreeMap<&'static str, u64>>,
    /// Requests under a key of their own.
    pub requests: u64,
    /// Transfers whose success was told.
    pub acknowledged: u64,
    /// Requests that some call left open, by what they came to.
    pub unknowns: BTreeMap<&'static str, u64>,
    /// Deaths by crash point.
    pub crash_points: BTreeMap<String, PointHits>,
    /// Things looked at, by check.
    pub checks: BTreeMap<&'static str, u64>,
    /// From a PostgreSQL's start to the first served transfer, in milliseconds.
    pub worst_restart_ms: u64,
    /// Every one of them.
    pub restarts: Vec<Restart>,
    /// The longest call that a living router answered, in milliseconds.
    pub worst_answer_ms: u64,
    /// The longest time that the suite itself stood still, in milliseconds.
    pub worst_stall_ms: u64,
    /// The longest time without any fault between the first and the last one of a round, in milliseconds.
    pub worst_quiet_ms: u64,
    /// From the heal to the end of the last saga, in milliseconds.
    pub worst_saga_ms: u64,
    /// What was to be done and was not.
    pub missed: Vec<String>,
    /// What the reader must know.
    pub notes: Vec<String>,
    /// What is wrong, first the one whose story is told.
    pub breaches: Vec<String>,
    /// The story.
    pub story: Option<String>,
    /// The command that repeats it.
    pub repeat: String,
    /// What clusters before the present one came to.
    #[serde(skip)]
    before: Counts,
}

/// What clients did.
#[derive(Debug, Clone, Default)]
struct Counts {
    calls: BTreeMap<String, BTreeMap<&'static str, u64>>,
    unknowns: BTreeMap<&'static str, u64>,
    requests: u64,
    acknowledged: u64,
}

/// A PostgreSQL that was started again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restart {
    /// What had happened to it.
    pub harm: String,
    /// The shard.
    pub shard: usize,
    /// When it was started, or the last other fault that its shard could feel was over, in microseconds of the run.
    pub from: Moment,
    /// From then to the first served transfer, in milliseconds.
    pub took_ms: u64,
}

/// A crash point.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PointHits {
    /// Whose work it is in.
    pub side: String,
    /// How often a process died there.
    pub hits: u64,
}

/// A class of faults.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Fault {
    /// How many there were.
    pub count: u64,
    /// From its end to the first transfer served by a shard that it was felt on, in milliseconds.
    pub worst_recovery_ms: u64,
}

impl Report {
    /// Nothing has happened yet.
    pub fn new(seed: u64, repeat: String) -> Self {
        Self { seed, repeat, ..Self::default() }
    }

    /// Takes in a round.
    pub fn add_round(&mut self, timeline: &Timeline, saga: Option<Duration>) {
        self.rounds += 1;
        for struck in &timeline.struck {
            self.faults.entry(struck.class.clone()).or_default().count += 1;
        }
        let stalls = timeline.stalls.iter().map(|(from, until)| millis(until.since(*from)));
        self.worst_stall_ms = self.worst_stall_ms.max(stalls.max().unwrap_or_default());
        if !timeline.struck.iter().any(|struck| struck.class == CRASH_POINT) {
            self.worst_quiet_ms = self.worst_quiet_ms.max(millis(timeline.longest_quiet()));
        }
        self.worst_saga_ms = self.worst_saga_ms.max(saga.map_or(0, millis));
    }

    /// Takes in how soon things went on in a round.
    pub fn add_recoveries(&mut self, recoveries: &[Recovery], restarts: &[checks::Restart], answer: Duration) {
        self.worst_answer_ms = self.worst_answer_ms.max(millis(answer));
        for Recovery { class, took } in recoveries {
            let Some(took_ms) = took.map(millis) else { continue };
            let fault = self.faults.entry(class.clone()).or_default();
            fault.worst_recovery_ms = fault.worst_recovery_ms.max(took_ms);
        }
        for checks::Restart { start, from, took } in restarts {
            let Some(took_ms) = took.map(millis) else { continue };
            self.worst_restart_ms = self.worst_restart_ms.max(took_ms);
            self.restarts.push(Restart { harm: start.harm.clone(), shard: start.shard + 1, from: *from, took_ms });
        }
    }

    /// Takes in what the checks of a round have looked at.
    pub fn add_checks(&mut self, findings: &[Findings]) {
        for finding in findings {
            *self.checks.entry(finding.check()).or_default() += finding.made;
        }
    }

    /// Takes in what the processes have told; what is wrong.
    pub fn add_told(&mut self, told: Told) -> Vec<Breach> {
        for (check, made) in told.looked_at {
            *self.checks.entry(check).or_default() += made;
        }
        told.breaches
    }

    /// Takes in what the clients of the present cluster did.
    pub fn count(&mut self, history: &History) {
        let Counts { mut calls, mut unknowns, requests, acknowledged } = self.before.clone();
        for ((kind, word), count) in &history.calls {
            *calls.entry((*kind).to_owned()).or_default().entry(word).or_default() += count;
        }
        for (word, count) in history.unknowns() {
            *unknowns.entry(word).or_default() += count;
        }
        (self.calls, self.unknowns) = (calls, unknowns);
        self.acknowledged = acknowledged + history.acknowledged;
        self.requests = requests + u64::try_from(history.len()).unwrap_or(u64::MAX);
    }

    /// Another cluster follows.
    pub fn next_cluster(&mut self) {
        self.before = Counts {
            calls: self.calls.clone(),
            unknowns: self.unknowns.clone(),
            requests: self.requests,
            acknowledged: self.acknowledged,
        };
    }

    /// Notes what a run did not do that it is for: `is_long` says that it had the time for all of it.
    pub fn judge(&mut self, is_long: bool, is_interrupted: bool) {
        let mut miss = |is_missed: bool, what: String| self.missed.extend(is_missed.then_some(what));
        miss(is_interrupted, "it was ended early".to_owned());
        let quiet = self.worst_quiet_ms;
        miss(quiet > QUIET_MAX_MS, format!("{quiet} ms without a fault, {QUIET_MAX_MS} ms at most were to be"));
        if is_long && !is_interrupted {
            let (faults, acknowledged) =
                (self.faults.values().map(|fault| fault.count).sum::<u64>(), self.acknowledged);
            miss(faults < FAULTS_MIN, format!("only {faults} faults, {FAULTS_MIN} were to be"));
            let few = format!("only {acknowledged} transfers acknowledged, {ACKNOWLEDGED_MIN} were to be");
            miss(acknowledged < ACKNOWLEDGED_MIN, few);
            // Of all there are: one that this machine cannot do was not looked at either.
            let all = HarmClass::ALL.iter().map(ToString::to_string);
            let absent: Vec<String> = all.filter(|class| !self.faults.contains_key(class)).collect();
            miss(!absent.is_empty(), format!("these faults never came: {}", absent.join(", ")));
        }
    }

    /// Takes in what is wrong.
    pub fn breached(&mut self, breaches: &[Breach], story: String) {
        self.breaches.extend(breaches.iter().map(|breach| format!("{}: {}", breach.check, breach.what)));
        self.story.get_or_insert_default().push_str(&story);
    }

    /// All faults together.
    pub fn faults(&self) -> u64 {
        self.faults.values().map(|fault| fault.count).sum()
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = format!(
            "seed {}, {} s, {} rounds, {} faults, {} requests, {} transfers acknowledged\n\n",
            self.seed,
            self.seconds,
            self.rounds,
            self.faults(),
            self.requests,
            self.acknowledged
        );
        let faults = self.faults.iter().map(|(class, fault)| {
            [class.clone(), fault.count.to_string(), format!("{} ms", fault.worst_recovery_ms)].to_vec()
        });
        text += &table(&["fault", "times", "worst recovery"], faults);
        let calls = self.calls.iter().map(|(kind, answers)| {
            let all: u64 = answers.values().sum();
            [kind.clone(), all.to_string(), words(answers)].to_vec()
        });
        text += &table(&["call", "times", "answers"], calls);
        if !self.crash_points.is_empty() {
            let points = self.crash_points.iter();
            let points =
                points.map(|(name, point)| [name.clone(), point.side.clone(), point.hits.to_string()].to_vec());
            text += &table(&["crash point", "side", "deaths"], points);
        }
        let checks = self.checks.iter().map(|(check, made)| [(*check).to_owned(), made.to_string()].to_vec());
        text += &table(&["check", "looked at"], checks);
        self.rest(&mut text).map_or_else(|_| String::new(), |()| text)
    }

    fn rest(&self, text: &mut String) -> std::fmt::Result {
        let unknowns: u64 = self.unknowns.values().sum();
        writeln!(text, "left open by some call: {unknowns} requests, which came to: {}", words(&self.unknowns))?;
        let restarts = self.restarts.len();
        writeln!(
            text,
            "worst: {} ms from one of {restarts} starts of a PostgreSQL to the first transfer,",
            self.worst_restart_ms
        )?;
        writeln!(text, "       {} ms for an answer of a living router,", self.worst_answer_ms)?;
        writeln!(text, "       {} ms from the heal to the end of the last saga,", self.worst_saga_ms)?;
        writeln!(text, "       {} ms without a fault between two of a round,", self.worst_quiet_ms)?;
        writeln!(text, "       {} ms that the suite itself stood still", self.worst_stall_ms)?;
        for missed in &self.missed {
            writeln!(text, "MISSED: {missed}")?;
        }
        for note in &self.notes {
            writeln!(text, "note: {note}")?;
        }
        if let Some(story) = &self.story {
            writeln!(text, "\n{} BREACHES; the story of the first:\n{story}", self.breaches.len())?;
            for breach in self.breaches.iter().take(20) {
                writeln!(text, "  {breach}")?;
            }
            writeln!(text, "\nto repeat it: {}", self.repeat)?;
        } else {
            writeln!(text, "no breach")?;
        }
        Ok(())
    }
}

fn words(counts: &BTreeMap<&'static str, u64>) -> String {
    counts.iter().map(|(word, count)| format!("{word} {count}")).collect::<Vec<_>>().join(", ")
}

fn table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.to_vec());
    rows.for_each(|row| {
        table.add_row(row);
    });
    format!("{table}\n\n")
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every class came once, and the first one as often as it takes to make so many.
    fn report(faults: u64, acknowledged: u64, worst_quiet_ms: u64) -> Report {
        let came = |class: HarmClass, count| (class.to_string(), Fault { count, worst_recovery_ms: 0 });
        let [first, others @ ..] = HarmClass::ALL;
        let rest = faults.saturating_sub(others.len() as u64);
        let faults = others.map(|class| came(class, 1)).into_iter().chain([came(first, rest)]).collect();
        Report { faults, acknowledged, worst_quiet_ms, ..Report::default() }
    }

    fn missed(mut report: Report, is_long: bool, is_interrupted: bool) -> Vec<String> {
        report.judge(is_long, is_interrupted);
        report.missed
    }

    #[test]
    fn long_run_that_did_too_little_is_told_so() {
        assert_eq!(missed(report(300, 100_000, 5_000), true, false), [""; 0]);
        for poor in [report(299, 100_000, 0), report(300, 99_999, 0), report(300, 100_000, 5_001)] {
            assert_eq!(missed(poor, true, false).len(), 1);
        }
        assert_eq!(missed(report(1, 1, 0), false, false), [""; 0]);
        assert_eq!(missed(report(1, 1, 0), false, true).len(), 1);
    }

    #[test]
    fn long_run_is_told_of_a_class_that_the_machine_cannot_do() {
        let without_root = || {
            let mut report = report(301, 100_000, 0);
            let possible = HarmClass::ALL.into_iter().filter(|class| *class != HarmClass::DiskFull);
            report.classes = possible.map(|class| class.to_string()).collect();
            report.faults.remove("disk full");
            report
        };
        assert_eq!(missed(without_root(), true, false), ["these faults never came: disk full"]);
        assert_eq!(missed(without_root(), false, false), [""; 0], "a short run has no time for all of them");
    }
}

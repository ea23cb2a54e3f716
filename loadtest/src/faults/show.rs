//! Progress: a live line on a terminal, one line a round elsewhere.

use std::cell::RefCell;
use std::io::IsTerminal;

use anyhow::Result;
use indicatif::ProgressBar;

use super::report::Report;
use super::world::World;
use crate::progress;

/// What is shown while a run goes on.
pub struct Show {
    line: ProgressBar,
    is_live: bool,
    round: RefCell<String>,
}

impl Show {
    /// Begins.
    ///
    /// # Errors
    /// The template cannot be read; it is fixed.
    pub fn new() -> Result<Self> {
        let is_live = std::io::stderr().is_terminal();
        Ok(Self { line: progress::line("")?, is_live, round: RefCell::default() })
    }

    /// Says what is done outside of rounds.
    pub fn say(&self, what: &str) {
        self.line.set_message(what.to_owned());
    }

    /// A round begins.
    pub fn round(&self, report: &Report) {
        let (round, faults, worst) = (report.rounds + 1, report.faults(), report.worst_restart_ms);
        *self.round.borrow_mut() = format!("round {round}, {faults} faults, worst restart {worst} ms");
    }

    /// Something happens in a round.
    pub fn now(&self, world: &World, what: &str) {
        let acknowledged = world.history.borrow().acknowledged;
        let open = world.history.borrow().live().filter(|(_, request)| request.is_open()).count();
        let round = self.round.borrow();
        self.line.set_message(format!("{round}, {acknowledged} acknowledged, {open} unknown: {what}"));
    }

    /// A round was checked.
    pub fn checked(&self, report: &Report, open: usize) {
        if self.is_live {
            return;
        }
        let unknown: u64 = report.unknowns.values().sum();
        eprintln!(
            "round {}: {} faults, {} acknowledged, {unknown} were unknown, {open} held, worst restart {} ms, worst answer \
             {} ms, worst saga {} ms",
            report.rounds,
            report.faults(),
            report.acknowledged,
            report.worst_restart_ms,
            report.worst_answer_ms,
            report.worst_saga_ms,
        );
    }

    /// The run is over.
    pub fn finish(&self) {
        self.line.finish_and_clear();
    }
}

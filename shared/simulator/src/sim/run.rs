//! A run from its seed to its verdict.

use super::cast::CastError;
use super::check::Breach;
use super::fault::{BAD_TIMES, GOOD_TIMES};
use super::simulation::Simulation;
use super::tally::Tally;
use crate::Bug;

/// What a run is made of.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// What everything follows from.
    pub seed: u64,
    /// How many requests clients begin with; what they hold leads to more.
    pub requests: usize,
    /// A mistake to be planted.
    pub bug: Option<Bug>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// The hash of everything that happened, line by line.
    pub trace: u64,
    /// Events.
    pub events: u64,
    /// What occurred how often.
    pub tally: Tally,
    /// Requests of clients, follow-ups included.
    pub requests: usize,
    /// What was broken, if anything.
    pub breach: Option<Breach>,
}

/// Runs a seed.
///
/// # Errors
/// The simulation's constants do not fit: a defect.
pub fn run(options: Options) -> Result<Report, CastError> {
    Ok(play(options, false)?.report())
}

/// Runs a seed again and tells what concerns the transfer or the requests of its breach.
///
/// # Errors
/// The simulation's constants do not fit: a defect.
pub fn story(options: Options) -> Result<Vec<String>, CastError> {
    let simulation = play(options, true)?;
    Ok(match &simulation.breach {
        Some(breach) => {
            let about =
                |request: &super::request::Request| breach.transfer.is_some() && request.transfer == breach.transfer;
            let concerned = simulation.requests.iter().enumerate().filter(|(_, request)| about(request));
            let requests: Vec<usize> = concerned.map(|(number, _)| number).chain(breach.requests.clone()).collect();
            simulation.trace.story(breach.transfer, &requests)
        }
        None => Vec::new(),
    })
}

fn play(options: Options, keeps_trace: bool) -> Result<Simulation, CastError> {
    let mut simulation = Simulation::new(options, keeps_trace)?;
    let end = BAD_TIMES + 2 * GOOD_TIMES;
    while simulation.step(end) {}
    if simulation.breach.is_none() {
        simulation.check_end();
    }
    Ok(simulation)
}

impl Simulation {
    fn report(self) -> Report {
        Report {
            seed: self.options.seed,
            trace: self.trace.hash(),
            events: self.agenda.count(),
            tally: self.tally,
            requests: self.requests.len(),
            breach: self.breach,
        }
    }
}

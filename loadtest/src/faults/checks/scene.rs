//! Everything a check looks at, and the entries by request.

use std::collections::HashMap;

use crate::faults::history::{History, RequestId};
use crate::faults::survey::{Line, Survey};
use crate::faults::timeline::Timeline;
use crate::population::Population;

/// What a check looks at.
pub struct Scene<'a> {
    /// Who takes part.
    pub population: &'a Population,
    /// What was asked and answered.
    pub history: &'a History,
    /// What is there.
    pub survey: &'a Survey,
    /// What was done to the cluster.
    pub timeline: &'a Timeline,
    lines: HashMap<RequestId, Vec<&'a Line>>,
}

/// The entries of one request on one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side<'a> {
    /// The one that an earlier check found.
    pub before: Option<i64>,
    /// The new ones.
    pub new: Vec<&'a Line>,
}

impl Side<'_> {
    /// How many there are.
    pub fn count(&self) -> usize {
        usize::from(self.before.is_some()) + self.new.len()
    }
}

impl<'a> Scene<'a> {
    /// Puts it together.
    pub fn new(population: &'a Population, history: &'a History, survey: &'a Survey, timeline: &'a Timeline) -> Self {
        let mut lines: HashMap<RequestId, Vec<&Line>> = HashMap::new();
        for line in &survey.lines {
            if let Some(request) = line.request {
                lines.entry(request).or_default().push(line);
            }
        }
        Self { population, history, survey, timeline, lines }
    }

    /// The entries of a request on its debit side, or on its credit side.
    pub fn side(&self, id: RequestId, is_debit: bool) -> Side<'a> {
        let booked = self.history.get(id).booked;
        let before = if is_debit { booked.debit } else { booked.credit };
        let new = self.lines.get(&id).into_iter().flatten().copied();
        Side { before, new: new.filter(|line| line.is_debit == is_debit).collect() }
    }

    /// Both sides, the debit first.
    pub fn sides(&self, id: RequestId) -> [Side<'a>; 2] {
        [self.side(id, true), self.side(id, false)]
    }

    /// Whether the debit shard still holds the amount of the request.
    pub fn is_held(&self, id: RequestId) -> bool {
        let transfer = self.history.get(id).transfer();
        self.survey.open.iter().any(|open| open.is_held && Some(open.transfer) == transfer)
    }
}

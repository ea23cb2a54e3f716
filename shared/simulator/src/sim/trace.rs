//! What happened, line by line: hashed always, kept only when a story is to be told.

use placement::TransferId;
use std::fmt::Write;
use xxhash_rust::xxh3::Xxh3;

/// The record of a run.
pub(super) struct Trace {
    hash: Xxh3,
    lines: Option<Vec<Line>>,
    text: String,
}

/// One thing that happened.
#[derive(Debug, Clone)]
struct Line {
    concerns: Option<TransferId>,
    request: Option<usize>,
    text: String,
}

impl Trace {
    /// `keeps`: whether the lines are wanted, not only their hash.
    pub fn new(keeps: bool) -> Trace {
        Trace { hash: Xxh3::new(), lines: keeps.then(Vec::new), text: String::new() }
    }

    /// Notes what happened at a time, in microseconds from the beginning.
    pub fn note(
        &mut self,
        at: i64,
        concerns: Option<TransferId>,
        request: Option<usize>,
        what: std::fmt::Arguments<'_>,
    ) {
        self.text.clear();
        // Writing to a String cannot fail.
        if write!(self.text, "{:>6}.{:03} ms  {what}", at / 1_000, at % 1_000).is_ok() {
            self.hash.update(self.text.as_bytes());
        }
        if let Some(lines) = &mut self.lines {
            lines.push(Line { concerns, request, text: self.text.clone() });
        }
    }

    /// The hash of every line so far.
    pub fn hash(&self) -> u64 {
        self.hash.digest()
    }

    /// The lines about a transfer and those requests, and what happened to shards and nodes meanwhile.
    pub fn story(&self, transfer: Option<TransferId>, requests: &[usize]) -> Vec<String> {
        let lines = self.lines.iter().flatten();
        let concerned = lines.filter(|line| match (line.concerns, line.request) {
            (None, None) => true,
            (Some(id), _) if Some(id) == transfer => true,
            (_, Some(request)) => requests.contains(&request),
            (Some(_), None) => false,
        });
        concerned.map(|line| line.text.clone()).collect()
    }
}

//! What a run came to, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use crate::load::Ran;
use crate::measure::{Counts, Kind, Latency, Second};
use crate::proof::Verdict;

/// The result of `loadtest run`.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Begins the names of the run's users and keys.
    pub run: String,
    /// How the requests were sent.
    pub loop_kind: LoopKind,
    /// Requests a second that were asked for, in an open loop.
    pub rate: Option<f64>,
    /// Connections.
    pub clients: usize,
    /// Accounts that took part.
    pub accounts: usize,
    /// Draws the same requests again.
    pub seed: u64,
    /// From the first request to the last answer.
    pub elapsed_seconds: f64,
    /// Reads answered in a second.
    pub reads_per_second: f64,
    /// Transfers answered for good in a second.
    pub transfers_per_second: f64,
    /// Answers by sort.
    pub counts: Counts,
    /// Requests of an open loop that were due and never sent.
    pub missed: u64,
    /// By kind of request.
    pub latency: BTreeMap<&'static str, Latency>,
    /// Refusals and failures by code.
    pub codes: BTreeMap<String, u64>,
    /// Second by second.
    pub seconds: Vec<Second>,
    /// Whether no money was made or lost.
    pub proof: Verdict,
}

/// How requests are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LoopKind {
    /// Each client waits for an answer before it sends again.
    Closed,
    /// At a rate, whatever the answers do; latency counts from the time a request was meant to be sent.
    Open,
}

/// What of a summary the options decided.
#[derive(Debug, Clone)]
pub struct Terms {
    /// See [`Summary::run`].
    pub run: String,
    /// See [`Summary::rate`].
    pub rate: Option<f64>,
    /// See [`Summary::clients`].
    pub clients: usize,
    /// See [`Summary::accounts`].
    pub accounts: usize,
    /// See [`Summary::seed`].
    pub seed: u64,
}

impl Summary {
    /// Puts together what was measured and what was proved.
    pub fn new(terms: Terms, ran: &Ran, proof: Verdict) -> Self {
        let seconds = ran.elapsed.as_secs_f64();
        let counts = ran.measures.counts();
        let latency = Kind::ALL.map(|kind| (kind.name(), ran.measures.latency(kind)));
        Self {
            run: terms.run,
            loop_kind: if terms.rate.is_some() { LoopKind::Open } else { LoopKind::Closed },
            rate: terms.rate,
            clients: terms.clients,
            accounts: terms.accounts,
            seed: terms.seed,
            elapsed_seconds: seconds,
            reads_per_second: counts.reads as f64 / seconds,
            transfers_per_second: ran.measures.transfers() as f64 / seconds,
            counts,
            missed: ran.missed,
            latency: latency.into_iter().filter(|(_, latency)| latency.count > 0).collect(),
            codes: ran.measures.codes().clone(),
            seconds: ran.measures.seconds().to_vec(),
            proof,
        }
    }

    /// Whether the proof is complete: every outcome is known, and nothing is wrong.
    pub fn is_proved(&self) -> bool {
        self.proof.holds && self.proof.unknown == 0 && self.proof.pending == 0
    }

    /// The summary as text.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{:.0} reads/s, {:.0} transfers/s over {:.1} s\n",
            self.reads_per_second, self.transfers_per_second, self.elapsed_seconds
        );
        self.add(&mut text).map_or_else(|_| String::new(), |()| text)
    }

    /// Writing to a string does not fail.
    fn add(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "{}", latency_table(&self.latency))?;
        let Counts { posted, pending, refused, failures, .. } = self.counts;
        writeln!(
            text,
            "transfers: {posted} posted at once, {pending} first pending, {refused} refused; {failures} failures"
        )?;
        for (code, count) in &self.codes {
            writeln!(text, "  {count:>8}  {code}")?;
        }
        if self.missed > 0 {
            writeln!(text, "{} requests were due and never sent: every client was waiting", self.missed)?;
        }
        write!(text, "{}", self.proof_text())
    }

    fn proof_text(&self) -> String {
        let Verdict { accounts, entries, posted, unknown, pending, deposited, found, breaches, first, .. } =
            &self.proof;
        if !self.proof.holds {
            return format!("proof: BROKEN in {breaches} places\n  {}", first.join("\n  "));
        }
        let looked = format!("{accounts} accounts, {entries} entries: ");
        if !self.is_proved() {
            return format!(
                "proof: not complete, {unknown} transfers without an answer, {pending} pending; {looked}no breach"
            );
        }
        format!(
            "proof: holds; {looked}each of {posted} transfers is there once, {deposited} deposited and {found} found"
        )
    }
}

/// A table of latencies by kind of request, in the order of [`Kind::ALL`]; what else there is comes after that.
pub fn latency_table(latencies: &BTreeMap<&'static str, Latency>) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["", "count", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms"]);
    let place = |name: &str| Kind::ALL.iter().position(|kind| kind.name() == name).unwrap_or(Kind::ALL.len());
    let mut rows: Vec<_> = latencies.iter().collect();
    rows.sort_by_key(|(name, _)| place(name));
    for (name, latency) in rows {
        let Latency { count, p50_ms, p90_ms, p99_ms, p999_ms, max_ms } = latency;
        let mut row = vec![(*name).to_owned(), count.to_string()];
        row.extend([p50_ms, p90_ms, p99_ms, p999_ms, max_ms].map(|ms| format!("{ms:.2}")));
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

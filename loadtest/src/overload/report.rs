//! What it came to, and whether that is good enough.

use std::fmt::Write;

use serde::Serialize;

use super::RoutersOn;
use super::best::Best;
use super::flood::{Flood, Terms};
use super::place::Description;
use super::recovery::Recovery;
use super::repeats::Repeats;
use super::tally::Cpu;
use crate::measure::Latency;
use crate::proof::Verdict;

/// Of the best rate, so much must be left.
const SHARE_MIN: f64 = 0.9;
/// After the load, no longer than this, in seconds.
const RECOVERY_MAX: f64 = 5.0;
/// What "at once" is taken to mean: nine of ten refusals come within the first, 99 of 100 within the second, in
/// milliseconds. Most are the router's; the others have gone to a shard whose core has three times too much to do.
const REFUSED_P90_MAX_MS: f64 = 100.0;
const REFUSED_P99_MAX_MS: f64 = 1_000.0;
/// Of what was to be offered, so much must have been.
const OFFERED_MIN: f64 = 0.99;

/// All of it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether this program was built with --release.
    pub release: bool,
    /// The wallet.
    pub wallet: Description,
    /// The most it can carry.
    pub best: Best,
    /// Requests that were to be sent in a second.
    pub wanted_per_second: f64,
    /// How long, in seconds, without the time before it counted.
    pub seconds: f64,
    /// What came of too much.
    pub flood: Flood,
    /// What was accepted, as a share of the best.
    pub share_of_best: f64,
    /// What came after.
    pub recovery: Recovery,
    /// What was sent again.
    pub repeats: Repeats,
    /// Whether no money was made or lost.
    pub proof: Verdict,
    /// What was not good enough.
    pub missed_targets: Vec<String>,
}

impl Report {
    /// Puts it together and compares it with the targets.
    pub fn new(
        wallet: Description,
        best: Best,
        terms: &Terms,
        flood: Flood,
        recovery: Recovery,
        repeats: Repeats,
        proof: Verdict,
    ) -> Self {
        let mut report = Self {
            release: !cfg!(debug_assertions),
            wallet,
            wanted_per_second: terms.per_second,
            seconds: terms.length.as_secs_f64(),
            share_of_best: flood.accepted_per_second / best.per_second,
            best,
            flood,
            recovery,
            repeats,
            proof,
            missed_targets: vec![],
        };
        report.missed_targets = report.compare();
        report
    }

    fn compare(&self) -> Vec<String> {
        let Self { flood, recovery, repeats, proof, .. } = self;
        let others: u64 = flood.others.values().sum();
        let recovered = recovery.seconds.is_some_and(|seconds| seconds <= RECOVERY_MAX);
        let proved = proof.holds && proof.unknown == 0 && proof.pending == 0;
        let targets = [
            (
                flood.offered_per_second >= OFFERED_MIN * self.wanted_per_second,
                format!("offered {:.0}/s of {:.0}/s", flood.offered_per_second, self.wanted_per_second),
            ),
            (
                self.share_of_best >= SHARE_MIN,
                format!("kept {:.1} % of the best rate, not {:.0} %", 100.0 * self.share_of_best, 100.0 * SHARE_MIN),
            ),
            (others == 0, format!("{others} were neither decided nor refused with 503 and Retry-After")),
            (
                flood.refused_at_once.p90_ms <= REFUSED_P90_MAX_MS,
                format!("p90 of refusals {:.0} ms, not {REFUSED_P90_MAX_MS} ms", flood.refused_at_once.p90_ms),
            ),
            (
                flood.refused_at_once.p99_ms <= REFUSED_P99_MAX_MS,
                format!("p99 of refusals {:.0} ms, not {REFUSED_P99_MAX_MS} ms", flood.refused_at_once.p99_ms),
            ),
            (recovered, format!("not recovered within {RECOVERY_MAX} s")),
            (repeats.decided == repeats.refused_before, "a repeat of a refused transfer has no answer".to_owned()),
            (proved, "the proof is not complete".to_owned()),
        ];
        targets.into_iter().filter(|(met, _)| !met).map(|(_, what)| what).collect()
    }

    /// As text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        self.write(&mut text).map_or_else(|_| String::new(), |()| text)
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let Self { wallet, best, flood, recovery, repeats, proof, .. } = self;
        write!(text, "{} router(s), {} shard(s)", wallet.routers, wallet.shards)?;
        match &wallet.cores {
            Some(cores) => {
                let (load, shards) = match wallet.routers_on {
                    RoutersOn::CoreOfLoad => ("load and routers", "shards"),
                    RoutersOn::CoreOfShards => ("load", "routers and shards"),
                };
                writeln!(text, "; {load} on core {}, {shards} on {:?}", cores.load, cores.wallet)?;
            }
            None => writeln!(text, "; load and wallet are not kept apart")?,
        }
        let tried = best.tried.iter().map(|(clients, rate)| format!("{clients}: {rate:.0}"));
        writeln!(text, "best, closed loop: {:.0} transfers/s with {} clients", best.per_second, best.clients)?;
        writeln!(text, "  tried (clients: transfers/s): {}", tried.collect::<Vec<_>>().join(", "))?;
        writeln!(text, "  CPU a transfer: {}", cpu_text(&best.cpu_us, "us"))?;
        writeln!(text, "open loop: {:.0}/s for {:.0} s", self.wanted_per_second, self.seconds)?;
        writeln!(
            text,
            "  over {} connections; offered {:.0}/s, {} never sent",
            flood.connections, flood.offered_per_second, flood.never_sent
        )?;
        writeln!(
            text,
            "  accepted {:.0}/s = {:.1} % of the best: {}",
            flood.accepted_per_second,
            100.0 * self.share_of_best,
            latency_text(&flood.accepted)
        )?;
        writeln!(
            text,
            "  refused with 503 and Retry-After {:.0}/s: {}",
            flood.refused_per_second,
            latency_text(&flood.refused_at_once)
        )?;
        writeln!(text, "  other endings: {:?}", flood.others)?;
        writeln!(text, "  CPU an accepted transfer: {}", cpu_text(&flood.cpu_us, "us"))?;
        let percent: Cpu = flood.cpu_share.iter().map(|(name, share)| (*name, 100.0 * share)).collect();
        writeln!(text, "  CPU of a core: {}", cpu_text(&percent, "%"))?;
        let after = recovery.seconds.map_or("not within 10 s".to_owned(), |seconds| format!("{seconds:.2} s"));
        writeln!(
            text,
            "recovered after: {after} ({} bad probes; usual {:.1} ms, slow from {:.1} ms)",
            recovery.bad, recovery.usual_ms, recovery.slow_ms
        )?;
        writeln!(
            text,
            "sent again: {} of {} refused ones decided with the same key; {} of {} unknown ones resolved",
            repeats.decided,
            repeats.refused_before,
            repeats.unknown_before - repeats.unknown,
            repeats.unknown_before
        )?;
        writeln!(text, "{}", proof_text(proof))?;
        match self.missed_targets.is_empty() {
            true => write!(text, "all targets met"),
            false => write!(text, "MISSED: {}", self.missed_targets.join("; ")),
        }
    }
}

fn latency_text(latency: &Latency) -> String {
    let Latency { p50_ms, p90_ms, p99_ms, max_ms, .. } = latency;
    format!("p50 {p50_ms:.1} ms, p90 {p90_ms:.1} ms, p99 {p99_ms:.1} ms, max {max_ms:.1} ms")
}

fn cpu_text(cpu: &Cpu, unit: &str) -> String {
    let parts = cpu.iter().map(|(name, value)| format!("{name} {value:.0} {unit}"));
    parts.collect::<Vec<_>>().join(", ")
}

fn proof_text(proof: &Verdict) -> String {
    let Verdict { accounts, entries, posted, deposited, found, breaches, .. } = proof;
    if !proof.holds {
        return format!("proof: BROKEN in {breaches} places\n  {}", proof.first.join("\n  "));
    }
    format!(
        "proof: holds; {accounts} accounts, {entries} entries: each of {posted} transfers is there once, no refused one \
         is; {deposited} deposited and {found} found; {} unknown, {} pending",
        proof.unknown, proof.pending
    )
}

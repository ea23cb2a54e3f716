//! An account's history explains its balance.

use std::collections::HashMap;

use super::{Findings, Scene};
use crate::faults::survey::Line;

/// Entries go on from the last check without a gap, each balance follows from the one before, none is negative, and the
/// last one is the account's.
pub fn gapless(scene: &Scene<'_>, findings: &mut Findings) {
    let shown = by_account(&scene.survey.shown);
    for ((place, now), known) in (0..).zip(&scene.survey.accounts).zip(&scene.history.accounts) {
        let (mut entry, mut balance) = (known.entries, known.balance);
        for line in shown.get(&place).into_iter().flatten() {
            findings.look();
            if line.entry != entry + 1 {
                let what = format!("entry {} should come, and {} does", entry + 1, line.entry);
                findings.on_entry(place, line.request, what);
            }
            let moved = if line.is_debit { -line.amount } else { line.amount };
            let expected = balance.saturating_add(moved);
            if line.balance != expected {
                let found = line.balance;
                let what = format!("the balance after entry {} should be {expected} and is {found}", line.entry);
                findings.on_entry(place, line.request, what);
            }
            if line.balance < 0 {
                findings.on_entry(place, line.request, format!("the balance is negative after entry {}", line.entry));
            }
            (entry, balance) = (line.entry, line.balance);
        }
        if now.balance != balance || now.entries != entry {
            let what = format!(
                "its history ends at entry {entry} with {balance}, the account has {} and {}",
                now.entries, now.balance
            );
            findings.on_account(place, what);
        }
    }
}

/// The API shows the entries that are in the database, and no others.
pub fn shown_as_booked(scene: &Scene<'_>, findings: &mut Findings) {
    let (shown, booked) = (by_account(&scene.survey.shown), by_account(&scene.survey.lines));
    for place in (0..).take(scene.survey.accounts.len()) {
        let (shown, booked) = (shown.get(&place), booked.get(&place));
        let count = |lines: Option<&Vec<&Line>>| lines.map_or(0, Vec::len);
        findings.made += u64::try_from(count(booked)).unwrap_or(u64::MAX);
        if count(shown) != count(booked) {
            let what = format!("{} new entries are booked, {} are shown", count(booked), count(shown));
            findings.on_account(place, what);
        }
        let pairs = shown.into_iter().flatten().zip(booked.into_iter().flatten());
        for (shown, booked) in pairs.filter(|(shown, booked)| shown != booked) {
            let what = format!("entry {} is shown as {shown:?} and is {booked:?}", booked.entry);
            findings.on_entry(place, booked.request, what);
        }
    }
}

fn by_account(lines: &[Line]) -> HashMap<u32, Vec<&Line>> {
    let mut found: HashMap<u32, Vec<&Line>> = HashMap::new();
    for line in lines {
        found.entry(line.account).or_default().push(line);
    }
    found
}

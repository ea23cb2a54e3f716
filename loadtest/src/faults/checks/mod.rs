//! What must hold after each round, as pure functions over the history, the survey and the faults' times.

mod answered;
mod books;
mod expected;
mod histories;
mod keys;
mod outcomes;
mod reads;
mod recovery;
mod scene;
mod totals;
mod two_step;
mod visible;

#[cfg(test)]
mod tests;

pub use answered::worst as worst_answer;
pub use recovery::{Recovery, Restart, SAGAS_MAX, recoveries, restarts, serving_since};
pub use scene::Scene;

use super::history::RequestId;

/// Something that must never be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// The check that found it.
    pub check: &'static str,
    /// The request it shows on.
    pub request: Option<RequestId>,
    /// The account it shows on, as a place.
    pub account: Option<u32>,
    /// What is wrong.
    pub what: String,
}

/// What one check has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    check: &'static str,
    /// How many things were looked at.
    pub made: u64,
    /// What is wrong with them.
    pub breaches: Vec<Breach>,
}

impl Findings {
    /// Counts a thing that is looked at.
    fn look(&mut self) {
        self.made += 1;
    }

    fn on_request(&mut self, request: RequestId, what: impl Into<String>) {
        self.breaches.push(Breach { check: self.check, request: Some(request), account: None, what: what.into() });
    }

    fn on_account(&mut self, account: u32, what: impl Into<String>) {
        self.breaches.push(Breach { check: self.check, request: None, account: Some(account), what: what.into() });
    }

    /// On an account, and on the request that is behind it, where one is known.
    fn on_entry(&mut self, account: u32, request: Option<RequestId>, what: impl Into<String>) {
        self.breaches.push(Breach { check: self.check, request, account: Some(account), what: what.into() });
    }

    fn on_all(&mut self, what: impl Into<String>) {
        self.breaches.push(Breach { check: self.check, request: None, account: None, what: what.into() });
    }
}

/// A check.
pub type Check = fn(&Scene<'_>, &mut Findings);

/// Every check by its name.
pub const CHECKS: &[(&str, Check)] = &[
    ("acknowledged_once", outcomes::acknowledged_once),
    ("rejected_never", outcomes::rejected_never),
    ("unknown_resolved", outcomes::unknown_resolved),
    ("one_outcome", outcomes::one_outcome),
    ("rows_agree", outcomes::rows_agree),
    ("same_answer", keys::same_answer),
    ("altered_refused", keys::altered_refused),
    ("answers_expected", expected::answers_expected),
    ("two_step_one_winner", two_step::one_winner),
    ("two_step_amounts", two_step::amounts),
    ("two_step_expires", two_step::expires),
    ("lines_explained", books::lines_explained),
    ("histories_gapless", histories::gapless),
    ("histories_shown", histories::shown_as_booked),
    ("reads_possible", reads::possible),
    ("total_kept", totals::kept),
    ("routers_agree", totals::routers_agree),
    ("writes_visible", visible::writes_visible),
    ("sagas_closed", recovery::sagas_closed),
    ("restarts_in_time", recovery::restarts_in_time),
    ("answered_in_time", answered::in_time),
    ("audit", totals::audit),
];

/// Runs all checks.
pub fn run(scene: &Scene<'_>) -> Vec<Findings> {
    let checked = CHECKS.iter().map(|(name, check)| {
        let mut findings = Findings { check: name, made: 0, breaches: vec![] };
        check(scene, &mut findings);
        findings
    });
    checked.collect()
}

impl Findings {
    /// The check's name.
    pub fn check(&self) -> &'static str {
        self.check
    }
}

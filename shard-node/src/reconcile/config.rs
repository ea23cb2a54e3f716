//! `[reconcile]`.

use runtime::config::Fields;
use std::time::Duration;

/// How often, and how much.
#[derive(Debug, Clone)]
pub struct ReconcileConfig {
    /// From the start of one pass to the start of the next.
    pub interval: Duration,
    /// What was decided longer ago is left to `walletctl verify`.
    pub recent: Duration,
    /// Recent transfers compared in one pass, the newest of them; those decided since the last pass always are.
    pub transfers_max: i64,
    /// Whether a process that has just been started compares before it takes commands.
    pub compare_at_start: bool,
    /// How long after the first look a suspected drift is looked at again before it is reported.
    pub confirm_after: Duration,
}

impl ReconcileConfig {
    /// Reads the section; what is wrong is noted in `fields`.
    pub fn read(fields: &mut Fields) -> Self {
        ReconcileConfig {
            interval: Duration::from_secs(fields.in_range("reconcile.interval_seconds", 30, 1..=300)),
            recent: Duration::from_secs(fields.in_range("reconcile.recent_seconds", 3_600, 60..=86_400)),
            transfers_max: fields.in_range("reconcile.transfers_max", 20_000, 1_000..=1_000_000),
            compare_at_start: fields.optional("reconcile.compare_at_start", true),
            confirm_after: fields.millis("reconcile.confirm_after_ms", 3_000, 100..=10_000),
        }
    }
}

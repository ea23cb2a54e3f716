//! One live line on a terminal; nothing where there is none.

use std::time::Duration;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

use crate::measure::Second;

/// A bar that fills up to `length` steps.
pub fn bar(what: &'static str, length: usize) -> Result<ProgressBar> {
    let bar = ProgressBar::new(u64::try_from(length)?);
    bar.set_style(ProgressStyle::with_template("{msg} {bar:30} {human_pos}/{human_len}")?);
    bar.set_message(what);
    Ok(bar)
}

/// A line of text that is written anew with each second.
pub fn line(text: impl Into<String>) -> Result<ProgressBar> {
    let line = ProgressBar::new_spinner();
    line.set_style(ProgressStyle::with_template("{spinner} {msg}")?);
    line.set_message(text.into());
    line.enable_steady_tick(Duration::from_millis(250));
    Ok(line)
}

/// What happened in a second, in one line.
pub fn describe(second: &Second, elapsed: Duration, duration: Duration) -> String {
    let Second { reads, transfers, failures, reads_p99_ms, transfers_p50_ms, transfers_p99_ms, .. } = second;
    format!(
        "{} of {} s   {reads} reads/s, p99 {reads_p99_ms:.1} ms   {transfers} transfers/s, p50 {transfers_p50_ms:.1} ms, \
         p99 {transfers_p99_ms:.1} ms   {failures} failures",
        elapsed.as_secs(),
        duration.as_secs(),
    )
}

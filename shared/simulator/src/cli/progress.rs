//! One live line on a terminal; nothing where there is none.

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// A line of text on stderr that is written anew as work goes on.
pub fn line(text: impl Into<String>) -> Result<ProgressBar> {
    let line = ProgressBar::new_spinner();
    line.set_style(ProgressStyle::with_template("{spinner} {msg}  {elapsed}")?);
    line.set_message(text.into());
    line.enable_steady_tick(Duration::from_millis(250));
    Ok(line)
}

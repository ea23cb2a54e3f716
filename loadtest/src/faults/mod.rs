//! `loadtest faults`: hurts a real local cluster under load, heals it, and checks that the wallet kept its word.
//!
//! - [`history`] is what the clients asked and were told, [`survey`] what the databases and the API say afterwards;
//! - [`checks`] compares the two; each check is a pure function with tests that show it failing;
//! - [`workload`] is the clients, [`plan`] the faults, both drawn from the seed; [`round`] brings them together.

mod checks;
mod clock;
mod history;
mod logs;
mod options;
mod plan;
mod planted;
mod points;
mod report;
mod resolve;
mod round;
mod show;
mod story;
mod strike;
mod suite;
mod survey;
mod timeline;
mod told;
mod workload;
mod world;

use std::cell::Cell;

use anyhow::{Context, Result};

pub use options::FaultsOptions;

use crate::Outcome;

/// Runs the command.
///
/// # Errors
/// The cluster cannot be started, hurt, healed or read.
pub async fn faults(options: FaultsOptions) -> Result<Outcome> {
    let seed = options.seed.unwrap_or_else(rand::random);
    println!("seed {seed}");
    let is_interrupted = Cell::new(false);
    if options.is_planting() {
        return tokio::select! {
            outcome = planted::run(&options, seed, &is_interrupted) => outcome,
            () = suite::interrupted(&is_interrupted) => Ok(Outcome::Failed),
        };
    }
    let report = tokio::select! {
        report = suite::run(&options, seed, &is_interrupted) => report?,
        () = suite::interrupted(&is_interrupted) => return Ok(Outcome::Failed),
    };
    println!("{}", report.text());
    if let Some(path) = &options.report {
        let json = serde_json::to_vec_pretty(&report)?;
        std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(match (report.breaches.is_empty(), report.missed.is_empty()) {
        (false, _) => Outcome::Breach,
        (true, false) => Outcome::Failed,
        (true, true) => Outcome::Fine,
    })
}

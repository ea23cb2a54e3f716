//! The best rate: what a closed loop brings through, with the number of clients that brings most.

use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;
use indicatif::ProgressBar;
use serde::Serialize;

use super::ground::Ground;
use super::place::Place;
use super::tally::{Cpu, cpu_of};
use super::{PATIENCE, TIMEOUT};
use crate::load::{Load, Pressure, Ran};

/// Numbers of clients that are tried.
const CLIENTS: [usize; 5] = [64, 128, 256, 512, 1024];
/// How long each runs before it counts, in seconds.
const WARMUP: u64 = 1;

/// The best rate.
#[derive(Debug, Clone, Serialize)]
pub struct Best {
    /// Transfers answered for good in a second.
    pub per_second: f64,
    /// The clients that it was reached with.
    pub clients: usize,
    /// Every number of clients that was tried, and its rate.
    pub tried: Vec<(usize, f64)>,
    /// CPU time of each part, in microseconds a transfer.
    pub cpu_us: Cpu,
}

/// Tries numbers of clients, each for so many seconds, and the best of them once more.
///
/// # Errors
/// An answer has an unknown form, or a process is gone.
pub async fn find(ground: &Ground, place: &Place, seconds: u64, line: &ProgressBar) -> Result<Best> {
    let load = Rc::new(Load::new(ground.population.clone(), ground.mix, ground.run.clone())?);
    let mut best = Best { per_second: 0.0, clients: 0, tried: vec![], cpu_us: Cpu::new() };
    for clients in CLIENTS {
        line.set_message(format!("looking for the best rate: {clients} clients"));
        try_out(&load, place, clients, seconds, &mut best).await?;
    }
    line.set_message(format!("the best rate once more: {} clients", best.clients));
    try_out(&load, place, best.clients, 2 * seconds, &mut best).await?;
    ground.journal.replace(load.take_journal());
    Ok(best)
}

async fn try_out(load: &Rc<Load>, place: &Place, clients: usize, seconds: u64, best: &mut Best) -> Result<()> {
    run(load, clients, WARMUP).await?;
    let before = place.cpu()?;
    let ran = run(load, clients, seconds).await?;
    let cpu = place.cpu_since(&before)?;
    let transfers = ran.measures.transfers();
    let per_second = transfers as f64 / ran.elapsed.as_secs_f64();
    best.tried.push((clients, per_second));
    if per_second > best.per_second {
        (best.per_second, best.clients, best.cpu_us) = (per_second, clients, cpu_of(&cpu, transfers));
    }
    Ok(())
}

async fn run(load: &Rc<Load>, clients: usize, seconds: u64) -> Result<Ran> {
    let duration = Duration::from_secs(seconds);
    let pressure =
        Pressure { clients, rate: None, duration, timeout: TIMEOUT, patience: PATIENCE, seed: rand::random() };
    load.run(&pressure).await
}

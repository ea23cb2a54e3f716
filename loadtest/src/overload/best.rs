//! The best rate: what a closed loop brings through, with the number of clients that brings most.

use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;
use indicatif::ProgressBar;
use serde::Serialize;
use tokio::time::Instant;

use super::ground::Ground;
use super::place::Place;
use super::tally::{Cpu, cpu_of};
use super::{PATIENCE, TIMEOUT};
use crate::load::{Load, Pressure, Ran};

/// Numbers of clients that are tried.
const CLIENTS: [usize; 6] = [64, 128, 256, 512, 1024, 2048];
/// How long each runs before it counts, in seconds.
const WARMUP: u64 = 2;

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

/// Tries numbers of clients, each for so many seconds, and takes what the best of them brings for `lasting` seconds.
///
/// # Errors
/// An answer has an unknown form, or a process is gone.
pub async fn find(ground: &Ground, place: &Place, seconds: u64, lasting: u64, line: &ProgressBar) -> Result<Best> {
    let load = Rc::new(Load::new(ground.population.clone(), ground.mix, ground.run.clone())?);
    let mut best = Best { per_second: 0.0, clients: 0, tried: vec![], cpu_us: Cpu::new() };
    let mut highest = 0.0;
    for clients in CLIENTS {
        line.set_message(format!("looking for the best rate: {clients} clients"));
        let (per_second, _) = try_out(&load, place, clients, seconds, &mut best.tried).await?;
        if per_second > highest {
            (highest, best.clients) = (per_second, clients);
        }
    }
    line.set_message(format!("the best rate, for longer: {} clients", best.clients));
    // The highest of many short tries is higher than what lasts.
    (best.per_second, best.cpu_us) = try_out(&load, place, best.clients, lasting, &mut best.tried).await?;
    ground.journal.replace(load.take_journal());
    Ok(best)
}

async fn try_out(
    load: &Rc<Load>,
    place: &Place,
    clients: usize,
    seconds: u64,
    tried: &mut Vec<(usize, f64)>,
) -> Result<(f64, Cpu)> {
    let start = Instant::now();
    // Neither the beginning nor the end, where not all clients have a request in flight, counts.
    let window = async {
        tokio::time::sleep_until(start + Duration::from_secs(WARMUP)).await;
        let (from, answered, cpu) = (Instant::now(), answered(load), place.cpu()?);
        tokio::time::sleep_until(start + Duration::from_secs(WARMUP + seconds)).await;
        anyhow::Ok((self::answered(load) - answered, from.elapsed(), place.cpu_since(&cpu)?))
    };
    let (ran, window) = tokio::join!(run(load, clients, WARMUP + seconds), window);
    ran?;
    let (transfers, elapsed, cpu) = window?;
    let per_second = transfers as f64 / elapsed.as_secs_f64();
    tried.push((clients, per_second));
    Ok((per_second, cpu_of(&cpu, transfers)))
}

fn answered(load: &Load) -> u64 {
    load.with_measures(|measures| measures.transfers())
}

async fn run(load: &Rc<Load>, clients: usize, seconds: u64) -> Result<Ran> {
    let duration = Duration::from_secs(seconds);
    let pressure =
        Pressure { clients, rate: None, duration, timeout: TIMEOUT, patience: PATIENCE, seed: rand::random() };
    load.run(&pressure).await
}

//! Too much, in an open loop: requests are due at even distances, whatever becomes of earlier ones.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use futures_util::future::try_join_all;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde::Serialize;
use tokio::time::Instant;

use super::ground::{Ground, Sort};
use super::place::Place;
use super::tally::{Cpu, Tally, cpu_of};
use crate::measure::Latency;
use crate::schedule::Schedule;

/// How much, and how long.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// When the first is due.
    pub start: Instant,
    /// Requests due in a second.
    pub per_second: f64,
    /// Connections, each with at most one request in flight; enough that one is always free.
    pub connections: usize,
    /// How long it is sent before it counts: all connections are made in that time.
    pub warmup: Duration,
    /// How long it is sent from then on.
    pub length: Duration,
}

impl Terms {
    /// When it begins to count.
    fn counts_from(&self) -> Instant {
        self.start + self.warmup
    }

    /// When the last is due.
    pub fn end(&self) -> Instant {
        self.counts_from() + self.length
    }
}

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Flood {
    /// Requests sent in a second.
    pub offered_per_second: f64,
    /// Requests that were due, and never sent since no connection was free.
    pub never_sent: u64,
    /// Transfers answered for good in a second.
    pub accepted_per_second: f64,
    /// Answered 503 with `Retry-After` in a second.
    pub refused_per_second: f64,
    /// How many ended otherwise, by code.
    pub others: BTreeMap<String, u64>,
    /// Of the accepted, from the time they were due.
    pub accepted: Latency,
    /// Of the refused, from the time they were due.
    pub refused_at_once: Latency,
    /// CPU time of each part of the wallet, as a share of a core.
    pub cpu_share: Cpu,
    /// CPU time of each part, in microseconds for each that was accepted.
    pub cpu_us: Cpu,
    /// Some of those refused, by number.
    #[serde(skip)]
    pub refused: Vec<usize>,
}

/// Of the refused, so many are remembered.
const REFUSED_KEPT: usize = 1_000;

/// Everything the connections share.
struct Shared<'a> {
    ground: &'a Ground,
    schedule: Schedule,
    tally: RefCell<Tally>,
    refused: RefCell<Vec<usize>>,
}

/// Sends it.
///
/// # Errors
/// An answer has an unknown form, or a process is gone.
pub async fn send(ground: &Ground, place: &Place, terms: &Terms) -> Result<Flood> {
    let (counts_from, ended) = (terms.counts_from(), terms.end());
    let shared = Shared {
        ground,
        schedule: Schedule::open(terms.start, ended, terms.per_second),
        tally: RefCell::new(Tally::new(counts_from, ended)?),
        refused: RefCell::default(),
    };
    let connections = try_join_all((0..terms.connections).map(|turn| shared.connection(turn)));
    let cpu = async {
        tokio::time::sleep_until(counts_from).await;
        let before = place.cpu()?;
        tokio::time::sleep_until(ended).await;
        place.cpu_since(&before)
    };
    let (done, cpu) = tokio::join!(connections, cpu);
    done?;
    let (cpu, never_sent) = (cpu?, shared.schedule.missed(ended));
    let tally = shared.tally.into_inner();
    let seconds = tally.length().as_secs_f64();
    Ok(Flood {
        offered_per_second: tally.offered() as f64 / seconds,
        never_sent,
        accepted_per_second: tally.decided as f64 / seconds,
        refused_per_second: tally.turned_away as f64 / seconds,
        others: tally.others.clone(),
        accepted: tally.accepted(),
        refused_at_once: tally.refused(),
        cpu_share: cpu.iter().map(|(name, time)| (*name, time.as_secs_f64() / seconds)).collect(),
        cpu_us: cpu_of(&cpu, tally.decided),
        refused: shared.refused.into_inner(),
    })
}

impl Shared<'_> {
    async fn connection(&self, turn: usize) -> Result<()> {
        let (mut client, region) = self.ground.client(turn);
        let mut random = SmallRng::from_rng(&mut rand::rng());
        while let Some(due) = self.schedule.take(Instant::now()) {
            if due > Instant::now() {
                tokio::time::sleep_until(due).await;
            }
            let (number, call) = self.ground.draw(&mut random, region)?;
            let sent = client.send(&call).await;
            let ended = Instant::now();
            let sort = self.ground.note(number, &client, &sent)?;
            self.tally.borrow_mut().note(due, ended, &sort);
            let mut refused = self.refused.borrow_mut();
            if sort == Sort::Refused && refused.len() < REFUSED_KEPT {
                refused.push(number);
            }
        }
        Ok(())
    }
}

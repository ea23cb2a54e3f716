//! Too much, in an open loop: requests are due at even distances, whatever becomes of earlier ones.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::ground::{Ground, Sort};
use super::place::Place;
use super::tally::{Cpu, Tally, cpu_of};
use crate::client::Client;
use crate::measure::Latency;
use crate::schedule::Schedule;

/// How much, and how long.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// When the first is due.
    pub start: Instant,
    /// Requests due in a second.
    pub per_second: f64,
    /// Connections at most, each with at most one request in flight; enough that one is always free.
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
    /// Connections that it took.
    pub connections: usize,
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

/// What all requests share.
struct Shared {
    ground: Rc<Ground>,
    /// Connections without a request, the one used last on top: as many are made as are needed, and not more are used.
    free: RefCell<Vec<Connection>>,
    tally: RefCell<Tally>,
    refused: RefCell<Vec<usize>>,
}

struct Connection {
    client: Client,
    region: usize,
    random: SmallRng,
}

/// Sends it.
///
/// # Errors
/// An answer has an unknown form, or a process is gone.
pub async fn send(ground: &Rc<Ground>, place: &Place, terms: &Terms) -> Result<Flood> {
    let (counts_from, ended) = (terms.counts_from(), terms.end());
    let shared = Rc::new(Shared {
        ground: ground.clone(),
        free: RefCell::default(),
        tally: RefCell::new(Tally::new(counts_from, ended)?),
        refused: RefCell::default(),
    });
    let cpu = async {
        tokio::time::sleep_until(counts_from).await;
        let before = place.cpu()?;
        tokio::time::sleep_until(ended).await;
        place.cpu_since(&before)
    };
    let (sent, cpu) = tokio::join!(send_all(&shared, terms), cpu);
    let (Sent { never_sent, connections }, cpu) = (sent?, cpu?);
    let shared = Rc::into_inner(shared).context("all requests have ended")?;
    let tally = shared.tally.into_inner();
    let seconds = tally.length().as_secs_f64();
    Ok(Flood {
        offered_per_second: tally.offered() as f64 / seconds,
        never_sent,
        connections,
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

struct Sent {
    never_sent: u64,
    connections: usize,
}

/// Sends each request when it is due, whatever became of the others, and waits for all answers.
async fn send_all(shared: &Rc<Shared>, terms: &Terms) -> Result<Sent> {
    let schedule = Schedule::open(terms.start, terms.end(), terms.per_second);
    let (mut requests, mut connections, mut never_sent) = (JoinSet::new(), 0, 0);
    while let Some(due) = schedule.take(Instant::now()) {
        match due > Instant::now() {
            true => tokio::time::sleep_until(due).await,
            // Answers are read meanwhile.
            false => tokio::task::yield_now().await,
        }
        while let Some(ended) = requests.try_join_next() {
            ended??;
        }
        let free = shared.free.borrow_mut().pop();
        let connection = match free {
            Some(connection) => connection,
            None if connections < terms.connections => {
                connections += 1;
                shared.connection(connections)
            }
            None => {
                never_sent += 1;
                continue;
            }
        };
        requests.spawn_local(shared.clone().request(connection, due));
    }
    while let Some(ended) = requests.join_next().await {
        ended??;
    }
    Ok(Sent { never_sent: never_sent + schedule.missed(terms.end()), connections })
}

impl Shared {
    fn connection(&self, turn: usize) -> Connection {
        let (client, region) = self.ground.client(turn);
        Connection { client, region, random: SmallRng::from_rng(&mut rand::rng()) }
    }

    async fn request(self: Rc<Self>, mut connection: Connection, due: Instant) -> Result<()> {
        let (number, call) = self.ground.draw(&mut connection.random, connection.region)?;
        let sent = connection.client.send(&call).await;
        let ended = Instant::now();
        let sort = self.ground.note(number, &connection.client, &sent)?;
        self.tally.borrow_mut().note(due, ended, &sort);
        let mut refused = self.refused.borrow_mut();
        if sort == Sort::Refused && refused.len() < REFUSED_KEPT {
            refused.push(number);
        }
        self.free.borrow_mut().push(connection);
        Ok(())
    }
}

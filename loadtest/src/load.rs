//! The load itself: clients that draw, send and note.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::time::Instant;

use crate::api::{self, NewTransfer, TransferState};
use crate::client::{Client, Reply};
use crate::journal::{Journal, Outcome};
use crate::measure::{Kind, Measures};
use crate::mix::{Mix, Request};
use crate::population::Population;
use crate::schedule::Schedule;
use crate::until_known;

/// How hard and how long.
#[derive(Debug, Clone, Copy)]
pub struct Pressure {
    /// Connections, each with at most one request in flight.
    pub clients: usize,
    /// Requests a second in an open loop; `None` for a closed one.
    pub rate: Option<f64>,
    /// How long requests are sent.
    pub duration: Duration,
    /// How long one answer is waited for.
    pub timeout: Duration,
    /// How long after the end transfers are sent again whose outcome is open.
    pub patience: Duration,
    /// The same seed draws the same requests.
    pub seed: u64,
}

/// A load on a population. It may run several times; the journal goes on.
pub struct Load {
    population: Rc<Population>,
    mix: Mix,
    /// What all idempotency keys of this load begin with.
    key_prefix: String,
    journal: RefCell<Journal>,
    measures: RefCell<Measures>,
    stopped: Cell<Option<Instant>>,
}

/// What came of a run.
#[derive(Debug)]
pub struct Ran {
    /// What was measured.
    pub measures: Measures,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// Requests of an open loop that were due and never sent.
    pub missed: u64,
}

impl Load {
    /// A load that has not begun.
    pub fn new(population: Rc<Population>, mix: Mix, key_prefix: String) -> Result<Self> {
        let measures = RefCell::new(Measures::new()?);
        let (journal, stopped) = (RefCell::default(), Cell::new(None));
        Ok(Self { population, mix, key_prefix, journal, measures, stopped })
    }

    /// Ends the run early: what is in flight is still waited for.
    pub fn stop(&self) {
        self.stopped.set(Some(Instant::now()));
    }

    /// Looks at the measures of the present run.
    pub fn with_measures<T>(&self, look: impl FnOnce(&mut Measures) -> T) -> T {
        look(&mut self.measures.borrow_mut())
    }

    /// Everything asked for, by all runs so far; the load forgets it.
    pub fn take_journal(&self) -> Journal {
        self.journal.take()
    }

    /// Runs until the time is over and every request is answered, or given up.
    ///
    /// # Errors
    /// An answer does not have the form that the contract promises.
    pub async fn run(self: &Rc<Self>, pressure: &Pressure) -> Result<Ran> {
        *self.measures.borrow_mut() = Measures::new()?;
        let start = Instant::now();
        let schedules: Vec<Rc<Schedule>> =
            (0..self.population.regions.len()).map(|region| Rc::new(self.schedule(pressure, region, start))).collect();
        // At least one client for each region.
        let clients = pressure.clients.max(schedules.len());
        let workers = (0..clients).map(|number| {
            let region = number % schedules.len();
            let worker = Worker {
                load: self.clone(),
                region,
                schedule: schedules[region].clone(),
                client: self.client(pressure, region, number / schedules.len()),
                random: SmallRng::seed_from_u64(pressure.seed.wrapping_add(number as u64)),
                give_up: start + pressure.duration + pressure.patience,
            };
            tokio::task::spawn_local(worker.run())
        });
        for worker in try_join_all(workers.collect::<Vec<_>>()).await? {
            worker?;
        }
        let measures = std::mem::replace(&mut *self.measures.borrow_mut(), Measures::new()?);
        let until = self.stopped.get().unwrap_or(start + pressure.duration);
        let missed = schedules.iter().map(|schedule| schedule.missed(until)).sum();
        Ok(Ran { measures, elapsed: start.elapsed(), missed })
    }

    /// Each region has its own schedule, by its part of the accounts: one that is slow must not slow down the others.
    fn schedule(&self, pressure: &Pressure, region: usize, start: Instant) -> Schedule {
        let end = start + pressure.duration;
        let of_region = self.population.regions[region].accounts.len() as f64;
        match pressure.rate {
            None => Schedule::closed(start, end),
            Some(rate) => Schedule::open(start, end, rate * of_region / self.population.accounts.len() as f64),
        }
    }

    fn client(&self, pressure: &Pressure, region: usize, turn: usize) -> Client {
        Client::new(self.population.regions[region].routers.clone(), turn, pressure.timeout)
    }
}

/// One client.
struct Worker {
    load: Rc<Load>,
    region: usize,
    schedule: Rc<Schedule>,
    client: Client,
    random: SmallRng,
    give_up: Instant,
}

impl Worker {
    async fn run(mut self) -> Result<()> {
        while self.load.stopped.get().is_none() {
            let Some(due) = self.schedule.take(Instant::now()) else { break };
            if due > Instant::now() {
                tokio::time::sleep_until(due).await;
            }
            match self.load.mix.draw(&mut self.random, &self.load.population, self.region) {
                Request::Read { account } => self.read(account, due).await,
                Request::Transfer { debit, credit, amount, distance } => {
                    self.transfer(debit, credit, amount, distance.into(), due).await?;
                }
            }
        }
        Ok(())
    }

    async fn read(&mut self, place: u32, due: Instant) {
        let population = &self.load.population;
        let account = population.account(place);
        let call = api::get(population.authorization(account), account.uri.clone());
        let answer = self.client.send(&call).await;
        let mut measures = self.load.measures.borrow_mut();
        match answer {
            Ok(reply) if reply.status.is_success() => measures.answered(Kind::Read, due.elapsed()),
            Ok(reply) => measures.failed(&api::code(&reply)),
            Err(failure) => measures.failed(failure.code()),
        }
    }

    async fn transfer(&mut self, debit: u32, credit: u32, amount: i64, kind: Kind, due: Instant) -> Result<()> {
        let load = self.load.clone();
        let number = load.journal.borrow_mut().begin(debit, credit, amount);
        let (from, to) = (load.population.account(debit), load.population.account(credit));
        let message = number.to_string();
        let key = format!("{}-{number}", load.key_prefix);
        let new = NewTransfer { debit_account_id: from.id, credit_account_id: to.id, amount, message: &message };
        let call = api::transfer(load.population.authorization(from), &key, &new)?;
        let on_failure = |code: &str| load.measures.borrow_mut().failed(code);
        let Some(reply) = until_known::send(&mut self.client, &call, self.give_up, on_failure).await else {
            return Ok(());
        };
        let mut measures = load.measures.borrow_mut();
        measures.answered(kind, due.elapsed());
        let outcome = outcome_of(&reply)?;
        match outcome {
            Outcome::Posted(_) => measures.posted(),
            Outcome::Pending(_) => measures.pending(),
            Outcome::Refused => measures.refused(&api::code(&reply)),
            Outcome::Released => measures.refused("(released)"),
            Outcome::Unknown => {}
        }
        load.journal.borrow_mut().settle(number, outcome);
        Ok(())
    }
}

/// What an answer that decides says of a transfer.
///
/// # Errors
/// It is a success in a form that the contract does not know.
pub fn outcome_of(reply: &Reply) -> Result<Outcome> {
    if !reply.status.is_success() {
        return Ok(Outcome::Refused);
    }
    let said: TransferState<'_> = serde_json::from_slice(&reply.body)
        .with_context(|| format!("a transfer was answered with {}", String::from_utf8_lossy(&reply.body)))?;
    match said.state.as_ref() {
        "posted" => Ok(Outcome::Posted(said.id)),
        "pending" => Ok(Outcome::Pending(said.id)),
        "released" => Ok(Outcome::Released),
        "rejected" => Ok(Outcome::Refused),
        other => anyhow::bail!("a transfer was answered with the state {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::StatusCode;

    use super::*;

    fn outcome(status: u16, body: &'static str) -> Result<Outcome> {
        let body = Bytes::from_static(body.as_bytes());
        outcome_of(&Reply { status: StatusCode::from_u16(status).unwrap(), body, is_replay: false })
    }

    #[test]
    fn outcome_follows_from_the_answer() {
        const ID: uuid::Uuid = uuid::Uuid::from_u128(0x019a_cb2e_5f00_8401_8000_00c0_ffee_0007);
        let posted = r#"{"id":"019acb2e-5f00-8401-8000-00c0ffee0007","kind":"transfer","state":"posted","amount":1}"#;
        assert_eq!(outcome(201, posted).unwrap(), Outcome::Posted(ID));
        let pending = r#"{"id":"019acb2e-5f00-8401-8000-00c0ffee0007","state":"pending"}"#;
        assert_eq!(outcome(202, pending).unwrap(), Outcome::Pending(ID));
        assert_eq!(outcome(422, "{}").unwrap(), Outcome::Refused);
        assert_eq!(outcome(404, "").unwrap(), Outcome::Refused);
        assert!(outcome(201, "{}").is_err());
        assert!(outcome(200, r#"{"id":"019acb2e-5f00-8401-8000-00c0ffee0007","state":"perhaps"}"#).is_err());
    }
}

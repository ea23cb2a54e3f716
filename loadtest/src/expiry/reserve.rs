//! The reservations that nobody will commit or release.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;
use futures_util::future::try_join_all;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep_until};

use super::{ExpiryOptions, PATIENCE, TIMEOUT};
use crate::api;
use crate::client::Client;
use crate::population::Population;
use crate::schedule::Schedule;
use crate::until_known;

/// What was reserved.
#[derive(Debug, Clone, Default)]
pub struct Reserved {
    /// Acknowledged reservations.
    pub count: u64,
    /// Due and never sent, since every client waited for an answer.
    pub missed: u64,
    /// Answers that reserved nothing, by their code.
    pub refused: BTreeMap<String, u64>,
}

/// Reserves at a fixed rate.
pub struct Reserving {
    population: Rc<Population>,
    schedule: Schedule,
    clients: u32,
    expires_in: u32,
    give_up: Instant,
    number: Cell<u64>,
    reserved: RefCell<Reserved>,
}

impl Reserving {
    /// Begins with the schedule at once.
    pub fn new(population: Rc<Population>, options: &ExpiryOptions) -> Self {
        let start = Instant::now();
        let end = start + Duration::from_secs(options.seconds);
        Self {
            population,
            schedule: Schedule::open(start, end, f64::from(options.rate)),
            clients: options.clients,
            expires_in: options.expires_in,
            give_up: end + PATIENCE,
            number: Cell::new(0),
            reserved: RefCell::default(),
        }
    }

    /// Sends all that is due.
    ///
    /// # Errors
    /// A call cannot be written.
    pub async fn run(self) -> Result<Reserved> {
        try_join_all((0..self.clients).map(|client| self.client(client))).await?;
        let missed = self.schedule.missed(Instant::now());
        Ok(Reserved { missed, ..self.reserved.into_inner() })
    }

    async fn client(&self, number: u32) -> Result<()> {
        let routers = self.population.regions[0].routers.clone();
        let mut client = Client::new(routers, usize::try_from(number)?, TIMEOUT);
        let mut random = SmallRng::seed_from_u64(number.into());
        while let Some(due) = self.schedule.take(Instant::now()) {
            sleep_until(due).await;
            self.reserve(&mut client, &mut random).await?;
        }
        Ok(())
    }

    async fn reserve(&self, client: &mut Client, random: &mut SmallRng) -> Result<()> {
        let accounts = &self.population.accounts;
        let debit = random.random_range(0..accounts.len());
        let credit = (debit + random.random_range(1..accounts.len())) % accounts.len();
        let (from, to) = (&accounts[debit], &accounts[credit]);
        let key = format!("expiry-{}", self.number.replace(self.number.get() + 1));
        let call = api::reserve(self.population.authorization(from), &key, (from.id, to.id), self.expires_in)?;
        let note = |code: &str| *self.reserved.borrow_mut().refused.entry(code.to_owned()).or_default() += 1;
        match until_known::send(client, &call, self.give_up, note).await {
            Some(reply) if reply.status.is_success() => self.reserved.borrow_mut().count += 1,
            Some(reply) => note(&api::code(&reply)),
            None => {}
        }
        Ok(())
    }
}

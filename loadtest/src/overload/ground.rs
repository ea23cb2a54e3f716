//! What requests are made of, and the memory of all of them.

use std::cell::RefCell;
use std::rc::Rc;

use anyhow::Result;
use http::StatusCode;
use rand::rngs::SmallRng;

use crate::api::{self, NewTransfer};
use crate::client::{Call, Client, Failure, Reply};
use crate::journal::{Journal, Outcome};
use crate::load::outcome_of;
use crate::mix::{Mix, Request};
use crate::population::Population;

/// Shared by everything that sends.
pub struct Ground {
    /// Who takes part.
    pub population: Rc<Population>,
    /// What is drawn.
    pub mix: Mix,
    /// What all idempotency keys begin with.
    pub run: String,
    /// Every transfer that was ever asked for.
    pub journal: RefCell<Journal>,
}

/// What an answer to one attempt comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sort {
    /// Decided: 2xx, or 422.
    Accepted,
    /// 503 `overloaded` with `Retry-After`: nothing was done.
    Refused,
    /// Anything else, by its code.
    Other(String),
}

impl Ground {
    /// Nothing asked yet.
    pub fn new(population: Population, mix: Mix, run: String) -> Self {
        Self { population: Rc::new(population), mix, run, journal: RefCell::default() }
    }

    /// A client of a region's routers, the `turn`-th.
    pub fn client(&self, turn: usize) -> (Client, usize) {
        let region = turn % self.population.regions.len();
        let routers = self.population.regions[region].routers.clone();
        (Client::new(routers, turn / self.population.regions.len(), super::TIMEOUT), region)
    }

    /// Draws a transfer and notes it, by its number.
    ///
    /// # Errors
    /// The request cannot be written, a defect.
    pub fn draw(&self, random: &mut SmallRng, region: usize) -> Result<(usize, Call)> {
        loop {
            if let Request::Transfer { debit, credit, amount, .. } = self.mix.draw(random, &self.population, region) {
                let number = self.journal.borrow_mut().begin(debit, credit, amount);
                return Ok((number, self.call(number)?));
            }
        }
    }

    /// The request of a transfer that was noted; always the same one.
    ///
    /// # Errors
    /// There is no such transfer, a defect.
    pub fn call(&self, number: usize) -> Result<Call> {
        let asked = *self.journal.borrow().get(number).ok_or_else(|| anyhow::anyhow!("no transfer {number}"))?;
        let (from, to) = (self.population.account(asked.debit), self.population.account(asked.credit));
        let (message, key) = (number.to_string(), format!("{}-{number}", self.run));
        let amount = asked.amount;
        let new = NewTransfer { debit_account_id: from.id, credit_account_id: to.id, amount, message: &message };
        api::transfer(self.population.authorization(from), &key, &new)
    }

    /// Notes what one attempt came to. A transfer refused for overload must not be there afterwards, unless it is sent
    /// again; what has no answer, or another 5xx, is unknown.
    ///
    /// # Errors
    /// An answer does not have the form that the contract promises.
    pub fn note(&self, number: usize, client: &Client, sent: &Result<Reply, Failure>) -> Result<Sort> {
        let sort = sort_of(sent, client.retry_after());
        let outcome = match (&sort, sent) {
            (Sort::Accepted, Ok(reply)) => outcome_of(reply)?,
            (Sort::Refused, _) => Outcome::Refused,
            (Sort::Accepted | Sort::Other(_), _) => return Ok(sort),
        };
        self.journal.borrow_mut().settle(number, outcome);
        Ok(sort)
    }
}

fn sort_of(sent: &Result<Reply, Failure>, retry_after: Option<u32>) -> Sort {
    match sent {
        Ok(reply) if reply.status.is_success() || reply.status == StatusCode::UNPROCESSABLE_ENTITY => Sort::Accepted,
        Ok(reply) => match api::code(reply) {
            code if code == "overloaded" && retry_after.is_some() => Sort::Refused,
            code if retry_after.is_none() => Sort::Other(format!("{code} without Retry-After")),
            code => Sort::Other(code),
        },
        Err(failure) => Sort::Other(failure.code().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn sort(status: u16, body: &'static str, retry_after: Option<u32>) -> Sort {
        let status = StatusCode::from_u16(status).unwrap();
        sort_of(&Ok(Reply { status, body: Bytes::from_static(body.as_bytes()), is_replay: false }), retry_after)
    }

    #[test]
    fn only_overload_with_a_time_to_come_back_is_a_refusal() {
        let overloaded = r#"{"code":"overloaded"}"#;
        assert_eq!(sort(503, overloaded, Some(1)), Sort::Refused);
        assert_eq!(sort(503, overloaded, None), Sort::Other("overloaded without Retry-After".to_owned()));
        assert_eq!(sort(503, r#"{"code":"unavailable"}"#, Some(1)), Sort::Other("unavailable".to_owned()));
        assert_eq!(sort(201, "{}", None), Sort::Accepted);
        assert_eq!(sort(422, "{}", None), Sort::Accepted);
        assert_eq!(sort_of(&Err(Failure::Timeout), None), Sort::Other("(timeout)".to_owned()));
    }
}

//! What all clients share: who takes part, the routers, the history; and the calls that they make.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderValue, Method, Uri};

use super::clock::{Clock, Moment};
use super::history::{Doom, History, RequestId, Want};
use super::timeline::WrongClock;
use crate::api;
use crate::client::{Call, Client, Router};
use crate::population::Population;

/// How long a client waits for an answer. Longer than the wallet may take, so that a late one is seen and blamed.
pub const USUAL_WAIT: Duration = Duration::from_secs(8);

/// More than all accounts have together, and no more than one transfer may have.
const TOO_MUCH: i64 = 999_999;

/// An account that no shard has.
const NO_ACCOUNT: u64 = (1 << 47) + 5;

/// Shared by all clients of a run.
pub struct World {
    /// Who takes part.
    pub population: Population,
    /// Begins every key, and the names of the users.
    pub run: String,
    /// All routers.
    pub routers: Vec<Router>,
    /// Everything asked and answered.
    pub history: RefCell<History>,
    /// The time.
    pub clock: Clock,
    /// Counts what happened to each router, so that nobody goes on with a connection of before.
    pub lives: Vec<Cell<u32>>,
    /// When which shard's PostgreSQL had a wrong clock.
    pub clocks: RefCell<Vec<WrongClock>>,
    /// Whether the clients are to come to rest.
    pub is_over: Cell<bool>,
}

impl World {
    /// The call that asks for something; none while the reservation it is about has no known id.
    ///
    /// # Errors
    /// A text cannot stand in a header; these are made of letters and digits.
    pub fn call(&self, id: RequestId) -> Result<Option<Call>> {
        let history = self.history.borrow();
        let (path, body) = match history.get(id).want {
            Want::Transfer { amount, .. } | Want::Reserve { amount, .. } => {
                ("/v1/transfers".to_owned(), self.transfer_body(id, history.get(id).want, amount))
            }
            Want::Commit { of, amount } => {
                let Some(transfer) = history.get(of).transfer() else { return Ok(None) };
                let body = amount.map_or_else(|| "{}".to_owned(), |amount| format!(r#"{{"amount":{amount}}}"#));
                (format!("/v1/transfers/{transfer}/commit"), body)
            }
            Want::Release { of } => {
                let Some(transfer) = history.get(of).transfer() else { return Ok(None) };
                (format!("/v1/transfers/{transfer}/release"), "{}".to_owned())
            }
        };
        Ok(Some(Call {
            method: Method::POST,
            uri: Uri::try_from(path)?,
            authorization: self.caller(&history, id).clone(),
            key: Some(HeaderValue::try_from(self.key(id))?),
            body: Bytes::from(body),
        }))
    }

    /// The same key with another amount; only for whoever moves or sets aside money itself.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn altered(&self, id: RequestId) -> Result<Option<Call>> {
        let want = self.history.borrow().get(id).want;
        let Some(call) = self.call(id)? else { return Ok(None) };
        Ok(match want {
            Want::Transfer { amount, .. } | Want::Reserve { amount, .. } => {
                Some(Call { body: Bytes::from(self.transfer_body(id, want, amount + 1)), ..call })
            }
            Want::Commit { .. } | Want::Release { .. } => None,
        })
    }

    /// Reads the transfer of a request; none while its id is not known.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn look(&self, id: RequestId, wait_seconds: u64) -> Result<Option<Call>> {
        let history = self.history.borrow();
        let Some(transfer) = history.get(id).transfer() else { return Ok(None) };
        api::transfer_state(self.caller(&history, id), transfer, wait_seconds).map(Some)
    }

    /// Reads the newest page of an account's history.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn newest(&self, account: u32, limit: usize) -> Result<Call> {
        self.read_below(account, &format!("/transactions?limit={limit}"))
    }

    /// Reads the open transfers of an account.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn open_transfers(&self, account: u32) -> Result<Call> {
        self.read_below(account, "/transfers")
    }

    /// Reads an account.
    pub fn account(&self, account: u32) -> Call {
        let account = self.population.account(account);
        api::get(self.population.authorization(account), account.uri.clone())
    }

    fn read_below(&self, account: u32, path: &str) -> Result<Call> {
        let account = self.population.account(account);
        let uri = Uri::try_from(format!("/v1/accounts/{}{path}", account.id))?;
        Ok(api::get(self.population.authorization(account), uri))
    }

    /// A connection to one router, to be made when it is needed.
    pub fn connect(&self, router: usize, wait: Duration) -> Client {
        Client::new(Rc::new([self.routers[router].clone()]), 0, wait)
    }

    /// Whether a reservation is to expire within the run. One that was made by a wrong clock may be due an hour later.
    pub fn expires_soon(&self, id: RequestId) -> bool {
        let history = self.history.borrow();
        let shard = history.get(id).accounts().map(|(debit, _)| self.population.account(debit).shard);
        history.expires_soon(id, shard, &self.clocks.borrow())
    }

    /// By when a reservation that is to expire within a run has done so, if its shard's clock was right.
    pub fn due(&self, id: RequestId) -> Option<Moment> {
        self.history.borrow().due(id)
    }

    /// The word that the report counts a request under.
    pub fn kind(&self, want: Want) -> &'static str {
        match want {
            Want::Transfer { doom: Some(_), .. } => "doomed transfer",
            Want::Transfer { debit, credit, .. } => {
                let (debit, credit) = (self.population.account(debit), self.population.account(credit));
                if debit.shard == credit.shard {
                    "local transfer"
                } else if debit.region == credit.region {
                    "cross-shard transfer"
                } else {
                    "cross-region transfer"
                }
            }
            Want::Reserve { .. } => "reserve",
            Want::Commit { amount: None, .. } => "commit",
            Want::Commit { amount: Some(_), .. } => "part commit",
            Want::Release { .. } => "release",
        }
    }

    fn key(&self, id: RequestId) -> String {
        format!("{}-{id}", self.run)
    }

    /// Who asks: the holder of the debit account, or, to be refused, somebody else.
    fn caller(&self, history: &History, id: RequestId) -> &HeaderValue {
        let request = history.get(id);
        let of = match request.want {
            Want::Commit { of, .. } | Want::Release { of } => history.get(of),
            Want::Transfer { .. } | Want::Reserve { .. } => request,
        };
        let (debit, credit) = of.accounts().unwrap_or_default();
        let is_foreign = matches!(of.want, Want::Transfer { doom: Some(Doom::Foreign), .. });
        let holder = self.population.account(if is_foreign { credit } else { debit });
        self.population.authorization(holder)
    }

    fn transfer_body(&self, id: RequestId, want: Want, amount: i64) -> String {
        let account = |place: u32| self.population.account(place);
        let (debit, credit, doom, to_user) = match want {
            Want::Transfer { debit, credit, to_user, doom, .. } => (debit, credit, doom, to_user),
            Want::Reserve { debit, credit, .. } => (debit, credit, None, false),
            Want::Commit { .. } | Want::Release { .. } => return String::new(),
        };
        let credit_id = match doom {
            Some(Doom::SameAccount) => account(debit).id,
            Some(Doom::NoSuchAccount) => NO_ACCOUNT,
            _ => account(credit).id,
        };
        let amount = match doom {
            Some(Doom::TooMuch) => TOO_MUCH - (amount & 1),
            Some(Doom::Nothing) => -amount,
            _ => amount,
        };
        let to = match to_user {
            true => format!(r#""credit_user_id":"{}-user-{}""#, self.run, account(credit).user),
            false => format!(r#""credit_account_id":{credit_id}"#),
        };
        let two_step = match want {
            Want::Reserve { expires_in_seconds, .. } => {
                format!(r#","reserve":true,"expires_in_seconds":{expires_in_seconds}"#)
            }
            _ => String::new(),
        };
        let debit = account(debit).id;
        format!(r#"{{"debit_account_id":{debit},{to},"amount":{amount},"message":"{id}"{two_step}}}"#)
    }
}

impl RequestId {
    /// The request that a message names.
    pub fn of_message(message: &str) -> Option<Self> {
        message.parse().ok().map(Self)
    }
}

/// Looks the routers up.
///
/// # Errors
/// An address cannot be understood.
pub async fn routers(urls: &[String]) -> Result<Vec<Router>> {
    let mut routers = Vec::with_capacity(urls.len());
    for url in urls {
        routers.push(Router::resolve(url).await.context("a router of the cluster")?);
    }
    Ok(routers)
}

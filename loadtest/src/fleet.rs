//! Many clients working off one list.

use std::cell::RefCell;
use std::time::Duration;

use anyhow::Result;
use futures_util::future::try_join_all;
use tokio::time::Instant;

use crate::api;
use crate::client::{Call, Client, Reply};
use crate::population::{Population, Region};
use crate::until_known;

/// How the wallet is called where speed is not being measured.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// Requests in flight in each region.
    pub clients: usize,
    /// How long one answer is waited for.
    pub timeout: Duration,
    /// How long a request is sent again whose outcome is open.
    pub patience: Duration,
}

impl Manner {
    /// The clients for one region, spread over its routers.
    pub fn clients(&self, region: &Region) -> Vec<Client> {
        (0..self.clients.max(1)).map(|turn| Client::new(region.routers.clone(), turn, self.timeout)).collect()
    }

    /// Sends a request until it is answered.
    ///
    /// # Errors
    /// Patience has ended; the message has the last thing that went wrong.
    pub async fn insist(&self, client: &mut Client, call: &Call) -> Result<Reply> {
        let mut last = String::new();
        let give_up = Instant::now() + self.patience;
        let reply = until_known::send(client, call, give_up, |code| code.clone_into(&mut last)).await;
        reply.ok_or_else(|| {
            anyhow::anyhow!("{} {} has no answer after {:?}, last: {last}", call.method, call.uri, self.patience)
        })
    }

    /// Sends a request until it is answered, and reads the good answer with `read`.
    ///
    /// # Errors
    /// As [`Self::insist`], and when the answer is not a good one.
    pub async fn ask<T>(
        &self,
        client: &mut Client,
        call: &Call,
        read: impl FnOnce(&Call, &Reply) -> Result<T>,
    ) -> Result<T> {
        read(call, &self.insist(client, call).await?)
    }

    /// Does `work` for every account, by its place, each through the routers of its region.
    ///
    /// # Errors
    /// The first error of `work`; what was not begun by then is left.
    pub async fn each_account(
        &self,
        population: &Population,
        work: impl AsyncFn(&mut Client, u32) -> Result<()>,
    ) -> Result<()> {
        let work = &work;
        let regions = population
            .regions
            .iter()
            .map(async |region| each(self.clients(region), region.accounts.iter().copied(), work).await);
        try_join_all(regions).await?;
        Ok(())
    }
}

/// Lets each client take the next item as soon as it is done with one.
///
/// # Errors
/// The first error of `work`.
pub async fn each<T>(
    clients: Vec<Client>,
    items: impl IntoIterator<Item = T>,
    work: impl AsyncFn(&mut Client, T) -> Result<()>,
) -> Result<()> {
    let items = RefCell::new(items.into_iter());
    let next = || items.borrow_mut().next();
    let workers = clients.into_iter().map(async |mut client| {
        while let Some(item) = next() {
            work(&mut client, item).await?;
        }
        anyhow::Ok(())
    });
    try_join_all(workers).await?;
    Ok(())
}

/// Reads a balance.
pub fn read_account(call: &Call, reply: &Reply) -> Result<api::AccountState> {
    api::read(call, reply)
}

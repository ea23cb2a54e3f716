//! Connections for everything that is not a lane, each lent for one piece of work and for so long only.
//!
//! A server that was stopped keeps its connections, and the kernel of its machine goes on acknowledging what is sent: only
//! a limit tells it from one that takes its time. So what is not answered in time is given up. Its connection is still
//! listened to for a moment, since a slow server should not have to make new ones as well; one that stays silent is closed
//! and never lent again, and the server, should it be there after all, is asked to stop what nobody waits for any more.

use super::connect::Reach;
use super::reading::ReadError;
use crate::config::PostgresConfig;
use deadpool_postgres::{Client, Manager, ManagerConfig, PoolError, RecyclingMethod, Runtime, Timeouts};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::NoTls;

/// A question that somebody waits for: all requests are answered within 5 s, and a query takes milliseconds.
pub const QUESTION_MAX: Duration = Duration::from_secs(3);
/// A piece of work in the background, some hundred rows: well above what it takes on a server that has too much to do.
pub const DUTY_MAX: Duration = Duration::from_secs(10);
/// What may have to read much, or to wait for others.
pub const UPKEEP_MAX: Duration = Duration::from_secs(30);

/// How long a connection is listened to beyond its work's limit.
const GRACE: Duration = Duration::from_secs(2);
/// How long a free connection is waited for, and how long a new one may take to be made.
const FREE_WITHIN: Duration = Duration::from_secs(2);
const MADE_WITHIN: Duration = Duration::from_secs(3);

/// Connections to the server that takes writes. Cloning shares them.
#[derive(Clone)]
pub struct Pool {
    connections: deadpool_postgres::Pool,
    renewals: Arc<AtomicU64>,
}

/// A pool that waits for a free connection for at most two seconds.
///
/// # Errors
/// Only a pool without a runtime can fail to be built.
pub fn pool(config: &PostgresConfig) -> Result<Pool, deadpool_postgres::BuildError> {
    let manager =
        Manager::from_connect(config.connect.clone(), Reach, ManagerConfig { recycling_method: RecyclingMethod::Fast });
    let connections = deadpool_postgres::Pool::builder(manager)
        .max_size(config.pool_size)
        .timeouts(Timeouts { wait: Some(FREE_WITHIN), create: Some(MADE_WITHIN), recycle: None })
        .runtime(Runtime::Tokio1)
        .build()?;
    Ok(Pool { connections, renewals: Arc::default() })
}

impl Pool {
    /// Lends a connection for a piece of work that takes no longer than the limit.
    ///
    /// # Errors
    /// That of the work. [`ReadError::Silent`]: it was not done in time, and a transaction that it had begun comes to
    /// nothing, unless its commit was on its way. [`ReadError::Pool`]: there was no connection.
    pub async fn lend<T, E: From<ReadError>>(
        &self,
        limit: Duration,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, E>,
    ) -> Result<T, E> {
        let (mut lent, worked) = self.work(limit, work).await?;
        lent.give_back();
        worked
    }

    /// Lends a connection for a piece of work, and leaves it to the caller if the work says so. Whoever keeps it sets the
    /// limits from then on.
    ///
    /// # Errors
    /// As [`Pool::lend`].
    pub async fn win<E: From<ReadError>>(
        &self,
        limit: Duration,
        work: impl AsyncFnOnce(&mut Client) -> Result<bool, E>,
    ) -> Result<Option<Client>, E> {
        let (mut lent, worked) = self.work(limit, work).await?;
        if matches!(worked, Ok(true)) {
            return Ok(lent.client.take());
        }
        lent.give_back();
        worked.map(|_| None)
    }

    async fn work<T, E>(
        &self,
        limit: Duration,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, E>,
    ) -> Result<(Lent, Result<T, E>), ReadError> {
        let renewal = self.renewals.load(Ordering::Relaxed);
        let client = self.get().await?;
        let until = Instant::now() + limit + GRACE;
        let mut lent = Lent { client: None, until, pool: self.clone(), renewal };
        let working = timeout(limit, work(lent.client.insert(client))).await;
        Ok((lent, working.map_err(|_| ReadError::Silent)?))
    }

    fn take_back(&self, client: Client, renewal: u64) {
        match renewal == self.renewals.load(Ordering::Relaxed) {
            true => drop(client),
            false => drop(Client::take(client)),
        }
    }

    /// A connection of the caller's own; whoever has it sets the limits.
    ///
    /// # Errors
    /// There is none free, or none can be made.
    pub async fn get(&self) -> Result<Client, PoolError> {
        self.connections.get().await
    }

    /// Closes all connections that there are, those at work once they are given back: another server may take the writes
    /// by now, and what this one has to say may be old.
    pub fn renew(&self) {
        self.renewals.fetch_add(1, Ordering::Relaxed);
        drop(self.connections.retain(|_, _| false));
    }

    /// How many wait for a connection.
    pub fn waiting(&self) -> usize {
        self.connections.status().waiting
    }
}

/// A connection at work. If the work is given up, by its limit or with whoever had asked for it, the connection must show
/// that it still answers before anybody else gets it.
struct Lent {
    /// `None` once it is given back, or kept.
    client: Option<Client>,
    until: Instant,
    pool: Pool,
    renewal: u64,
}

impl Lent {
    fn give_back(&mut self) {
        if let Some(client) = self.client.take() {
            self.pool.take_back(client, self.renewal);
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // Without a runtime the process ends, and all connections with it.
        if let (Some(client), Ok(runtime)) = (self.client.take(), Handle::try_current()) {
            runtime.spawn(settle(client, self.until, self.pool.clone(), self.renewal));
        }
    }
}

/// Waits for the answer to a question behind all that were asked before. A transaction that was given up has sent its
/// rollback by then.
async fn settle(client: Client, until: Instant, pool: Pool, renewal: u64) {
    if matches!(timeout_at(until, client.simple_query("")).await, Ok(Ok(_))) {
        return pool.take_back(client, renewal);
    }
    tracing::warn!("a PostgreSQL connection has not answered in time; it is closed");
    let cancel = client.cancel_token();
    drop(Client::take(client));
    // It may come later than what it was meant for, so only now, when nobody can ask anything more over the connection.
    // The server gives back what the work has locked: it may not notice by itself that the connection is gone.
    match timeout(GRACE, cancel.cancel_query(NoTls)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "work that was given up was not cancelled"),
        Err(_) => tracing::debug!("work that was given up was not cancelled in time"),
    }
}

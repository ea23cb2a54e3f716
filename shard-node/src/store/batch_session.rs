//! The one connection of a lane, and a batch's transaction on it: two flushes, two round trips.

use super::admitted;
use super::chain::{self, Head};
use super::codes::Unreadable;
use super::fence::{self, Fenced};
use super::load::{self, Wanted};
use super::save::{self, Stamp};
use super::{Standing, connect, connect_past_barrier};
use crate::config::SagaConfig;
use futures_util::join;
use ledger::{Books, Stamped, Writes};
use std::collections::BTreeMap;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row, Statement};
use wire::trace::TraceContext;

/// Why a batch was not committed, or is not known to be.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// Another node was faster with a key or a decision, or there was a deadlock: run it again.
    #[error("another node was faster")]
    Conflict(#[source] Error),
    /// The slots or the topology have changed: read them again and run it again.
    #[error("the ownership has changed")]
    StaleOwnership,
    /// There is no partition for one of the ids yet.
    #[error("a partition is missing")]
    NoPartition(#[source] Error),
    /// PostgreSQL will not take one of the operations: run them one by one.
    #[error("PostgreSQL refuses the batch")]
    Data(#[source] Error),
    /// A row cannot be understood: run them one by one.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The server is there and will not do it (a full disk, a damaged page): run them one by one, so that those
    /// it does take go on.
    #[error("PostgreSQL is not able to run the batch")]
    Unable(#[source] Error),
    /// The connection broke. If the commit was on its way, nobody knows: connect and run it again, the keys
    /// and the inbox make that safe.
    #[error("the connection broke")]
    Broken(#[source] Error),
}

impl BatchError {
    fn of(error: Error) -> BatchError {
        let Some(state) = error.code() else {
            return BatchError::Broken(error);
        };
        let again = [
            SqlState::UNIQUE_VIOLATION,
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::LOCK_NOT_AVAILABLE,
        ];
        if again.contains(state) {
            return BatchError::Conflict(error);
        }
        // A row that fits no partition violates a check that has no name.
        let no_partition = error.as_db_error().is_some_and(|db| db.constraint().is_none());
        if *state == SqlState::CHECK_VIOLATION && no_partition {
            return BatchError::NoPartition(error);
        }
        match state.code().get(..2) {
            // Data exceptions and violated constraints are of the operations' own making.
            Some("22" | "23") => BatchError::Data(error),
            // The connection or its server is going away, or has become a standby.
            Some("08" | "25" | "57") => BatchError::Broken(error),
            _ => BatchError::Unable(error),
        }
    }
}

impl From<Error> for BatchError {
    fn from(error: Error) -> BatchError {
        BatchError::of(error)
    }
}

struct Statements {
    hold: Statement,
    version: Statement,
    neighbours_lock: Statement,
    neighbours: Statement,
    accounts: Statement,
    accounts_with_held: Statement,
    keys: Statement,
    reservations: Statement,
    inbox: Statement,
    chain_head: Statement,
    now: Statement,
    save_changed: Statement,
    save_created: Statement,
    save_transfers: Statement,
    save_keys: Statement,
    save_reservations: Statement,
    save_committing: Statement,
    save_outbox: Statement,
    reservations_gone: Statement,
    outbox_gone: Statement,
    save_inbox: Statement,
    save_external: Statement,
    save_clearing: Statement,
    chain_link: Statement,
}

impl Statements {
    async fn prepare(client: &Client) -> Result<Statements, Error> {
        Ok(Statements {
            hold: client.prepare(fence::HOLD).await?,
            version: client.prepare(fence::VERSION).await?,
            neighbours_lock: client.prepare(load::NEIGHBOURS_LOCK).await?,
            neighbours: client.prepare(load::NEIGHBOURS).await?,
            accounts: client.prepare(load::ACCOUNTS).await?,
            accounts_with_held: client.prepare(load::ACCOUNTS_WITH_HELD).await?,
            keys: client.prepare(load::KEYS).await?,
            reservations: client.prepare(load::RESERVATIONS).await?,
            inbox: client.prepare(load::INBOX).await?,
            chain_head: client.prepare(chain::HEAD).await?,
            now: client.prepare(load::NOW).await?,
            save_changed: client.prepare(save::ACCOUNTS_CHANGED).await?,
            save_created: client.prepare(save::ACCOUNTS_CREATED).await?,
            save_transfers: client.prepare(save::TRANSFERS).await?,
            save_keys: client.prepare(save::KEYS).await?,
            save_reservations: client.prepare(save::RESERVATIONS).await?,
            save_committing: client.prepare(save::COMMITTING).await?,
            save_outbox: client.prepare(save::OUTBOX).await?,
            reservations_gone: client.prepare(save::RESERVATIONS_GONE).await?,
            outbox_gone: client.prepare(save::OUTBOX_GONE).await?,
            save_inbox: client.prepare(save::INBOX).await?,
            save_external: client.prepare(save::EXTERNAL).await?,
            save_clearing: client.prepare(save::CLEARING).await?,
            chain_link: client.prepare(chain::LINK).await?,
        })
    }
}

/// A lane's connection.
pub struct BatchSession {
    client: Client,
    statements: Statements,
    writer: i32,
    saga: SagaConfig,
}

impl BatchSession {
    /// Connects, waits for the barrier, and prepares every statement.
    ///
    /// # Errors
    /// The server cannot be reached or takes no writes.
    pub async fn open(config: &tokio_postgres::Config, writer: i32, saga: SagaConfig) -> Result<Self, Error> {
        let client = connect_past_barrier(config).await?;
        let statements = Statements::prepare(&client).await?;
        Ok(BatchSession { client, statements, writer, saga })
    }

    /// Waits until the connection has broken.
    pub async fn broken(&self) {
        connect::broken(&self.client).await;
    }

    /// Shows to other processes over the same database that commands are taken, as long as the connection lasts.
    ///
    /// # Errors
    /// [`BatchError`].
    pub async fn show_admitted(&self) -> Result<(), BatchError> {
        Ok(admitted::show(&self.client).await?)
    }

    /// The number of the last batch in the chain of each writer; 0 if there is none.
    ///
    /// # Errors
    /// [`BatchError`].
    pub async fn heads(&self, writers: impl Iterator<Item = &i32>) -> Result<BTreeMap<i32, i64>, BatchError> {
        let mut heads = BTreeMap::new();
        for writer in writers {
            let rows = self.client.query(&self.statements.chain_head, &[writer]).await?;
            heads.insert(*writer, chain::head(&rows)?.number());
        }
        Ok(heads)
    }

    /// Begins the batch's transaction under the fence and reads its rows, locked, and what it will go on from.
    /// The transaction is left open unless there is an error.
    ///
    /// # Errors
    /// [`BatchError`]; the transaction has ended then.
    pub async fn load<'a>(&self, batch: &[Stamped], standing: &'a Standing) -> Result<(Books<'a>, Head), BatchError> {
        let loaded = self.load_books(batch, standing).await;
        if loaded.is_err() {
            self.rollback().await?;
        }
        loaded
    }

    async fn load_books<'a>(&self, batch: &[Stamped], standing: &'a Standing) -> Result<(Books<'a>, Head), BatchError> {
        let wanted = Wanted::by(batch);
        let to = &self.statements;
        // In this order on the wire, in one flush.
        let (began, held, version, locked, neighbours, accounts, keys, reservations, inbox, head, now) = join!(
            self.client.batch_execute("BEGIN"),
            self.hold_fence(),
            self.client.query(&to.version, &[]),
            self.found_by(&to.neighbours_lock, &wanted.localities_low),
            self.found_by_both(&to.neighbours, &wanted.localities_low, &wanted.localities_high),
            self.accounts(&wanted),
            self.found_by_both(&to.keys, &wanted.key_slots, &wanted.key_hashes),
            self.found_by(&to.reservations, &wanted.reservations),
            self.found_by(&to.inbox, &wanted.inbox),
            self.chain_head(),
            self.client.query(&to.now, &[]),
        );
        // In the order of the wire: the first failure is the cause, those after it only say that the
        // transaction is aborted.
        began?;
        held?;
        let version = version?.first().map(|row| row.get::<_, i64>(0));
        locked?;
        let (neighbours, accounts, keys) = (neighbours?, accounts?, keys?);
        let (reservations, inbox, head, now) = (reservations?, inbox?, head?, now?);
        if version != Some(standing.version) {
            return Err(BatchError::StaleOwnership);
        }
        let books = Books {
            shard: standing.shard,
            now: load::now(&now)?,
            ownership: &standing.ownership,
            currencies: &standing.currencies,
            accounts: load::accounts(&accounts)?,
            keys: load::keys(&keys)?,
            reservations: load::reservations(&reservations, standing.shard)?,
            inbox: load::inbox(&inbox)?,
            neighbourhoods: load::neighbourhoods(batch, &neighbours)?,
        };
        let head = chain::head(&head)?.having_found(batch, &books, &reservations);
        Ok((books, head))
    }

    async fn hold_fence(&self) -> Result<(), Error> {
        self.client.execute(&self.statements.hold, &[&Fenced::lock_number()]).await.map(drop)
    }

    async fn chain_head(&self) -> Result<Vec<Row>, Error> {
        self.client.query(&self.statements.chain_head, &[&self.writer]).await
    }

    async fn accounts(&self, wanted: &Wanted) -> Result<Vec<Row>, Error> {
        if wanted.held.is_empty() && runtime::bug!("bug::accounts_read_unlocked") {
            let unlocked = load::ACCOUNTS.trim_end_matches(" FOR NO KEY UPDATE");
            return self.client.query(unlocked, &[&wanted.accounts]).await;
        }
        match wanted.held.is_empty() {
            true => self.found_by(&self.statements.accounts, &wanted.accounts).await,
            false => self.client.query(&self.statements.accounts_with_held, &[&wanted.accounts, &wanted.held]).await,
        }
    }

    /// Asks only if something is asked for.
    async fn found_by<T: ToSql + Sync>(&self, statement: &Statement, wanted: &Vec<T>) -> Result<Vec<Row>, Error> {
        match wanted.is_empty() {
            true => Ok(Vec::new()),
            false => self.client.query(statement, &[wanted]).await,
        }
    }

    async fn found_by_both<T: ToSql + Sync, U: ToSql + Sync>(
        &self,
        statement: &Statement,
        wanted: &Vec<T>,
        and: &Vec<U>,
    ) -> Result<Vec<Row>, Error> {
        match wanted.is_empty() {
            true => Ok(Vec::new()),
            false => self.client.query(statement, &[wanted, and]).await,
        }
    }

    /// Writes and commits, in one flush: if a statement fails, PostgreSQL turns the commit into a rollback.
    /// `traces` in the order of `writes.to_send()`. The number of the batch in its chain, if it has its place there.
    ///
    /// # Errors
    /// [`BatchError`]; after [`BatchError::Broken`] the batch may have been committed.
    pub async fn save(
        &self,
        writes: &Writes,
        books: &Books<'_>,
        head: Head,
        traces: &[TraceContext],
    ) -> Result<Option<i64>, BatchError> {
        if runtime::bug!("bug::commit_not_durable") {
            self.client.batch_execute("SET LOCAL synchronous_commit = off").await?;
        }
        let fenced = Fenced::holding(&self.client);
        let to = &self.statements;
        let (void_after, lease) = (self.saga.void_after, self.saga.lease);
        let stamp = Stamp { writer: self.writer, now: books.now, void_after, lease };
        let results = join!(
            save::accounts_changed(fenced, &to.save_changed, writes, books),
            save::accounts_created(fenced, &to.save_created, &writes.created, stamp),
            save::transfers(fenced, &to.save_transfers, &writes.transfers, stamp),
            save::keys(fenced, &to.save_keys, &writes.keys, stamp),
            save::reservations(fenced, &to.save_reservations, &writes.reserved, stamp),
            save::committing(fenced, &to.save_committing, &writes.committing, stamp),
            save::outbox(fenced, &to.save_outbox, writes, traces, stamp),
            save::gone(fenced, &to.outbox_gone, &writes.settled),
            save::gone(fenced, &to.reservations_gone, &writes.settled),
            save::inbox(fenced, &to.save_inbox, writes, stamp),
            save::external(fenced, &to.save_external, writes, stamp),
            save::clearing(fenced, &to.save_clearing, writes, stamp),
            chain::link(fenced, &to.chain_link, writes, books, head, stamp),
            self.commit(),
        );
        // The first failure is the cause; those after it only say that the transaction is aborted.
        let (a, b, c, d, e, f, g, h, i, j, k, l, linked, committed) = results;
        for result in [a, b, c, d, e, f, g, h, i, j, k, l] {
            result?;
        }
        let number = linked?;
        committed?;
        Ok(number)
    }

    async fn commit(&self) -> Result<(), Error> {
        runtime::crash!("crash::commit_not_sent", once_written).await;
        self.client.batch_execute("COMMIT").await
    }

    /// Ends a transaction that has nothing to write.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn rollback(&self) -> Result<(), BatchError> {
        self.client.batch_execute("ROLLBACK").await.map_err(BatchError::Broken)
    }
}

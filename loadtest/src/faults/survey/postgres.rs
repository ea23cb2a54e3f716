//! What the shards' databases have. Nothing is written.

use std::collections::HashMap;

use anyhow::{Context, Result};
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

use super::{Line, OpenRow, Row};
use crate::faults::history::{Folded, RequestId};
use crate::faults::world::World;

/// The number of the state in which a reservation waits for its client.
const HELD: i16 = 2;

const NEW_DEBITS: &str = "SELECT t.debit_account, t.debit_entry, t.debit_balance, t.amount, t.id, t.message, \
     t.credit_account FROM unnest($1::bigint[], $2::bigint[]) AS known (account, entry) \
     JOIN transfers t ON t.debit_account = known.account AND t.debit_entry > known.entry \
     ORDER BY t.debit_account, t.debit_entry";
const NEW_CREDITS: &str = "SELECT t.credit_account, t.credit_entry, t.credit_balance, t.amount, t.id, t.message, \
     t.debit_account FROM unnest($1::bigint[], $2::bigint[]) AS known (account, entry) \
     JOIN transfers t ON t.credit_account = known.account AND t.credit_entry > known.entry \
     ORDER BY t.credit_account, t.credit_entry";
const ACCOUNTS: &str = "SELECT id, balance, reserved, entry_count FROM accounts WHERE id = ANY($1::bigint[])";
const ROWS: &str = "SELECT id, state, amount FROM transfers WHERE id = ANY($1::uuid[])";
const OPEN: &str = "SELECT transfer_id, debit_account, amount, state FROM reservations";

/// A connection to each shard's database, past all proxies.
pub struct Databases(Vec<Client>);

/// An account's row.
#[derive(Debug, Clone, Copy)]
pub struct Stored {
    /// All money in it.
    pub balance: i64,
    /// What of it is set aside.
    pub reserved: i64,
    /// How many entries it has.
    pub entries: i64,
}

impl Databases {
    /// Connects to all shards, in their order.
    ///
    /// # Errors
    /// One cannot be reached.
    pub async fn connect(urls: &[String]) -> Result<Self> {
        let mut clients = Vec::with_capacity(urls.len());
        for url in urls {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await.context("a shard's PostgreSQL")?;
            // A connection that breaks fails the next question.
            tokio::spawn(async move { drop(connection.await) });
            client.batch_execute("SET default_transaction_read_only = on").await?;
            clients.push(client);
        }
        Ok(Self(clients))
    }

    /// The reservations of all shards.
    ///
    /// # Errors
    /// A shard cannot be read.
    pub async fn open(&self) -> Result<Vec<OpenRow>> {
        let mut open = vec![];
        for (shard, client) in self.0.iter().enumerate() {
            for row in client.query(OPEN, &[]).await? {
                open.push(OpenRow {
                    shard,
                    transfer: row.get(0),
                    debit: u64::try_from(row.get::<_, i64>(1))?,
                    amount: row.get(2),
                    is_held: row.get::<_, i16>(3) == HELD,
                });
            }
        }
        Ok(open)
    }

    /// The terminal transfers of these ids.
    ///
    /// # Errors
    /// A shard cannot be read.
    pub async fn rows(&self, transfers: &[Uuid]) -> Result<HashMap<Uuid, Vec<Row>>> {
        let mut rows: HashMap<Uuid, Vec<Row>> = HashMap::new();
        for (shard, client) in self.0.iter().enumerate() {
            for row in client.query(ROWS, &[&transfers]).await? {
                let found = Row { shard, state: row.get(1), amount: row.get(2) };
                rows.entry(row.get(0)).or_default().push(found);
            }
        }
        Ok(rows)
    }

    /// The accounts, by place.
    ///
    /// # Errors
    /// A shard cannot be read, or lacks one.
    pub async fn accounts(&self, world: &World) -> Result<Vec<Stored>> {
        let mut stored: HashMap<i64, Stored> = HashMap::new();
        for client in &self.0 {
            for row in client.query(ACCOUNTS, &[&ids(world)?]).await? {
                let found = Stored { balance: row.get(1), reserved: row.get(2), entries: row.get(3) };
                stored.insert(row.get(0), found);
            }
        }
        let ids = ids(world)?.into_iter();
        ids.map(|id| stored.get(&id).copied().with_context(|| format!("no shard has account {id}"))).collect()
    }

    /// The entries after those known, by account and entry.
    ///
    /// # Errors
    /// A shard cannot be read.
    pub async fn lines(&self, world: &World, known: &[Folded]) -> Result<Vec<Line>> {
        let ids = ids(world)?;
        let places: HashMap<i64, u32> = ids.iter().copied().zip(0..).collect();
        let known: Vec<i64> = known.iter().map(|known| known.entries).collect();
        let mut lines = vec![];
        for client in &self.0 {
            for (statement, is_debit) in [(NEW_DEBITS, true), (NEW_CREDITS, false)] {
                for row in client.query(statement, &[&ids, &known]).await? {
                    lines.push(line(&row, &places, is_debit)?);
                }
            }
        }
        lines.sort_by_key(|line: &Line| (line.account, line.entry));
        Ok(lines)
    }

    /// Each shard's connection, for a story.
    pub fn clients(&self) -> &[Client] {
        &self.0
    }
}

fn ids(world: &World) -> Result<Vec<i64>> {
    world.population.accounts.iter().map(|account| Ok(i64::try_from(account.id)?)).collect()
}

fn line(row: &tokio_postgres::Row, places: &HashMap<i64, u32>, is_debit: bool) -> Result<Line> {
    let message: Option<&str> = row.get(5);
    let other: Option<i64> = row.get(6);
    Ok(Line {
        account: *places.get(&row.get::<_, i64>(0)).context("an account that was not asked for")?,
        entry: row.get(1),
        balance: row.get(2),
        amount: row.get(3),
        is_debit,
        transfer: row.get(4),
        request: message.and_then(RequestId::of_message),
        other: other.map(u64::try_from).transpose()?,
    })
}

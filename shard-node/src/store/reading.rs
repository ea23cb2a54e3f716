//! Reading accounts and transfers, without locks.

use super::codes::{self, Unreadable};
use super::load;
use super::times::to_micros;
use ledger::{Account, Amount, Transfer, UserId};
use placement::{AccountId, Locality, RegionCode, ShardId, TransferId};
use std::collections::HashMap;
use tokio_postgres::{Error, Row};
use uuid::Uuid;
use wire::operation::{OPEN_TRANSFERS_PAGE, OpenTransfersQuery};

pub(super) const ACCOUNTS: &str = "SELECT id, user_id, name, currency, balance, reserved, entry_count, status, created_at \
     FROM accounts WHERE id = ANY($1)";
pub(super) const ACCOUNTS_OF_USER: &str = "SELECT id, user_id, name, currency, balance, reserved, entry_count, status, created_at \
     FROM accounts WHERE id BETWEEN $1 AND $2 AND user_id = $3 ORDER BY created_at, id";
pub(super) const OPEN_TRANSFERS: &str = "SELECT transfer_id, state, debit_account, debit_user, credit_account, amount, \
     currency, message, reference, created_at, amount_reserved, expires_at \
     FROM reservations WHERE debit_account = $1 AND transfer_id > $2 AND state = ANY($3) ORDER BY transfer_id LIMIT $4";
pub(super) const OPEN_TRANSFER: &str = "SELECT transfer_id, state, debit_account, debit_user, credit_account, amount, \
     currency, message, reference, created_at, amount_reserved, expires_at FROM reservations WHERE transfer_id = $1";
pub(super) const TERMINAL_TRANSFER: &str = "SELECT transfers.id, kind, state, reason, debit_account, credit_account, \
     amount, transfers.currency, message, reference, transfers.created_at, decided_at, \
     debit.user_id, credit.user_id, remote_user, amount_reserved, expires_at \
     FROM transfers LEFT JOIN accounts debit ON debit.id = debit_account \
     LEFT JOIN accounts credit ON credit.id = credit_account \
     WHERE transfers.id = $1";

/// A read failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// PostgreSQL failed: ask again.
    #[error("PostgreSQL failed")]
    Postgres(#[from] Error),
    /// No connection was free in time: ask again.
    #[error("no connection was free in time")]
    Pool(#[from] deadpool_postgres::PoolError),
    /// No answer came in time: ask again.
    #[error("PostgreSQL did not answer in time")]
    Silent,
    /// A row cannot be understood.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

/// The accounts among `ids` that are here.
pub async fn accounts(
    client: &tokio_postgres::Client,
    statement: &tokio_postgres::Statement,
    ids: &[i64],
) -> Result<HashMap<AccountId, Account>, ReadError> {
    let rows = client.query(statement, &[&ids]).await?;
    Ok(load::accounts(&rows)?)
}

/// The statement of [`accounts`], prepared on a connection of the caller's own.
pub async fn prepare_accounts(client: &tokio_postgres::Client) -> Result<tokio_postgres::Statement, Error> {
    client.prepare(ACCOUNTS).await
}

/// One account, if it is here.
pub async fn account(client: &deadpool_postgres::Client, id: AccountId) -> Result<Option<Account>, ReadError> {
    let statement = client.prepare_cached(ACCOUNTS).await?;
    Ok(accounts(client, &statement, &[id.as_i64()]).await?.remove(&id))
}

/// The user's accounts in the region, oldest first.
pub async fn accounts_of_user(
    client: &deadpool_postgres::Client,
    region: RegionCode,
    locality: Locality,
    user: &UserId,
) -> Result<Vec<Account>, ReadError> {
    let range = AccountId::locality_range(region, locality);
    let statement = client.prepare_cached(ACCOUNTS_OF_USER).await?;
    let (low, high) = (range.start().as_i64(), range.end().as_i64());
    let rows = client.query(&statement, &[&low, &high, &user.as_str()]).await?;
    Ok(rows.iter().map(load::account).collect::<Result<_, _>>()?)
}

/// The open transfers of a debit account, oldest first: those asked for, of which no more than a page is read, and one.
pub async fn open_transfers(
    client: &deadpool_postgres::Client,
    query: &OpenTransfersQuery,
    shard: ShardId,
) -> Result<Vec<Transfer>, ReadError> {
    let statement = client.prepare_cached(OPEN_TRANSFERS).await?;
    let states: Vec<i16> = query.states.iter().flat_map(|state| codes::open_state_codes(*state)).collect();
    let after = query.after.map_or_else(Uuid::nil, TransferId::uuid);
    let limit = i64::from(query.limit.min(OPEN_TRANSFERS_PAGE + 1));
    let rows = client.query(&statement, &[&query.account_id.as_i64(), &after, &states, &limit]).await?;
    Ok(rows.iter().map(|row| pending(row, shard)).collect::<Result<_, _>>()?)
}

/// One transfer as it stands. Open first: a transfer leaves the reservations and enters the terminal ones in
/// one transaction, so looking in this order cannot miss it.
pub async fn transfer(
    client: &deadpool_postgres::Client,
    id: TransferId,
    shard: ShardId,
) -> Result<Option<Transfer>, ReadError> {
    let statement = client.prepare_cached(OPEN_TRANSFER).await?;
    if let Some(row) = client.query_opt(&statement, &[&id.uuid()]).await? {
        return Ok(Some(pending(&row, shard)?));
    }
    let statement = client.prepare_cached(TERMINAL_TRANSFER).await?;
    let row = client.query_opt(&statement, &[&id.uuid()]).await?;
    Ok(row.as_ref().map(terminal).transpose()?)
}

fn pending(row: &Row, shard: ShardId) -> Result<Transfer, Unreadable> {
    load::reservation(row, shard).map(|reservation| reservation.as_transfer())
}

/// The order of the columns of [`TERMINAL_TRANSFER`], also used by the relay of events.
pub(super) fn terminal(row: &Row) -> Result<Transfer, Unreadable> {
    let debit_account_id = row.get::<_, Option<i64>>(4).map(load::account_id).transpose()?;
    let credit_account_id = row.get::<_, Option<i64>>(5).map(load::account_id).transpose()?;
    let user = |column: usize| row.get::<_, Option<String>>(column).map(codes::user_id).transpose();
    let (debit_user, credit_user, remote_user) = (user(12)?, user(13)?, user(14)?);
    let decided_at = to_micros(row.get(11));
    let currency: &str = row.get(7);
    Ok(Transfer {
        id: load::transfer_id(row.get(0))?,
        kind: codes::kind(row.get(1))?,
        state: codes::state(row.get(2))?,
        reason: row.get::<_, Option<i16>>(3).map(codes::rejection).transpose()?,
        debit_account_id,
        credit_account_id,
        amount: Amount(row.get(6)),
        currency: currency.parse().map_err(Unreadable::because)?,
        message: row.get(8),
        reference: row.get(9),
        created_at: row.get::<_, Option<jiff::Timestamp>>(10).map_or(decided_at, to_micros),
        decided_at: Some(decided_at),
        // Whoever holds an account that is not here is the remote one.
        debit_user_id: debit_user.or_else(|| debit_account_id.and(remote_user.clone())),
        credit_user_id: credit_user.or_else(|| credit_account_id.and(remote_user)),
        hold: load::hold(row, 15),
    })
}

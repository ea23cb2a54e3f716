//! What is there: read from the shards' own databases, and through the API, while nothing moves.

mod api;
mod postgres;

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result};
use audit::{KeptChains, Limits, ShardTarget};
use placement::ShardId;
use uuid::Uuid;

pub use postgres::Databases;

use super::history::{Folded, RequestId};
use super::world::World;

/// An entry: one side of a posting as its account sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// The account, as a place in the population.
    pub account: u32,
    /// Its number.
    pub entry: i64,
    /// The account's balance after it.
    pub balance: i64,
    /// How much moved.
    pub amount: i64,
    /// Whether it left the account.
    pub is_debit: bool,
    /// The transfer.
    pub transfer: Uuid,
    /// The request that the message names.
    pub request: Option<RequestId>,
    /// The other account's id; none for a deposit.
    pub other: Option<u64>,
}

/// A terminal transfer as one shard has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The shard, as a place.
    pub shard: usize,
    /// 2 posted, 3 released, 4 rejected.
    pub state: i16,
    /// How much.
    pub amount: i64,
}

/// A reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenRow {
    /// The shard, as a place.
    pub shard: usize,
    /// Its transfer.
    pub transfer: Uuid,
    /// The debit account's id.
    pub debit: u64,
    /// How much.
    pub amount: i64,
    /// Whether it waits for its client, not for another shard.
    pub is_held: bool,
}

/// An account as its database and both routers show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountNow {
    /// In the database.
    pub balance: i64,
    /// In the database.
    pub reserved: i64,
    /// In the database.
    pub entries: i64,
    /// Balance and reserved through each router.
    pub shown: Vec<(i64, i64)>,
}

/// All of it.
#[derive(Debug, Clone)]
pub struct Survey {
    /// How long after the heal the last saga was closed; none if some stayed open for as long as they may.
    pub sagas_closed_after: Option<Duration>,
    /// The entries since the last check, from the databases, by account and entry.
    pub lines: Vec<Line>,
    /// The same through the API.
    pub shown: Vec<Line>,
    /// By place.
    pub accounts: Vec<AccountNow>,
    /// The terminal transfers of live requests, by id.
    pub rows: HashMap<Uuid, Vec<Row>>,
    /// The reservations.
    pub open: Vec<OpenRow>,
    /// What the audit has found broken, one line each.
    pub broken: Vec<String>,
    /// How many invariants the audit looked at.
    pub audited: u64,
}

/// A shard's database, for the audit.
#[derive(Debug, Clone)]
pub struct ShardUrl {
    /// The shard.
    pub id: u16,
    /// Connection parameters in libpq's form.
    pub postgres: String,
}

/// Reads everything that has come since the last check. The ends of the shards' chains are to be in `kept` again the next
/// time.
///
/// # Errors
/// Something does not answer although all is well again.
pub async fn take(
    world: &World,
    shards: &[ShardUrl],
    sagas_closed_after: Option<Duration>,
    kept: &mut Vec<KeptChains>,
) -> Result<Survey> {
    let urls: Vec<String> = shards.iter().map(|shard| shard.postgres.clone()).collect();
    let databases = Databases::connect(&urls).await?;
    let known = world.history.borrow().accounts.clone();
    let transfers: Vec<Uuid> = world.history.borrow().live().filter_map(|(_, request)| request.transfer()).collect();
    let (lines, shown) = (databases.lines(world, &known).await?, api::lines(world, &known).await?);
    let stored = databases.accounts(world).await?;
    let accounts = stored.into_iter().zip(api::accounts(world).await?);
    let report = audit(shards, kept).await?;
    Ok(Survey {
        sagas_closed_after,
        lines,
        shown,
        accounts: accounts
            .map(|(stored, shown)| AccountNow {
                balance: stored.balance,
                reserved: stored.reserved,
                entries: stored.entries,
                shown,
            })
            .collect(),
        rows: databases.rows(&transfers).await?,
        open: databases.open().await?,
        broken: report.broken().map(broken).collect(),
        audited: u64::try_from(report.invariants()).unwrap_or(u64::MAX),
    })
}

/// Reads all entries of all accounts again, from the first one on: what the API shows, and what is booked.
///
/// # Errors
/// As [`take`].
pub async fn all_lines(world: &World, shards: &[ShardUrl]) -> Result<[Vec<Line>; 2]> {
    let urls: Vec<String> = shards.iter().map(|shard| shard.postgres.clone()).collect();
    let from_the_start = vec![Folded::NEW; world.population.accounts.len()];
    let booked = Databases::connect(&urls).await?.lines(world, &from_the_start).await?;
    Ok([api::lines(world, &from_the_start).await?, booked])
}

/// The invariants that data alone shows, those of the chains of batches included.
async fn audit(shards: &[ShardUrl], kept: &mut Vec<KeptChains>) -> Result<audit::Report> {
    let mut targets = Vec::with_capacity(shards.len());
    for shard in shards {
        targets.push(ShardTarget { shard: ShardId::try_from(shard.id)?, postgres: shard.postgres.parse()? });
    }
    let report =
        audit::audit(&targets, &Limits::default(), &|_| ()).await.context("the audit cannot read the shards")?;
    let chains = audit::verify_chains(&targets, kept, &|_| ()).await.context("the chains cannot be read")?;
    let ends = chains.shards.iter().map(|shard| {
        let (since, heads) = (shard.since, shard.heads.clone());
        KeptChains { shard: shard.shard, since, heads }
    });
    *kept = ends.collect();
    Ok(report.with(chains.checks()))
}

fn broken(check: &audit::CheckResult) -> String {
    let place = check.shard.map_or_else(|| "all shards".to_owned(), |shard| format!("shard {shard}"));
    let first = check.first.as_deref().unwrap_or("no example");
    format!("{} on {place}: {} violations, such as: {first}", check.invariant, check.violations)
}

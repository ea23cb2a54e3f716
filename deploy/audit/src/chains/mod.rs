//! The chains of committed batches, and the rows that they account for.
//!
//! Each shard is read in one snapshot, as streams: its batches in the order of each chain, then its rows in whatever
//! order they lie. What the batches list and what the rows are is summed up in a fixed number of buckets; only where
//! the two sums of a bucket differ are its rows compared one by one, in a second reading of the same snapshot. So the
//! memory needed does not grow with the shard. Keys are forgotten after some time, so they are compared along their time.
//!
//! What a chain cannot show by itself is that its last batches are gone together with their rows, as after a restore
//! of an old backup. Kept heads show it, and so do the halves of transfers that other shards still have.

mod batches;
mod breach;
mod changing;
mod kept;
mod keys;
mod links;
mod names;
mod pages;
mod rows;
mod start;
mod sums;

use std::cell::Cell;
use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use placement::ShardId;
use serde::Serialize;

use crate::snapshot::Snapshot;
use crate::{AuditError, CheckResult, Invariant, Progress, ShardTarget, connect};
pub use breach::{Breach, RowId, Table};
pub use kept::KeptChains;
use links::Links;
pub use start::Since;
use sums::Sums;

/// The tables whose batches and rows are summed up.
const SUMMED: [Table; 4] = [Table::Transfers, Table::Inbox, Table::Accounts, Table::Reservations];

/// What PostgreSQL believes of its tables; numbers of batches have no gap.
const EXPECTED: &str = "SELECT coalesce((SELECT sum(number) FROM \
         (SELECT max(number) AS number FROM batches GROUP BY writer) AS last), 0)::bigint, \
     coalesce((SELECT sum(greatest(reltuples, 0)) FROM pg_class LEFT JOIN pg_inherits ON inhrelid = oid \
         WHERE inhparent IN ('transfers'::regclass, 'inbox'::regclass) \
         OR oid IN ('idempotency'::regclass, 'accounts'::regclass, 'reservations'::regclass)), 0)::bigint";

/// Breaches that are named for each shard; the others are only counted.
const NAMED_MAX: usize = 100;

/// What the chains of all shards have come to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChainReport {
    /// Whether nothing was changed, added or removed.
    pub holds: bool,
    /// Each shard.
    pub shards: Vec<ShardChains>,
}

impl ChainReport {
    /// The same as results of checks, two for each shard.
    pub fn checks(&self) -> Vec<CheckResult> {
        self.shards.iter().flat_map(|shard| [shard.links(), shard.rows()]).collect()
    }
}

/// What the chains of one shard have come to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShardChains {
    /// The shard.
    pub shard: ShardId,
    /// Rows made before then may stand in no batch.
    #[serde(flatten)]
    pub since: Since,
    /// Batches read.
    pub batches: u64,
    /// Rows read.
    pub rows: u64,
    /// Those of them that are from before the chains: nothing is proved of them.
    pub rows_before: u64,
    /// The same for each table that has some.
    pub rows_before_by_table: BTreeMap<Table, u64>,
    /// The end of each chain. Keep them elsewhere to be able to show later that no chain was cut or written anew.
    pub heads: Vec<ChainHead>,
    /// Breaches found. A lower bound if `more` is set.
    pub violations: u64,
    /// So much differs that not all of it was compared row by row.
    pub more: bool,
    /// The first of them, a hundred at most.
    pub breaches: Vec<Breach>,
    #[serde(skip)]
    broken_links: u64,
}

/// The last batch of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct ChainHead {
    /// Whose chain: a lane of a replica.
    pub writer: i32,
    /// The batch's number.
    pub number: i64,
    /// Its hash, in hexadecimal digits.
    pub hash: String,
}

impl ShardChains {
    fn new(shard: ShardId, since: Since) -> Self {
        ShardChains {
            shard,
            since,
            batches: 0,
            rows: 0,
            rows_before: 0,
            rows_before_by_table: BTreeMap::new(),
            heads: Vec::new(),
            violations: 0,
            more: false,
            breaches: Vec::new(),
            broken_links: 0,
        }
    }

    fn breach(&mut self, breach: Breach) {
        self.violations += 1;
        self.broken_links += u64::from(breach.is_of_the_chain());
        if self.breaches.len() < NAMED_MAX {
            self.breaches.push(breach);
        }
    }

    /// Nothing is proved of a row of this table.
    fn before(&mut self, table: Table) {
        self.rows_before += 1;
        *self.rows_before_by_table.entry(table).or_default() += 1;
    }

    fn links(&self) -> CheckResult {
        self.check(Invariant::ChainUnbroken, self.batches, self.broken_links, Breach::is_of_the_chain)
    }

    fn rows(&self) -> CheckResult {
        let violations = self.violations - self.broken_links;
        self.check(Invariant::RowsAsChained, self.rows, violations, |breach| !breach.is_of_the_chain())
    }

    fn check(&self, invariant: Invariant, checked: u64, violations: u64, of: fn(&Breach) -> bool) -> CheckResult {
        let first = self.breaches.iter().find(|breach| of(breach)).map(Breach::to_string);
        CheckResult { checked, violations, first, ..CheckResult::of(invariant, Some(self.shard)) }
    }
}

/// Verifies the chains of the shards, and by them all rows of the tables of [`Table`]. `kept` are heads that were found
/// earlier, which must still be there. `progress` is called after each page.
///
/// Takes one connection to each shard and a snapshot that stays open meanwhile; each shard may be verified by itself.
///
/// # Errors
/// [`AuditError`]: a shard could not be read, or a newer version has written its chains. Breaches are in the report.
pub async fn verify_chains(
    targets: &[ShardTarget],
    kept: &[KeptChains],
    progress: &dyn Fn(Progress),
) -> Result<ChainReport, AuditError> {
    let meter = Meter { progress, come: Cell::new(Progress { done: 0, total: 0, checked: 0 }) };
    let verified = targets.iter().map(|target| {
        let kept = kept.iter().find(|kept| kept.shard == target.shard);
        verify_shard(target, kept, &meter)
    });
    let shards = try_join_all(verified).await?;
    Ok(ChainReport { holds: shards.iter().all(|shard| shard.violations == 0), shards })
}

async fn verify_shard(
    target: &ShardTarget,
    kept: Option<&KeptChains>,
    meter: &Meter<'_>,
) -> Result<ShardChains, AuditError> {
    let mut client = connect(target).await?;
    let (snapshot, _) = Snapshot::take(&mut client, target.shard).await?;
    let since = Since::read(&snapshot).await?;
    let mut found = ShardChains::new(target.shard, since);
    if kept.is_some_and(|kept| !since.is_as_kept(&kept.since)) {
        found.breach(Breach::StartMoved);
    }
    meter.expect(&snapshot).await?;
    let sums = sum_up(&snapshot, kept, meter, &mut found).await?;
    for (table, sums) in SUMMED.into_iter().zip(&sums) {
        names::find(table, sums, &snapshot, meter, &mut found).await?;
    }
    keys::compare(&snapshot, meter, &mut found).await?;
    Ok(found)
}

/// Follows the chains, and sums up what they list and what is there.
async fn sum_up(
    snapshot: &Snapshot<'_>,
    kept: Option<&KeptChains>,
    meter: &Meter<'_>,
    found: &mut ShardChains,
) -> Result<[Sums; SUMMED.len()], AuditError> {
    let mut sums = SUMMED.map(|_| Sums::new());
    let mut links = Links::new(kept);
    batches::read(snapshot, meter, |batch| {
        links.follow(batch, found)?;
        SUMMED.into_iter().zip(&mut sums).for_each(|(table, sums)| sums.add(batch.changes(table)));
        Ok(())
    })
    .await?;
    links.end(found);
    for (table, sums) in SUMMED.into_iter().zip(&mut sums) {
        let since = found.since.of(table);
        rows::read(snapshot, table, meter, |row| {
            found.rows += 1;
            match row.is_before(since) {
                true => found.before(table),
                false => sums.find(&row.listed),
            }
        })
        .await?;
    }
    Ok(sums)
}

/// How far all shards have come.
struct Meter<'a> {
    progress: &'a dyn Fn(Progress),
    come: Cell<Progress>,
}

impl Meter<'_> {
    /// Looks how much there will be to read.
    async fn expect(&self, snapshot: &Snapshot<'_>) -> Result<(), AuditError> {
        let row = snapshot.transaction.query_one(EXPECTED, &[]).await;
        let row = row.map_err(AuditError::asking(snapshot.shard, "the sizes of its tables"))?;
        let expected = row.get::<_, i64>(0).saturating_add(row.get(1));
        self.add(0, usize::try_from(expected).unwrap_or(0));
        Ok(())
    }

    /// Some batches or rows were read.
    fn read(&self, pieces: usize) {
        self.add(pieces, 0);
    }

    fn add(&self, done: usize, expected: usize) {
        let mut come = self.come.get();
        come.done += done;
        come.checked = u64::try_from(come.done).unwrap_or(u64::MAX);
        // What is expected is an estimate, and what differs is read again.
        come.total = come.total.saturating_add(expected).max(come.done);
        self.come.set(come);
        (self.progress)(come);
    }
}

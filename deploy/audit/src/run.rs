//! The audit itself.

use std::cell::Cell;
use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use placement::ShardId;

use crate::books::Books;
use crate::owners::one_owner;
use crate::pairing::{Paired, Pairing};
use crate::placing::accounts_in_place;
use crate::probes::{Probe, probes};
use crate::snapshot::{Shard, Snapshot};
use crate::{AuditError, CheckResult, Invariant, Limits, Progress, Report, ShardTarget, Survey, connect};

/// Reads the shards and checks everything that can be read from data. `progress` is called after each check.
///
/// Takes a snapshot of each shard that stays open meanwhile, and two connections to each. All shards of the topology
/// must be given, even if [`Limits`] names only some.
///
/// # Errors
/// [`AuditError`]: a shard could not be read, or one is missing. Broken invariants are in the report.
pub async fn audit(
    targets: &[ShardTarget],
    limits: &Limits,
    progress: &dyn Fn(Progress),
) -> Result<Report, AuditError> {
    let mut for_snapshots = try_join_all(targets.iter().map(connect)).await?;
    let for_the_present = try_join_all(targets.iter().map(connect)).await?;
    let taken = for_snapshots.iter_mut().zip(targets).map(|(client, target)| Snapshot::take(client, target.shard));
    let (snapshots, surveys): (Vec<_>, Vec<_>) = try_join_all(taken).await?.into_iter().unzip();
    let survey = Survey::of(surveys)?;
    if let Some(missing) = survey.missing() {
        return Err(AuditError::Missing(missing));
    }
    let shards = snapshots.into_iter().zip(&for_the_present).map(|(snapshot, present)| {
        let region = survey.region_of(snapshot.shard).ok_or(AuditError::Superfluous(snapshot.shard))?;
        Ok(Shard { snapshot, present, region })
    });
    let shards: Vec<Shard<'_>> = shards.collect::<Result<_, AuditError>>()?;
    Audit::new(&shards, &survey, limits, progress).run().await
}

struct Audit<'a, 'c> {
    shards: &'a [Shard<'c>],
    audited: Vec<&'a Shard<'c>>,
    survey: &'a Survey,
    limits: &'a Limits,
    probes: Vec<Probe>,
    progress: &'a dyn Fn(Progress),
    come: Cell<Progress>,
}

/// What is asked of a shard beside the probes: the books, the places of accounts, the pairs.
const OTHER_QUESTIONS: usize = 3;

impl<'a, 'c> Audit<'a, 'c> {
    fn new(shards: &'a [Shard<'c>], survey: &'a Survey, limits: &'a Limits, progress: &'a dyn Fn(Progress)) -> Self {
        let probes = probes(limits);
        let audited: Vec<_> = shards.iter().filter(|shard| limits.includes(shard.id())).collect();
        let total = audited.len() * (probes.len() + OTHER_QUESTIONS) + 1;
        let come = Cell::new(Progress { done: 0, total, checked: 0 });
        Audit { shards, audited, survey, limits, probes, progress, come }
    }

    async fn run(self) -> Result<Report, AuditError> {
        let mut results = vec![one_owner(self.shards, self.survey, self.limits).await?];
        self.tell(&results);
        let within = try_join_all(self.audited.iter().map(|shard| self.within(shard))).await?;
        let pairing = Pairing { shards: self.shards, survey: self.survey, limits: self.limits };
        let paired = try_join_all(self.audited.iter().map(|shard| self.pairs(&pairing, shard))).await?;
        if self.limits.is_everything() {
            let mut all = Books::default();
            within.iter().for_each(|(books, _)| all.add(books));
            results.push(all.check(CheckResult::of(Invariant::BooksAtZero, None)));
            results.push(clearing(&all, &paired));
        }
        results.extend(within.into_iter().flat_map(|(_, results)| results));
        results.extend(paired.into_iter().flat_map(|paired| paired.results));
        let taken_at = self.shards.iter().map(|shard| shard.snapshot.taken_at).min().ok_or(AuditError::NoShards)?;
        let audited: Vec<ShardId> = self.audited.iter().map(|shard| shard.id()).collect();
        Ok(Report::new(results, taken_at, self.survey.topology.version, audited))
    }

    /// What is exact within a shard, one question after the other.
    async fn within(&self, shard: &Shard<'_>) -> Result<(Books, Vec<CheckResult>), AuditError> {
        let snapshot = &shard.snapshot;
        let mut results = Vec::new();
        let mut books = Books::default();
        if self.limits.slots.is_none() {
            books = Books::read(snapshot).await?;
            results.push(books.check(CheckResult::of(Invariant::BooksAtZero, Some(shard.id()))));
        }
        self.tell(&results);
        for probe in &self.probes {
            let result = probe.ask(snapshot, self.limits).await?;
            self.tell(std::slice::from_ref(&result));
            results.push(result);
        }
        let claims = self.survey.shards.iter().find(|surveyed| surveyed.shard == shard.id());
        let claims = claims.map_or(&[][..], |surveyed| &surveyed.claims);
        let placed = accounts_in_place(snapshot, shard.region, claims, self.limits).await?;
        self.tell(std::slice::from_ref(&placed));
        results.push(placed);
        Ok((books, results))
    }

    async fn pairs(&self, pairing: &Pairing<'_, '_>, shard: &Shard<'_>) -> Result<Paired, AuditError> {
        let paired = pairing.of(shard).await?;
        self.tell(&paired.results);
        Ok(paired)
    }

    fn tell(&self, results: &[CheckResult]) {
        let mut come = self.come.get();
        come.done += 1;
        come.checked += results.iter().map(|result| result.checked).sum::<u64>();
        self.come.set(come);
        (self.progress)(come);
    }
}

/// All clearing accounts together must be what the snapshots have by one half only.
fn clearing(all: &Books, paired: &[Paired]) -> CheckResult {
    let mut between: BTreeMap<&str, i128> = BTreeMap::new();
    for (currency, sum) in paired.iter().flat_map(|paired| &paired.between) {
        *between.entry(currency).or_default() += sum;
    }
    let mut result = CheckResult::of(Invariant::ClearingExplained, None);
    for (currency, sums) in &all.0 {
        let expected = between.get(currency.as_str()).copied().unwrap_or_default();
        let found = sums.clearing;
        result
            .count((found != expected).then(|| {
                format!("{currency}: clearing comes to {found}, open transfers between shards to {expected}")
            }));
    }
    result
}

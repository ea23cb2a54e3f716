//! The two halves of transfers between shards: each must have its other half.
//!
//! The halves of one shard are read from its snapshot, a page at a time, and looked up in the snapshots of the shards
//! that have the other halves. What is not there may only be too new: those are asked for again in the present.

mod found;
mod half;
mod judge;
mod suspicion;

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use placement::ShardId;

use crate::snapshot::Shard;
use crate::{AuditError, CheckResult, Invariant, Limits, Survey};
use found::Found;
use half::{Half, Role};
use judge::Verdict;
use suspicion::Suspicions;

/// Halves read, and looked up, at a time.
const PAGE: i32 = 1_000;

/// What the halves of one shard came to.
pub(crate) struct Paired {
    pub results: Vec<CheckResult>,
    /// By currency: what was debited and credited by one snapshot only, and so must stand in clearing. Debits count
    /// as positive, as they do there.
    pub between: BTreeMap<String, i128>,
}

/// Pairs the halves that one shard has.
pub(crate) struct Pairing<'a, 'c> {
    pub shards: &'a [Shard<'c>],
    pub survey: &'a Survey,
    pub limits: &'a Limits,
}

impl Pairing<'_, '_> {
    /// Reads all halves of `shard` and looks the others up.
    pub async fn of(&self, shard: &Shard<'_>) -> Result<Paired, AuditError> {
        let failed = || AuditError::asking(shard.id(), "its transfers with other shards");
        let transaction = &shard.snapshot.transaction;
        let portal = transaction.bind(&half::sql(), &[&self.limits.slot_numbers()]).await.map_err(failed())?;
        let mut tally = Tally::new(shard.id());
        loop {
            let rows = transaction.query_portal(&portal, PAGE).await.map_err(failed())?;
            if rows.is_empty() {
                return Ok(tally.done());
            }
            let halves = rows.iter().map(|row| Half::read(row, shard.id())).collect::<Result<Vec<_>, _>>()?;
            self.page(halves, &mut tally).await?;
        }
    }

    async fn page(&self, halves: Vec<Half>, tally: &mut Tally) -> Result<(), AuditError> {
        let mut by_peer: BTreeMap<Option<usize>, Vec<Half>> = BTreeMap::new();
        for half in halves {
            by_peer.entry(self.peer(&half)).or_default().push(half);
        }
        let looked_up = try_join_all(by_peer.into_iter().map(|(peer, halves)| self.look_up(peer, halves))).await?;
        let mut suspicions = Suspicions::default();
        for (half, verdict) in looked_up.into_iter().flatten() {
            match verdict {
                Verdict::Missing => suspicions.add(half),
                Verdict::Open => tally.between(half),
                Verdict::Paired => tally.count(&half, None),
                Verdict::Contradicts(violation) => tally.count(&half, Some(violation)),
            }
        }
        for (half, violation) in suspicions.settle(self.shards).await? {
            match violation {
                None => tally.between(half),
                violation => tally.count(&half, violation),
            }
        }
        Ok(())
    }

    /// The shard that should have the other half.
    fn peer(&self, half: &Half) -> Option<usize> {
        let (region, slot) = half.other_slot()?;
        let (owner, _) = self.survey.owner(region, slot)?;
        self.shards.iter().position(|shard| shard.id() == owner)
    }

    /// Compares halves with the snapshot of the shard at that place.
    async fn look_up(&self, peer: Option<usize>, halves: Vec<Half>) -> Result<Vec<(Half, Verdict)>, AuditError> {
        let Some(peer) = peer.and_then(|place| self.shards.get(place)) else {
            return Ok(halves.into_iter().map(|half| (half, Verdict::Missing)).collect());
        };
        let found = found::look_up(&peer.snapshot.transaction, peer.id(), &halves).await?;
        let nothing = Found::default();
        let judged = halves.into_iter().map(|half| {
            let verdict = judge::judge(&half, found.get(&half.id).unwrap_or(&nothing), peer.id());
            (half, verdict)
        });
        Ok(judged.collect())
    }
}

/// What has been counted so far.
struct Tally {
    results: [CheckResult; 4],
    between: BTreeMap<String, i128>,
}

impl Tally {
    fn new(shard: ShardId) -> Self {
        let result = |invariant| CheckResult::of(invariant, Some(shard));
        let results = [
            result(Invariant::DebitsPaired),
            result(Invariant::CreditsPaired),
            result(Invariant::ReleasesDecided),
            result(Invariant::RefusalsFollowed),
        ];
        Tally { results, between: BTreeMap::new() }
    }

    fn count(&mut self, half: &Half, violation: Option<String>) {
        let invariant = half.role.invariant();
        let result = self.results.iter_mut().find(|result| result.invariant == invariant);
        result.into_iter().for_each(|result| result.count(violation.clone()));
    }

    /// A half that is all right, though the other snapshot does not have its other half.
    fn between(&mut self, half: Half) {
        self.count(&half, None);
        let (Some(amount), Some(currency)) = (half.amount, half.currency) else { return };
        let sum = self.between.entry(currency).or_default();
        match half.role {
            Role::Debit => *sum += i128::from(amount),
            Role::Credit => *sum -= i128::from(amount),
            Role::Release | Role::Refusal => {}
        }
    }

    fn done(self) -> Paired {
        Paired { results: self.results.into(), between: self.between }
    }
}

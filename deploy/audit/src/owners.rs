//! Whether every slot has exactly one owner.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::try_join_all;
use placement::{RegionCode, ShardId, Slot};

use crate::snapshot::Shard;
use crate::{AuditError, CheckResult, Invariant, Limits, ShardSurvey, Survey, survey};

/// A slot that changes hands is seen twice, or not at all, for less than a second.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(300);

/// Counts the owners of each slot; what looks wrong is looked at again.
pub(crate) async fn one_owner(shards: &[Shard<'_>], seen: &Survey, limits: &Limits) -> Result<CheckResult, AuditError> {
    let mut found = wrong(seen, limits);
    for _ in 0..ATTEMPTS {
        if found.is_empty() {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        let now = try_join_all(shards.iter().map(|shard| survey(shard.present, shard.id()))).await?;
        let now = wrong(&Survey::of(now)?, limits);
        // Wrong the whole time is wrong: what was fine once was on its way.
        found.retain(|slot, _| now.contains_key(slot));
    }
    let mut result = CheckResult::of(Invariant::OneOwner, None);
    let regions = seen.topology.regions.iter().filter(|region| has_shards(seen, region.code)).count();
    let slots = limits.slots.as_ref().map_or(Slot::all().len(), Vec::len);
    result.checked = u64::try_from(regions * slots).unwrap_or(u64::MAX);
    found.into_values().for_each(|violation| result.breach(violation));
    Ok(result)
}

fn has_shards(seen: &Survey, region: RegionCode) -> bool {
    seen.shards.iter().any(|shard| seen.region_of(shard.shard) == Some(region))
}

fn wrong(seen: &Survey, limits: &Limits) -> BTreeMap<(RegionCode, Slot), String> {
    let mut wrong = BTreeMap::new();
    for region in seen.topology.regions.iter().filter(|region| has_shards(seen, region.code)) {
        let owners = owners(seen, region.code);
        let wanted = Slot::all().filter(|slot| limits.slots.as_ref().is_none_or(|slots| slots.contains(slot)));
        for slot in wanted {
            let violation = match owners.get(&slot).map_or(&[][..], Vec::as_slice) {
                [_] => continue,
                [] => format!("slot {slot} of {} has no owner", region.name),
                several => {
                    let names: Vec<String> = several.iter().map(|shard| format!("shard {shard}")).collect();
                    format!("slot {slot} of {} is owned by {}", region.name, names.join(" and "))
                }
            };
            wrong.insert((region.code, slot), violation);
        }
    }
    wrong
}

fn owners(seen: &Survey, region: RegionCode) -> BTreeMap<Slot, Vec<ShardId>> {
    let mut owners: BTreeMap<Slot, Vec<ShardId>> = BTreeMap::new();
    let of_region = |shard: &&ShardSurvey| seen.region_of(shard.shard) == Some(region);
    for shard in seen.shards.iter().filter(of_region) {
        for claim in shard.claims.iter().filter(|claim| claim.state.is_owner()) {
            owners.entry(claim.slot).or_default().push(shard.shard);
        }
    }
    owners
}

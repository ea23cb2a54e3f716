//! Whether accounts stand where their ids say, and are those of the users that their ids are made for.

use std::collections::HashSet;

use placement::{AccountId, Locality, RegionCode, Slot, SlotClaim};
use tokio_postgres::Row;

use crate::snapshot::Snapshot;
use crate::{AuditError, CheckResult, Invariant, Limits};

const ACCOUNTS: &str = "SELECT id, slot, user_id FROM accounts WHERE $1::smallint[] IS NULL OR slot = ANY ($1)";

/// Accounts read at a time.
const PAGE: i32 = 10_000;

/// Reads every account's id and holder; PostgreSQL cannot compute slot and locality by itself. The locality is 31 bits of
/// the holder's name: an account that was given to somebody else is noticed, unless that name was searched for.
pub(crate) async fn accounts_in_place(
    snapshot: &Snapshot<'_>,
    region: RegionCode,
    claims: &[SlotClaim],
    limits: &Limits,
) -> Result<CheckResult, AuditError> {
    let failed = || AuditError::asking(snapshot.shard, "its accounts");
    let here: HashSet<Slot> = claims.iter().map(|claim| claim.slot).collect();
    let mut result = CheckResult::of(Invariant::AccountsInPlace, Some(snapshot.shard));
    let portal = snapshot.transaction.bind(ACCOUNTS, &[&limits.slot_numbers()]).await.map_err(failed())?;
    loop {
        let rows = snapshot.transaction.query_portal(&portal, PAGE).await.map_err(failed())?;
        if rows.is_empty() {
            return Ok(result);
        }
        rows.iter().for_each(|row| result.count(misplaced(row, region, &here)));
    }
}

fn misplaced(row: &Row, region: RegionCode, here: &HashSet<Slot>) -> Option<String> {
    let (number, stored, user): (i64, i16, &str) = (row.get(0), row.get(1), row.get(2));
    let Ok(id) = AccountId::try_from(number) else {
        return Some(format!("account {number} has an id that is none"));
    };
    let slot = id.slot();
    if i32::from(stored) != i32::from(slot.get()) {
        Some(format!("account {id} is in slot {stored}, and belongs to slot {slot}"))
    } else if id.region() != region {
        Some(format!("account {id} of region {} is in region {region}", id.region()))
    } else if !here.contains(&slot) {
        Some(format!("account {id} is on a shard that does not have its slot {slot}"))
    } else if id.locality() != Locality::of_user(user) {
        Some(format!("account {id} is said to be of {user}, whose accounts have other ids"))
    } else {
        None
    }
}

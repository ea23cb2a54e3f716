//! What the shards say of themselves: who they are, which slots they have, and the topology they know.

use placement::{Epoch, OwnershipMap, RegionCode, ShardId, Slot, SlotClaim, SlotState, Topology};
use tokio_postgres::GenericClient;

use crate::AuditError;

const IDENTITY: &str = "SELECT shard FROM fence";
const SLOTS: &str = "SELECT slot, epoch, state FROM slot_owner ORDER BY slot";
const TOPOLOGY: &str = "SELECT document FROM topology ORDER BY version DESC LIMIT 1";

/// What one shard says of itself.
#[derive(Debug, Clone)]
pub struct ShardSurvey {
    /// The shard.
    pub shard: ShardId,
    /// The newest topology it knows.
    pub topology: Topology,
    /// All its slots, in every state.
    pub claims: Vec<SlotClaim>,
}

/// Reads what a shard says of itself, with the statements of this client's transaction, if it is in one.
///
/// # Errors
/// [`AuditError`]: it cannot be read, or is another shard's.
pub async fn survey(client: &impl GenericClient, shard: ShardId) -> Result<ShardSurvey, AuditError> {
    let asking = |what| AuditError::asking(shard, what);
    let identity: Option<i32> = client.query_one(IDENTITY, &[]).await.map_err(asking("its identity"))?.get(0);
    if identity != Some(i32::from(shard.get())) {
        let found = identity.map_or("it belongs to none yet".to_owned(), |other| format!("it is shard {other}'s"));
        return Err(AuditError::WrongDatabase { shard, found });
    }
    let document = client.query_opt(TOPOLOGY, &[]).await.map_err(asking("the topology"))?;
    let document = document.ok_or_else(|| AuditError::unreadable(shard, "no topology"))?;
    let topology = serde_json::from_str(document.get(0)).map_err(|error| AuditError::unreadable(shard, error))?;
    let rows = client.query(SLOTS, &[]).await.map_err(asking("its slots"))?;
    let claims = rows.iter().map(|row| claim(shard, row)).collect::<Result<_, _>>()?;
    Ok(ShardSurvey { shard, topology, claims })
}

fn claim(shard: ShardId, row: &tokio_postgres::Row) -> Result<SlotClaim, AuditError> {
    let state = match row.get::<_, i16>(2) {
        0 => SlotState::Active,
        1 => SlotState::Frozen,
        2 => SlotState::Importing,
        3 => SlotState::Moved,
        other => return Err(AuditError::unreadable(shard, format_args!("slot state {other}"))),
    };
    let unreadable = |error| AuditError::unreadable(shard, error);
    let slot = Slot::from_i64(row.get::<_, i16>(0).into()).map_err(unreadable)?;
    Ok(SlotClaim { slot, epoch: Epoch::from_i64(row.get(1)).map_err(unreadable)?, state })
}

/// What all shards say, put together.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The newest topology that any of them knows.
    pub topology: Topology,
    /// Each shard's own words.
    pub shards: Vec<ShardSurvey>,
    owners: OwnershipMap,
}

impl Survey {
    /// Puts together what each shard says.
    ///
    /// # Errors
    /// Shards are missing, or given twice, or unknown to the topology.
    pub fn of(shards: Vec<ShardSurvey>) -> Result<Survey, AuditError> {
        let newest = shards.iter().map(|shard| &shard.topology).max_by_key(|topology| topology.version);
        let topology = newest.ok_or(AuditError::NoShards)?.clone();
        let mut owners = OwnershipMap::default();
        for (place, shard) in shards.iter().enumerate() {
            let is_twice = shards.iter().take(place).any(|earlier| earlier.shard == shard.shard);
            let region = topology.region_of(shard.shard).filter(|_| !is_twice);
            let region = region.ok_or(AuditError::Superfluous(shard.shard))?;
            owners.merge(region.code, shard.shard, &shard.claims);
        }
        Ok(Survey { topology, shards, owners })
    }

    /// The region of one of the shards.
    pub fn region_of(&self, shard: ShardId) -> Option<RegionCode> {
        self.topology.region_of(shard).map(|region| region.code)
    }

    /// Which shard owns a slot, and since which epoch.
    pub fn owner(&self, region: RegionCode, slot: Slot) -> Option<(ShardId, Epoch)> {
        self.owners.owner(region, slot)
    }

    /// The first shard in use that was not read.
    pub fn missing(&self) -> Option<ShardId> {
        let in_use =
            self.topology.shards.iter().filter(|shard| shard.state != placement::topology::ShardState::Retired);
        let mut missing = in_use.filter(|shard| !self.shards.iter().any(|read| read.shard == shard.id));
        missing.next().map(|shard| shard.id)
    }
}

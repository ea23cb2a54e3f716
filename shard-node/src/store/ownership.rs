//! Which slots this shard owns, and the topology it holds.

use super::codes::Unreadable;
use ledger::{Currency, CurrencyRules, Ownership};
use placement::{Epoch, RegionCode, ShardId, Slot, SlotClaim, SlotState, Topology, founding_slots};
use tokio_postgres::GenericClient;

pub(super) const VERSION: &str = "SELECT version, shard FROM fence";
pub(super) const SLOTS: &str = "SELECT slot, epoch, state FROM slot_owner ORDER BY slot";
pub(super) const TOPOLOGY: &str = "SELECT document FROM topology ORDER BY version DESC LIMIT 1";

/// What a shard is and owns, at one version of the fence.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The fence's version that it was read at.
    pub version: i64,
    /// The shard.
    pub shard: ShardId,
    /// Its region.
    pub region: RegionCode,
    /// The slots that may be written.
    pub ownership: Ownership,
    /// All that the shard has to say of slots.
    pub claims: Vec<SlotClaim>,
    /// The topology's currencies.
    pub currencies: Vec<CurrencyRules>,
    /// The topology.
    pub topology: Topology,
}

/// The shard's standing cannot be read or established.
#[derive(Debug, thiserror::Error)]
pub enum StandingError {
    /// PostgreSQL failed.
    #[error("PostgreSQL failed")]
    Postgres(#[from] tokio_postgres::Error),
    /// A row cannot be understood.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// Neither the database nor the configuration has a topology.
    #[error("there is no topology yet: name one with topology.file")]
    NoTopology,
    /// The shard is not in it.
    #[error("the topology has no shard {0}")]
    UnknownShard(ShardId),
    /// The database belongs to another shard.
    #[error("this database belongs to shard {0}")]
    ForeignDatabase(i32),
}

/// Reads the standing in one snapshot.
///
/// # Errors
/// [`StandingError`].
pub async fn read_standing(client: &mut tokio_postgres::Client, shard: ShardId) -> Result<Standing, StandingError> {
    let snapshot = client
        .build_transaction()
        .isolation_level(tokio_postgres::IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    let version: i64 = snapshot.query_one(VERSION, &[]).await?.get(0);
    let topology = newest_topology(&snapshot).await?.ok_or(StandingError::NoTopology)?;
    let rows = snapshot.query(SLOTS, &[]).await?;
    snapshot.commit().await?;
    let region = topology.region_of(shard).ok_or(StandingError::UnknownShard(shard))?.code;
    let claims: Vec<SlotClaim> = rows.iter().map(claim).collect::<Result<_, _>>()?;
    // Only active slots are written: a frozen one is on its way to another shard.
    let active = claims.iter().filter(|claim| claim.state == SlotState::Active).map(|claim| claim.slot);
    let ownership = Ownership::new(region, active);
    let currencies = currency_rules(&topology)?;
    Ok(Standing { version, shard, region, ownership, claims, currencies, topology })
}

fn claim(row: &tokio_postgres::Row) -> Result<SlotClaim, Unreadable> {
    Ok(SlotClaim {
        slot: Slot::from_i64(row.get::<_, i16>(0).into()).map_err(Unreadable::because)?,
        epoch: Epoch::from_i64(row.get(1)).map_err(Unreadable::because)?,
        state: slot_state(row.get(2))?,
    })
}

fn slot_state(code: i16) -> Result<SlotState, Unreadable> {
    match code {
        0 => Ok(SlotState::Active),
        1 => Ok(SlotState::Frozen),
        2 => Ok(SlotState::Importing),
        3 => Ok(SlotState::Moved),
        other => Err(Unreadable(format!("slot state {other}"))),
    }
}

const ACTIVE: i16 = 0;

fn currency_rules(topology: &Topology) -> Result<Vec<CurrencyRules>, Unreadable> {
    let rules = topology.currencies.iter().map(|spec| {
        let currency: Currency = spec.code.parse().map_err(Unreadable::because)?;
        Ok(CurrencyRules { currency, transfer_amount_max: ledger::Amount(spec.transfer_amount_max) })
    });
    rules.collect()
}

async fn newest_topology(client: &impl GenericClient) -> Result<Option<Topology>, StandingError> {
    let Some(row) = client.query_opt(TOPOLOGY, &[]).await? else {
        return Ok(None);
    };
    let topology = serde_json::from_str(row.get(0)).map_err(Unreadable::because)?;
    Ok(Some(topology))
}

/// Makes the database this shard's: installs the topology if it is newer, and at the founding (version
/// 1, no slot yet) claims the slots that the ring proposes. Safe to repeat, and by several replicas at once.
///
/// # Errors
/// [`StandingError`]; nothing is changed then.
pub async fn found(
    client: &mut tokio_postgres::Client,
    shard: ShardId,
    offered: Option<&Topology>,
) -> Result<(), StandingError> {
    let transaction = client.transaction().await?;
    let row = transaction.query_one("SELECT shard FROM fence FOR UPDATE", &[]).await?;
    match row.get::<_, Option<i32>>(0) {
        Some(owner) if owner != i32::from(shard.get()) => return Err(StandingError::ForeignDatabase(owner)),
        Some(_) | None => {}
    }
    let known = newest_topology(&transaction).await?;
    let newer = offered.filter(|offered| known.as_ref().is_none_or(|known| known.version < offered.version));
    if let Some(topology) = newer {
        install(&transaction, topology).await?;
    }
    if let Some(topology) = newer.filter(|topology| known.is_none() && topology.version == 1) {
        claim_founding_slots(&transaction, topology, shard).await?;
    }
    let number = i32::from(shard.get());
    let change = i64::from(newer.is_some());
    let settle = "UPDATE fence SET shard = $1, version = version + $2";
    transaction.execute(settle, &[&number, &change]).await?;
    Ok(transaction.commit().await?)
}

async fn install(client: &impl GenericClient, topology: &Topology) -> Result<(), StandingError> {
    let version = i64::try_from(topology.version).map_err(Unreadable::because)?;
    let document = serde_json::to_string(topology).map_err(Unreadable::because)?;
    let insert = "INSERT INTO topology (version, document, installed_by) VALUES ($1, $2, 'shard-node')";
    client.execute(insert, &[&version, &document]).await?;
    Ok(())
}

async fn claim_founding_slots(
    client: &impl GenericClient,
    topology: &Topology,
    shard: ShardId,
) -> Result<(), StandingError> {
    let slots: Vec<i16> = founding_slots(topology, shard)
        .into_iter()
        .map(|slot| i16::try_from(slot.get()).map_err(Unreadable::because))
        .collect::<Result<_, _>>()?;
    let insert = "INSERT INTO slot_owner (slot, epoch, state) SELECT slot, $2, $3 FROM unnest($1::smallint[]) AS slot \
                  ON CONFLICT (slot) DO NOTHING";
    client.execute(insert, &[&slots, &Epoch::FIRST.as_i64(), &ACTIVE]).await?;
    Ok(())
}

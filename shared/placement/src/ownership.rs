//! The ownership map: who owns each slot, as the shards state it for themselves.
//!
//! It is a cache for finding owners. A wrong entry costs one more call, never money: the owner checks its own
//! row in the same PostgreSQL transaction as every write.

use std::cmp::Reverse;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Epoch, RegionCode, SLOT_COUNT, ShardId, Slot};

/// What a shard's own row says of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotState {
    /// The shard owns the slot.
    Active,
    /// The shard owns the slot and holds its reads and writes for the end of a move.
    Frozen,
    /// The shard is copying the slot and does not own it yet.
    Importing,
    /// The shard owned the slot once.
    Moved,
}

impl SlotState {
    /// Whether the shard that states this owns the slot.
    pub const fn is_owner(self) -> bool {
        match self {
            Self::Active | Self::Frozen => true,
            Self::Importing | Self::Moved => false,
        }
    }
}

/// A shard's statement about one slot of its region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotClaim {
    /// The slot.
    pub slot: Slot,
    /// The ownership generation of the row.
    pub epoch: Epoch,
    /// What the row says.
    pub state: SlotState,
}

/// What is known of a slot's owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    shard: ShardId,
    epoch: Epoch,
    /// The shard said it of itself; otherwise another one did, in a hint.
    first_hand: bool,
}

impl Entry {
    /// The higher rank holds. Two first-hand owners of one epoch would be a defect; then the lower shard id
    /// stands, so that every process that heard both sends to the same one.
    fn rank(self) -> (Epoch, bool, Reverse<ShardId>) {
        (self.epoch, self.first_hand, Reverse(self.shard))
    }
}

/// The owners of one region, by slot; always [`SLOT_COUNT`] long.
type RegionOwners = Arc<Vec<Option<Entry>>>;

/// The owner of every slot of every region, as far as it is known.
///
/// Lookups take constant time. A clone shares what it does not change, so that a new map for a reader costs
/// one copied region. Merging gives the same map in whatever order the claims arrive.
///
/// ```
/// use placement::{Epoch, OwnershipMap, RegionCode, ShardId, Slot, SlotClaim, SlotState};
///
/// let (region, shard, slot) = (RegionCode::try_from(1)?, ShardId::try_from(3)?, Slot::try_from(42)?);
/// let mut map = OwnershipMap::default();
/// assert_eq!(map.owner(region, slot), None);
/// let claim = SlotClaim { slot, epoch: Epoch::FIRST, state: SlotState::Active };
/// assert!(map.merge(region, shard, &[claim]));
/// assert_eq!(map.owner(region, slot), Some((shard, Epoch::FIRST)));
/// # Ok::<(), placement::InvalidId>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnershipMap {
    /// By region code; as long as the highest code that was ever stated.
    regions: Vec<Option<RegionOwners>>,
}

impl OwnershipMap {
    /// The owner of a slot and the epoch since which it is.
    pub fn owner(&self, region: RegionCode, slot: Slot) -> Option<(ShardId, Epoch)> {
        self.entry(region, slot).map(|entry| (entry.shard, entry.epoch))
    }

    /// How many slots of a region have a known owner: [`SLOT_COUNT`] when the map is complete.
    pub fn slots_known(&self, region: RegionCode) -> usize {
        self.owners(region).map_or(0, |owners| owners.iter().flatten().count())
    }

    /// Takes over what a shard states of itself: per slot the highest epoch holds. Returns whether the map
    /// changed. Claims of a state that owns nothing are passed over; the present owner's own claim tells.
    pub fn merge(&mut self, region: RegionCode, shard: ShardId, claims: &[SlotClaim]) -> bool {
        let mut changed = false;
        for claim in claims.iter().filter(|claim| claim.state.is_owner()) {
            changed |= self.learn(region, claim.slot, Entry { shard, epoch: claim.epoch, first_hand: true });
        }
        changed
    }

    /// Takes over a hint: the owner and epoch that another shard named when it answered that the slot is not
    /// its own. A hint weighs less than the owner's own claim of the same epoch. Returns whether the map changed.
    pub fn correct(&mut self, region: RegionCode, slot: Slot, shard: ShardId, epoch: Epoch) -> bool {
        self.learn(region, slot, Entry { shard, epoch, first_hand: false })
    }

    fn learn(&mut self, region: RegionCode, slot: Slot, news: Entry) -> bool {
        if self.entry(region, slot).is_some_and(|known| known.rank() >= news.rank()) {
            return false;
        }
        self.owners_mut(region)[slot.index()] = Some(news);
        true
    }

    fn entry(&self, region: RegionCode, slot: Slot) -> Option<Entry> {
        self.owners(region)?[slot.index()]
    }

    fn owners(&self, region: RegionCode) -> Option<&RegionOwners> {
        self.regions.get(usize::from(region.get()))?.as_ref()
    }

    fn owners_mut(&mut self, region: RegionCode) -> &mut [Option<Entry>] {
        let index = usize::from(region.get());
        if self.regions.len() <= index {
            self.regions.resize(index + 1, None);
        }
        let owners = self.regions[index].get_or_insert_with(|| Arc::new(vec![None; usize::from(SLOT_COUNT)]));
        Arc::make_mut(owners).as_mut_slice()
    }
}

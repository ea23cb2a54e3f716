//! The hash ring: where each slot of a region should live.
//!
//! It only proposes. At the first start it says which shard claims which slot; later it orders the moves of
//! a plan. It is stable across compilers and machines: the hash has a fixed seed, and shards and slots feed
//! it explicit little-endian bytes.

use std::hash::{BuildHasher, Hash, Hasher};

use consistent_hash_ring::RingBuilder;
use xxhash_rust::xxh3::Xxh3;

use crate::topology::{Shard, ShardState};
use crate::{RegionCode, ShardId, Slot, Topology};

/// Virtual nodes of a shard of weight [`WEIGHT_USUAL`]; with few, some shards get far more slots than others.
const VNODES_USUAL: u32 = 160;
/// The weight to which [`VNODES_USUAL`] belongs.
const WEIGHT_USUAL: u32 = 100;
/// Changing it would move almost every slot of every ring.
const SEED: u64 = 0x77616c6c6574;

/// The ring over the active shards of one region.
///
/// ```
/// use placement::{Ring, RegionCode, Slot, Topology};
///
/// let topology: Topology = serde_json::from_str(r#"{
///     "version": 1,
///     "currencies": [{"code": "SGD", "exponent": 0, "transfer_amount_max": 999999}],
///     "regions": [{"name": "sg", "code": 1}],
///     "shards": [{"id": 7, "region": "sg", "weight": 100, "state": "active", "addresses": ["127.0.0.1:8280"]}]
/// }"#)?;
/// let ring = Ring::of_region(&topology, RegionCode::try_from(1)?);
/// assert_eq!(ring.owner(Slot::try_from(0)?).map(|shard| shard.get()), Some(7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Ring {
    inner: consistent_hash_ring::Ring<RingShard, FixedHash>,
}

impl Ring {
    /// Builds the ring of a region. It is empty where the region is unknown or has no active shard.
    pub fn of_region(topology: &Topology, region: RegionCode) -> Self {
        let active = topology.shards_of(region).filter(|shard| shard.state == ShardState::Active);
        let weighted = active.map(|shard| (RingShard(shard.id), vnodes(shard)));
        let inner = RingBuilder::new(FixedHash).weighted_nodes_iter(weighted).build();
        Self { inner }
    }

    /// The shard where a slot should live; none in an empty ring.
    pub fn owner(&self, slot: Slot) -> Option<ShardId> {
        // Not `get`, which panics on an empty ring.
        self.inner.try_get(RingSlot(slot)).map(|shard| shard.0)
    }
}

/// The slots that a shard claims at the first start of the system: those that its region's ring proposes,
/// ascending. None for a shard that the topology does not have as active.
pub fn founding_slots(topology: &Topology, shard: ShardId) -> Vec<Slot> {
    let Some(region) = topology.region_of(shard) else {
        return Vec::new();
    };
    let ring = Ring::of_region(topology, region.code);
    Slot::all().filter(|slot| ring.owner(*slot) == Some(shard)).collect()
}

/// At least one, so that no active shard is left out.
fn vnodes(shard: &Shard) -> usize {
    let scaled = u64::from(shard.weight) * u64::from(VNODES_USUAL) / u64::from(WEIGHT_USUAL);
    usize::try_from(scaled.max(1)).unwrap_or(usize::MAX)
}

/// A shard as the ring hashes it. The tag keeps shard 5 and slot 5 apart.
#[derive(Clone, PartialEq, Eq)]
struct RingShard(ShardId);

impl Hash for RingShard {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(b"shard");
        state.write(&self.0.get().to_le_bytes());
    }
}

/// A slot as the ring hashes it.
struct RingSlot(Slot);

impl Hash for RingSlot {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(b"slot");
        state.write(&self.0.get().to_le_bytes());
    }
}

#[derive(Clone, Copy)]
struct FixedHash;

impl BuildHasher for FixedHash {
    type Hasher = FixedHasher;

    fn build_hasher(&self) -> FixedHasher {
        FixedHasher(Xxh3::with_seed(SEED))
    }
}

struct FixedHasher(Xxh3);

impl Hasher for FixedHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The ring makes a shard's next virtual node by hashing the last one's `u64`; std would feed it in the
    /// machine's byte order.
    fn write_u64(&mut self, value: u64) {
        self.0.update(&value.to_le_bytes());
    }

    fn finish(&self) -> u64 {
        self.0.digest()
    }
}

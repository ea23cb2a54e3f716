//! The topology: the versioned document of currencies, regions, shards, weights and addresses.
//!
//! It does not say who owns a slot; each shard states that for itself.

mod mistakes;

use serde::{Deserialize, Serialize};

use crate::{RegionCode, ShardId};

/// The topology document. Of two documents the one with the higher version holds. A document that was read
/// is used only when [`Topology::mistakes`] finds none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// Rises by one with each change; the first is 1.
    pub version: u64,
    /// The currencies that accounts may hold.
    pub currencies: Vec<CurrencySpec>,
    /// The regions.
    pub regions: Vec<Region>,
    /// All shards there ever were: a retired one stays, so that its id is not used again.
    pub shards: Vec<Shard>,
}

/// A currency and its limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurrencySpec {
    /// Three upper-case letters, as ISO 4217 writes them.
    pub code: String,
    /// Decimal digits of the minor unit in which amounts are counted, 0..=4.
    pub exponent: u8,
    /// The largest amount of one transfer, in minor units, 1..2^53.
    pub transfer_amount_max: i64,
}

/// A region: a place with its own shards, routers and Redis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// The name that clients use: `[a-z][a-z0-9-]{0,30}`.
    pub name: String,
    /// The number inside account ids.
    pub code: RegionCode,
}

/// A shard: one PostgreSQL and the shard-nodes over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    /// The shard's number.
    pub id: ShardId,
    /// The name of its region.
    pub region: String,
    /// Its share of the region's slots, relative to the other shards: 1..=[`WEIGHT_MAX`], usually 100.
    pub weight: u32,
    /// Whether it takes slots.
    pub state: ShardState,
    /// `host:port` of the internal socket of each of its shard-nodes.
    pub addresses: Vec<String>,
}

/// The largest weight of a shard: ten times the usual one, so that a ring stays small.
pub const WEIGHT_MAX: u32 = 1000;

/// A shard's stage of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShardState {
    /// Owns slots and may be given more.
    Active,
    /// Owns slots, which are to move away.
    Draining,
    /// Owns nothing and is switched off.
    Retired,
}

impl Topology {
    /// The region of a name.
    pub fn region_named(&self, name: &str) -> Option<&Region> {
        self.regions.iter().find(|region| region.name == name)
    }

    /// The region of a code.
    pub fn region_coded(&self, code: RegionCode) -> Option<&Region> {
        self.regions.iter().find(|region| region.code == code)
    }

    /// The shard of an id.
    pub fn shard(&self, id: ShardId) -> Option<&Shard> {
        self.shards.iter().find(|shard| shard.id == id)
    }

    /// The region in which a shard stands.
    pub fn region_of(&self, id: ShardId) -> Option<&Region> {
        self.region_named(&self.shard(id)?.region)
    }

    /// The shards of a region in every state, in the document's order.
    pub fn shards_of(&self, region: RegionCode) -> impl Iterator<Item = &Shard> {
        let name = self.region_coded(region).map(|region| region.name.as_str());
        self.shards.iter().filter(move |shard| Some(shard.region.as_str()) == name)
    }

    /// The currency of a code.
    pub fn currency(&self, code: &str) -> Option<&CurrencySpec> {
        self.currencies.iter().find(|currency| currency.code == code)
    }
}

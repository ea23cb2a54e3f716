//! The topology as operators see it.

use super::Currency;
use placement::topology::ShardState;
use placement::{RegionCode, ShardId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /v1/admin/topology`: the newest topology that the router knows, and who owns how many slots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TopologyView {
    /// The version of the topology document.
    #[schema(example = 1)]
    pub version: u64,
    /// The currencies that accounts may hold.
    pub currencies: Vec<Currency>,
    /// The regions.
    pub regions: Vec<RegionView>,
    /// All shards there ever were.
    pub shards: Vec<ShardView>,
}

/// A region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RegionView {
    /// Its name.
    #[schema(example = "sg")]
    pub name: String,
    /// Its number inside account ids.
    #[schema(value_type = u8, example = 1)]
    pub code: RegionCode,
    /// How many of its slots have an owner that the router knows of; 4096 is all.
    #[schema(example = 4096)]
    pub slots_known: usize,
}

/// A shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShardView {
    /// Its number.
    #[schema(value_type = u16, example = 1)]
    pub id: ShardId,
    /// The name of its region.
    #[schema(example = "sg")]
    pub region: String,
    /// Its share of the region's slots, relative to the other shards.
    #[schema(example = 100)]
    pub weight: u32,
    /// Its stage of life: `active`, `draining` or `retired`.
    #[schema(value_type = String, example = "active")]
    pub state: ShardState,
    /// `host:port` of each of its shard-nodes.
    #[schema(example = json!(["127.0.0.1:8280"]))]
    pub addresses: Vec<String>,
    /// How many slots it owns.
    #[schema(example = 2048)]
    pub slots: usize,
}

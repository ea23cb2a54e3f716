//! What others rely on: pinned ids, slots and ring owners; round trips; refusals; purity.

mod ids;
mod ownership;
mod purity;
mod ring;
mod topology;

use placement::{RegionCode, ShardId, Slot, Topology};

fn region(code: u8) -> RegionCode {
    RegionCode::try_from(code).unwrap()
}

fn shard(id: u16) -> ShardId {
    ShardId::try_from(id).unwrap()
}

fn slot(number: u16) -> Slot {
    Slot::try_from(number).unwrap()
}

/// Region `sg` (1) with the given shards of weight 100, and region `eu` (2) with shard 60000.
fn topology_of(shard_ids: impl IntoIterator<Item = u16>) -> Topology {
    let shard = |id: u16, region: &str| {
        serde_json::json!({"id": id, "region": region, "weight": 100, "state": "active",
            "addresses": [format!("shard-{id}.internal:8280")]})
    };
    let mut shards: Vec<_> = shard_ids.into_iter().map(|id| shard(id, "sg")).collect();
    shards.push(shard(60000, "eu"));
    serde_json::from_value(serde_json::json!({
        "version": 1,
        "currencies": [{"code": "SGD", "exponent": 0, "transfer_amount_max": 999_999}],
        "regions": [{"name": "sg", "code": 1}, {"name": "eu", "code": 2}],
        "shards": shards,
    }))
    .unwrap()
}

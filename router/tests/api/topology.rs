//! `GET /v1/admin/topology`.

use crate::world::World;
use local_cluster::ADMIN_TOKEN;
use serde_json::json;

crate::facts![every_slot_has_an_owner, unchanged_topology_is_not_sent_again];

async fn every_slot_has_an_owner(world: World) {
    let topology = world.get("/v1/admin/topology").token(ADMIN_TOKEN).send().await.expect(200);
    assert_eq!(topology["version"], 1);
    let regions = topology["regions"].as_array().expect("regions");
    assert!(regions.iter().all(|region| region["slots_known"] == 4096), "{regions:?}");
    for region in ["sg", "eu"] {
        let shards = topology["shards"].as_array().expect("shards").iter().filter(|shard| shard["region"] == region);
        let slots: Vec<_> = shards.map(|shard| shard["slots"].as_u64().expect("a count")).collect();
        assert_eq!((slots.len(), slots.iter().sum::<u64>()), (2, 4096));
    }
}

async fn unchanged_topology_is_not_sent_again(world: World) {
    let ask = || world.get("/v1/admin/topology").token(ADMIN_TOKEN);
    let etag = ask().send().await.header("etag").to_owned();
    assert!(etag.starts_with("\"1."), "{etag}");
    assert_eq!(ask().header("if-none-match", &etag).send().await.status, 304);
    let stale = ask().header("if-none-match", "\"0\"").send().await;
    assert_eq!(
        stale.expect(200)["currencies"][0],
        json!({"code": "SGD", "exponent": 0, "transfer_amount_max": 999_999})
    );
}

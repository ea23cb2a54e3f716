//! `GET /v1/transfers/{id}` and `GET /v1/accounts/{id}/transfers`.

use crate::world::{World, fresh};
use serde_json::json;

crate::facts![
    both_holders_see_the_transfer_through_any_router,
    reference_is_the_debit_sides_own,
    refused_transfer_can_be_read,
    terminal_transfer_is_not_waited_for,
    absent_transfer_is_not_found,
    id_that_is_none_is_malformed,
    wait_is_0_to_30_seconds,
    account_without_open_transfers_has_an_empty_list,
    only_open_states_can_be_asked_for,
];

async fn both_holders_see_the_transfer_through_any_router(world: World) {
    for region in ["sg", "eu"] {
        let (holder, other) = (world.holder(100).await, world.holder_in(region, 0).await);
        let made = world.transfer(&holder, other.id, 5).await.expect(201);
        let path = format!("/v1/transfers/{}", made["id"].as_str().expect("an id"));
        for router in [world.sg, world.eu] {
            let there = World { sg: router, ..world.clone() };
            for user in [&holder.user, &other.user] {
                assert_eq!(there.get(&path).token(user).send().await.expect(200), made);
            }
        }
    }
}

async fn reference_is_the_debit_sides_own(world: World) {
    let (holder, other) = (world.holder(100).await, world.holder(0).await);
    let body = json!({
        "debit_account_id": holder.id, "credit_account_id": other.id, "amount": 5, "message": "m",
        "reference": "order-7"
    });
    let made = world.post("/v1/transfers").token(&holder.user).key(&fresh("key")).json(&body).send().await.expect(201);
    assert_eq!(made["reference"], "order-7");
    let path = format!("/v1/transfers/{}", made["id"].as_str().expect("an id"));
    let seen = async |user: &str| world.get(&path).token(user).send().await.expect(200);
    assert_eq!(seen(&holder.user).await["reference"], "order-7");
    let by_other = seen(&other.user).await;
    assert_eq!((by_other.get("reference"), &by_other["message"]), (None, &json!("m")));
}

async fn refused_transfer_can_be_read(world: World) {
    let (holder, other) = (world.holder(1).await, world.holder(0).await);
    let problem = world.transfer(&holder, other.id, 5).await.problem(422, "insufficient_funds");
    let path = format!("/v1/transfers/{}", problem["transfer_id"].as_str().expect("an id"));
    let transfer = world.get(path).token(&holder.user).send().await.expect(200);
    assert_eq!((&transfer["state"], &transfer["reason"]), (&json!("rejected"), &json!("insufficient_funds")));
    assert_eq!(transfer["amount"], 5);
}

async fn terminal_transfer_is_not_waited_for(world: World) {
    let (holder, other) = (world.holder(100).await, world.holder(0).await);
    let made = world.transfer(&holder, other.id, 5).await.expect(201);
    let path = format!("/v1/transfers/{}?wait_seconds=30", made["id"].as_str().expect("an id"));
    let begun = std::time::Instant::now();
    world.get(path).token(&holder.user).send().await.expect(200);
    assert!(begun.elapsed().as_secs() < 5);
}

async fn absent_transfer_is_not_found(world: World) {
    let user = world.user().await;
    for id in [
        // Of region sg, of a region that is none, of no version 8 at all, nil.
        "019acb2e-5f00-8041-8000-00c0ffee0007",
        "019acb2e-5f00-8c01-8000-00c0ffee0007",
        "019acb2e-5f00-8001-8000-00c0ffee0007",
        "019acb2e-5f00-7401-8000-00c0ffee0007",
        "00000000-0000-0000-0000-000000000000",
    ] {
        for query in ["", "?wait_seconds=0", "?wait_seconds=30"] {
            world.get(format!("/v1/transfers/{id}{query}")).token(&user).send().await.problem(404, "not_found");
        }
    }
}

async fn id_that_is_none_is_malformed(world: World) {
    let user = world.user().await;
    for id in ["1", "x", "019acb2e5f008401800000c0ffee0007", "{019acb2e-5f00-8041-8000-00c0ffee0007}", "%00", "commit"]
    {
        let id = id.replace('{', "%7B").replace('}', "%7D");
        world.get(format!("/v1/transfers/{id}")).token(&user).send().await.problem(400, "malformed_request");
    }
}

async fn wait_is_0_to_30_seconds(world: World) {
    let user = world.user().await;
    for wait in ["31", "-1", "", "1.5", "99999999999", "soon"] {
        let path = format!("/v1/transfers/019acb2e-5f00-8041-8000-00c0ffee0007?wait_seconds={wait}");
        assert_eq!(world.get(path).token(&user).send().await.malformed(), ["?wait_seconds"], "{wait}");
    }
}

async fn account_without_open_transfers_has_an_empty_list(world: World) {
    let (holder, other) = (world.holder(100).await, world.holder(0).await);
    world.transfer(&holder, other.id, 5).await.expect(201);
    for query in ["", "?state=pending", "?state=pending,reserved", "?state=reserved"] {
        let path = format!("/v1/accounts/{}/transfers{query}", holder.id);
        assert_eq!(world.get(path).token(&holder.user).send().await.expect(200), json!({"items": []}));
    }
}

async fn only_open_states_can_be_asked_for(world: World) {
    let holder = world.holder(0).await;
    for state in ["posted", "", "pending,", "pending;reserved", "PENDING", "pending%00"] {
        let path = format!("/v1/accounts/{}/transfers?state={state}", holder.id);
        assert_eq!(world.get(path).token(&holder.user).send().await.malformed(), ["?state"], "{state}");
    }
}

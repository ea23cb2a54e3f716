//! `GET /v1/accounts/{id}`.

use crate::world::World;
use serde_json::json;

crate::facts![
    account_has_the_fields_of_the_contract,
    any_router_shows_an_account,
    unchanged_account_is_not_sent_again,
    etag_changes_with_the_account,
    absent_account_is_not_found,
    id_that_is_none_is_malformed,
];

async fn account_has_the_fields_of_the_contract(world: World) {
    let holder = world.holder(1_000).await;
    let account = world.account(&holder).await;
    let expected = json!({
        "id": holder.id, "user_id": holder.user, "name": "current", "currency": "SGD", "region": "sg",
        "balance": 1_000, "reserved": 0, "available": 1_000, "status": "open", "created_at": account["created_at"]
    });
    assert_eq!(account, expected);
    let created_at = account["created_at"].as_str().expect("a time");
    assert_eq!((created_at.len(), &created_at[10..11], &created_at[26..]), (27, "T", "Z"), "{created_at}");
}

async fn any_router_shows_an_account(world: World) {
    let holder = world.holder_in("eu", 7).await;
    let there = World { sg: world.eu, ..world.clone() };
    assert_eq!(world.account(&holder).await, there.account(&holder).await);
}

async fn unchanged_account_is_not_sent_again(world: World) {
    let holder = world.holder(5).await;
    let path = format!("/v1/accounts/{}", holder.id);
    let first = world.get(&path).token(&holder.user).send().await;
    let etag = first.header("etag");
    assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag}");
    for known in [etag.to_owned(), format!("W/{etag}"), format!("\"other\", {etag}"), "*".to_owned()] {
        let again = world.get(&path).token(&holder.user).header("if-none-match", &known).send().await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{known}");
        assert_eq!(again.header("etag"), etag);
    }
}

async fn etag_changes_with_the_account(world: World) {
    let holder = world.holder(5).await;
    let path = format!("/v1/accounts/{}", holder.id);
    let etag = async || world.get(&path).token(&holder.user).send().await.header("etag").to_owned();
    let before = etag().await;
    world.deposit(holder.id, 1).await;
    let after = etag().await;
    assert_ne!(before, after);
    world.admin_post(format!("/v1/admin/accounts/{}/freeze", holder.id)).send().await.expect(200);
    assert_ne!(etag().await, after);
    let stale = world.get(&path).token(&holder.user).header("if-none-match", &before).send().await;
    assert_eq!(stale.expect(200)["balance"], 6);
}

async fn absent_account_is_not_found(world: World) {
    let user = world.user().await;
    let holder = world.holder(0).await;
    // No region, a region that is none, a neighbour of a real one.
    for id in [1, 42, (1 << 53) - 1, (9 << 47) + 5, holder.id ^ 1] {
        world.get(format!("/v1/accounts/{id}")).token(&user).send().await.problem(404, "not_found");
    }
}

async fn id_that_is_none_is_malformed(world: World) {
    let user = world.user().await;
    let absurd = [
        "0",
        "-1",
        "+1",
        "01",
        "1.0",
        "1e3",
        "abc",
        "9007199254740992",
        "18446744073709551616",
        "%31",
        "1%00",
        "NaN",
        "0x1f",
        "%F0%9F%92%B8",
        "%ff",
        "1;2",
        "1,2",
        "..",
        "%2e%2e",
        "null",
    ];
    for id in absurd {
        for tail in ["", "/transactions", "/transfers"] {
            let path = format!("/v1/accounts/{id}{tail}");
            world.get(path).token(&user).send().await.problem(400, "malformed_request");
        }
    }
}

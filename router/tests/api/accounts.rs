//! `POST /v1/accounts` and `GET /v1/accounts`.

use crate::world::{World, fresh};
use serde_json::json;

crate::facts![
    new_account_is_empty_and_can_be_found,
    region_and_name_have_defaults,
    region_may_be_another,
    key_makes_creation_safe_to_repeat,
    without_a_key_each_request_makes_an_account,
    unknown_currency_is_refused_for_good,
    unknown_region_is_refused_for_good,
    no_more_than_100_accounts_a_user_and_region,
    list_is_of_the_routers_region_unless_asked_otherwise,
    list_of_an_unknown_region_is_malformed,
    user_without_accounts_has_an_empty_list,
    mistakes_in_the_body_are_pointed_at,
];

async fn new_account_is_empty_and_can_be_found(world: World) {
    let user = world.user().await;
    let body = json!({"currency": "SGD", "name": "savings", "region": "sg"});
    let answer = world.post("/v1/accounts").token(&user).json(&body).send().await;
    let account = answer.expect(201);
    assert_eq!((&account["balance"], &account["available"], &account["reserved"]), (&json!(0), &json!(0), &json!(0)));
    assert_eq!((&account["name"], &account["status"]), (&json!("savings"), &json!("open")));
    let id = account["id"].as_u64().expect("an id");
    assert!((1..1 << 53).contains(&id));
    assert_eq!(answer.header("location"), format!("/v1/accounts/{id}"));
    assert!(!answer.is_replayed());
    assert_eq!(world.get(answer.header("location")).token(&user).send().await.expect(200), account);
}

async fn region_and_name_have_defaults(world: World) {
    let user = world.user().await;
    for (router, region) in [(world.sg, "sg"), (world.eu, "eu")] {
        let there = World { sg: router, ..world.clone() };
        let account = there.post("/v1/accounts").token(&user).json(&json!({"currency": "SGD"})).send().await;
        let account = account.expect(201);
        assert_eq!((&account["region"], &account["name"]), (&json!(region), &json!("current")));
    }
    let nulls = json!({"currency": "SGD", "name": null, "region": null});
    world.post("/v1/accounts").token(&user).json(&nulls).send().await.expect(201);
}

async fn region_may_be_another(world: World) {
    let user = world.user().await;
    let body = json!({"currency": "SGD", "region": "eu"});
    let account = world.post("/v1/accounts").token(&user).json(&body).send().await.expect(201);
    assert_eq!(account["region"], "eu");
}

async fn key_makes_creation_safe_to_repeat(world: World) {
    let (user, key) = (world.user().await, fresh("key"));
    let create = async |body| world.post("/v1/accounts").token(&user).key(&key).json(&body).send().await;
    let first = create(json!({"currency": "SGD", "name": "a"})).await;
    let again = create(json!({"currency": "SGD", "name": "a"})).await;
    assert_eq!(first.expect(201), again.expect(201));
    assert_eq!((first.is_replayed(), again.is_replayed()), (false, true));
    assert_eq!(first.header("location"), again.header("location"));
    create(json!({"currency": "SGD", "name": "b"})).await.problem(422, "idempotency_key_reused");
    let list = world.get("/v1/accounts").token(&user).send().await.expect(200);
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
}

async fn without_a_key_each_request_makes_an_account(world: World) {
    let user = world.user().await;
    assert_ne!(world.open(&user, "sg").await, world.open(&user, "sg").await);
}

async fn unknown_currency_is_refused_for_good(world: World) {
    let user = world.user().await;
    for currency in ["XXX", "sgd", "dollars", "S"] {
        let key = fresh("key");
        for replayed in [false, true] {
            let body = json!({"currency": currency});
            let answer = world.post("/v1/accounts").token(&user).key(&key).json(&body).send().await;
            answer.problem(422, "currency_unknown");
            assert_eq!(answer.is_replayed(), replayed, "{currency}");
        }
    }
}

async fn unknown_region_is_refused_for_good(world: World) {
    let (user, key) = (world.user().await, fresh("key"));
    for replayed in [false, true] {
        let body = json!({"currency": "SGD", "region": "mars"});
        let answer = world.post("/v1/accounts").token(&user).key(&key).json(&body).send().await;
        answer.problem(422, "region_unknown");
        assert_eq!(answer.is_replayed(), replayed);
    }
}

async fn no_more_than_100_accounts_a_user_and_region(world: World) {
    let user = world.user().await;
    for _ in 0..100 {
        world.open(&user, "sg").await;
    }
    let body = json!({"currency": "SGD", "region": "sg"});
    world.post("/v1/accounts").token(&user).json(&body).send().await.problem(422, "account_limit_reached");
    world.open(&user, "eu").await;
    let list = world.get("/v1/accounts").token(&user).send().await.expect(200);
    assert_eq!(list["items"].as_array().map(Vec::len), Some(100));
}

async fn list_is_of_the_routers_region_unless_asked_otherwise(world: World) {
    let user = world.user().await;
    let (here, there) = (world.open(&user, "sg").await, world.open(&user, "eu").await);
    let list = async |query: &str| {
        let list = world.get(format!("/v1/accounts{query}")).token(&user).send().await.expect(200);
        let ids = list["items"].as_array().expect("a list").iter().map(|item| item["id"].as_u64().expect("an id"));
        (ids.collect::<Vec<_>>(), list["unavailable_regions"].clone())
    };
    assert_eq!(list("").await, (vec![here], json!(null)));
    assert_eq!(list("?").await, (vec![here], json!(null)));
    assert_eq!(list("?region=sg").await, (vec![here], json!([])));
    assert_eq!(list("?region=eu").await, (vec![there], json!([])));
    assert_eq!(list("?region=all").await, (vec![here, there], json!([])));
}

async fn list_of_an_unknown_region_is_malformed(world: World) {
    let user = world.user().await;
    for query in ["region=mars", "region=", "region=SG", "region=sg%00", "region=%ff"] {
        let answer = world.get(format!("/v1/accounts?{query}")).token(&user).send().await;
        assert_eq!(answer.malformed(), ["?region"], "{query}");
    }
    for query in ["page=2", "region=sg&region=sg", "Region=sg"] {
        world.get(format!("/v1/accounts?{query}")).token(&user).send().await.malformed();
    }
}

async fn user_without_accounts_has_an_empty_list(world: World) {
    let user = world.user().await;
    let list = world.get("/v1/accounts?region=all").token(&user).send().await.expect(200);
    assert_eq!(list, json!({"items": [], "unavailable_regions": []}));
}

async fn mistakes_in_the_body_are_pointed_at(world: World) {
    let user = world.user().await;
    let long = "n".repeat(65);
    let mistakes = [
        (json!({}), "/currency"),
        (json!({"currency": 7}), "/currency"),
        (json!({"currency": null}), "/currency"),
        (json!({"currency": ""}), "/currency"),
        (json!({"currency": "S\u{0}D"}), "/currency"),
        (json!({"currency": "SGD", "name": ""}), "/name"),
        (json!({"currency": "SGD", "name": long}), "/name"),
        (json!({"currency": "SGD", "name": "a\nb"}), "/name"),
        (json!({"currency": "SGD", "name": "a\u{85}b"}), "/name"),
        (json!({"currency": "SGD", "name": ["a"]}), "/name"),
        (json!({"currency": "SGD", "region": 1}), "/region"),
        (json!({"currency": "SGD", "region": "\u{7f}"}), "/region"),
        (json!({"currency": "SGD", "balance": 5}), "/balance"),
    ];
    for (body, pointer) in mistakes {
        let answer = world.post("/v1/accounts").token(&user).json(&body).send().await;
        assert_eq!(answer.malformed(), [pointer], "{body}");
    }
    let longest = json!({"currency": "SGD", "name": "\u{1f4b8}".repeat(64)});
    world.post("/v1/accounts").token(&user).json(&longest).send().await.expect(201);
}

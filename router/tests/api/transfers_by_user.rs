//! `POST /v1/transfers` to a user.

use crate::client::Answer;
use crate::world::{Holder, World, fresh};
use serde_json::json;

crate::facts![
    users_account_is_found_in_either_region,
    debit_accounts_region_comes_first,
    oldest_open_account_is_taken,
    user_without_an_account_is_refused_for_good,
    repeat_does_not_depend_on_what_the_user_has_opened_meanwhile,
    paying_oneself_is_paying_the_same_account,
    both_or_none_is_malformed,
];

async fn pay(world: &World, holder: &Holder, user: &str, key: &str) -> Answer {
    let body = json!({"debit_account_id": holder.id, "credit_user_id": user, "amount": 1});
    world.post("/v1/transfers").token(&holder.user).key(key).json(&body).send().await
}

async fn users_account_is_found_in_either_region(world: World) {
    for (from, to) in [("sg", "sg"), ("sg", "eu"), ("eu", "sg"), ("eu", "eu")] {
        let (holder, other) = (world.holder_in(from, 10).await, world.holder_in(to, 0).await);
        let transfer = pay(&world, &holder, &other.user, &fresh("key")).await.expect(201);
        assert_eq!(transfer["credit_account_id"], other.id);
        assert_eq!(world.balance(&other).await, 1);
    }
}

async fn debit_accounts_region_comes_first(world: World) {
    let (here, there) = (world.holder_in("sg", 10).await, world.holder_in("eu", 10).await);
    let user = world.user().await;
    // The older one is in eu.
    let (in_eu, in_sg) = (world.open(&user, "eu").await, world.open(&user, "sg").await);
    assert_eq!(pay(&world, &here, &user, &fresh("key")).await.expect(201)["credit_account_id"], in_sg);
    assert_eq!(pay(&world, &there, &user, &fresh("key")).await.expect(201)["credit_account_id"], in_eu);
}

async fn oldest_open_account_is_taken(world: World) {
    let (holder, user) = (world.holder(10).await, world.user().await);
    let (first, second) = (world.open(&user, "sg").await, world.open(&user, "sg").await);
    assert_eq!(pay(&world, &holder, &user, &fresh("key")).await.expect(201)["credit_account_id"], first);
    world.admin_post(format!("/v1/admin/accounts/{first}/freeze")).send().await.expect(200);
    assert_eq!(pay(&world, &holder, &user, &fresh("key")).await.expect(201)["credit_account_id"], second);
}

async fn user_without_an_account_is_refused_for_good(world: World) {
    let (holder, user) = (world.holder(10).await, world.user().await);
    let (known, unknown) = (fresh("key"), fresh("key"));
    for replayed in [false, true] {
        for (user, key) in [(user.as_str(), &known), ("nobody at all", &unknown)] {
            let answer = pay(&world, &holder, user, key).await;
            assert_eq!(answer.problem(422, "credit_user_not_found")["retry"], "new_key");
            assert_eq!(answer.is_replayed(), replayed);
        }
        // An answer, once given, is final.
        world.open(&user, "sg").await;
    }
    pay(&world, &holder, &user, &fresh("key")).await.expect(201);
}

async fn repeat_does_not_depend_on_what_the_user_has_opened_meanwhile(world: World) {
    let (holder, user, key) = (world.holder(10).await, world.user().await, fresh("key"));
    let in_eu = world.open(&user, "eu").await;
    let first = pay(&world, &holder, &user, &key).await.expect(201);
    world.open(&user, "sg").await;
    let again = pay(&world, &holder, &user, &key).await;
    assert_eq!((&again.expect(201), &first["credit_account_id"]), (&first, &json!(in_eu)));
    assert!(again.is_replayed());
    assert_eq!(world.balance(&holder).await, 9);
}

async fn paying_oneself_is_paying_the_same_account(world: World) {
    let holder = world.holder(10).await;
    pay(&world, &holder, &holder.user, &fresh("key")).await.problem(422, "same_account");
}

async fn both_or_none_is_malformed(world: World) {
    let (holder, other) = (world.holder(10).await, world.holder(0).await);
    for body in [
        json!({"debit_account_id": holder.id, "amount": 1}),
        json!({"debit_account_id": holder.id, "amount": 1, "credit_account_id": null, "credit_user_id": null}),
        json!({"debit_account_id": holder.id, "amount": 1, "credit_account_id": other.id, "credit_user_id": "nick"}),
    ] {
        let answer = world.post("/v1/transfers").token(&holder.user).key(&fresh("key")).json(&body).send().await;
        assert_eq!(answer.malformed(), ["/credit_account_id"]);
    }
    for user in ["", "a\nb", "\u{0}"] {
        let body = json!({"debit_account_id": holder.id, "amount": 1, "credit_user_id": user});
        let answer = world.post("/v1/transfers").token(&holder.user).key(&fresh("key")).json(&body).send().await;
        assert_eq!(answer.malformed(), ["/credit_user_id"]);
    }
}

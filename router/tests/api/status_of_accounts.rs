//! `POST /v1/admin/accounts/{id}/freeze`, `/unfreeze`, `/close`.

use crate::client::Answer;
use crate::world::{Holder, World, fresh};
use serde_json::json;

crate::facts![
    frozen_account_takes_no_debits_and_no_credits,
    freezing_and_unfreezing_may_be_repeated,
    frozen_accounts_holder_still_sees_it,
    only_an_empty_account_can_be_closed,
    closed_account_is_closed_for_good,
    absent_accounts_and_bad_ids_are_told_apart,
];

async fn change(world: &World, holder: &Holder, change: &str) -> Answer {
    world.admin_post(format!("/v1/admin/accounts/{}/{change}", holder.id)).send().await
}

async fn frozen_account_takes_no_debits_and_no_credits(world: World) {
    let (frozen, near, far) = (world.holder(100).await, world.holder(100).await, world.holder_in("eu", 100).await);
    assert_eq!(change(&world, &frozen, "freeze").await.expect(200)["status"], "frozen");
    for other in [&near, &far] {
        world.transfer(&frozen, other.id, 1).await.problem(422, "account_frozen");
        let problem = world.transfer(other, frozen.id, 1).await.problem(422, "account_frozen");
        assert_eq!(problem["retry"], "new_key");
    }
    for path in ["/v1/admin/deposits", "/v1/admin/withdrawals"] {
        let body = json!({"account_id": frozen.id, "amount": 1});
        world.admin_post(path).key(&fresh("key")).json(&body).send().await.problem(422, "account_frozen");
    }
    let balances = [world.balance(&frozen).await, world.balance(&near).await, world.balance(&far).await];
    assert_eq!(balances, [100, 100, 100]);
    assert_eq!(change(&world, &frozen, "unfreeze").await.expect(200)["status"], "open");
    world.transfer(&frozen, near.id, 1).await.expect(201);
    world.transfer(&far, frozen.id, 1).await.expect(201);
}

async fn freezing_and_unfreezing_may_be_repeated(world: World) {
    let holder = world.holder(0).await;
    for (to, status) in [("unfreeze", "open"), ("freeze", "frozen"), ("freeze", "frozen"), ("unfreeze", "open")] {
        assert_eq!(change(&world, &holder, to).await.expect(200)["status"], status);
    }
}

async fn frozen_accounts_holder_still_sees_it(world: World) {
    let holder = world.holder(7).await;
    change(&world, &holder, "freeze").await.expect(200);
    let account = world.account(&holder).await;
    assert_eq!((&account["status"], &account["balance"]), (&json!("frozen"), &json!(7)));
}

async fn only_an_empty_account_can_be_closed(world: World) {
    let (holder, other) = (world.holder(7).await, world.holder(0).await);
    change(&world, &holder, "close").await.problem(409, "account_not_empty");
    world.transfer(&holder, other.id, 7).await.expect(201);
    assert_eq!(change(&world, &holder, "close").await.expect(200)["status"], "closed");
}

async fn closed_account_is_closed_for_good(world: World) {
    let (holder, other) = (world.holder(0).await, world.holder(5).await);
    for _ in 0..2 {
        assert_eq!(change(&world, &holder, "close").await.expect(200)["status"], "closed");
    }
    for to in ["freeze", "unfreeze"] {
        assert_eq!(change(&world, &holder, to).await.problem(422, "account_closed")["retry"], "never");
    }
    world.transfer(&other, holder.id, 1).await.problem(422, "account_closed");
    world.transfer(&holder, other.id, 1).await.problem(422, "account_closed");
    let far = world.holder_in("eu", 5).await;
    world.transfer(&far, holder.id, 1).await.problem(422, "account_closed");
    assert_eq!(world.account(&holder).await["status"], "closed");
}

async fn absent_accounts_and_bad_ids_are_told_apart(world: World) {
    let holder = world.holder(0).await;
    for to in ["freeze", "unfreeze", "close"] {
        for id in [42, holder.id ^ 1, (9 << 47) + 5] {
            world.admin_post(format!("/v1/admin/accounts/{id}/{to}")).send().await.problem(404, "not_found");
        }
        for id in ["0", "x", "-1", "9007199254740992"] {
            let path = format!("/v1/admin/accounts/{id}/{to}");
            world.admin_post(path).send().await.problem(400, "malformed_request");
        }
    }
}

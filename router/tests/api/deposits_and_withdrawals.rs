//! `POST /v1/admin/deposits` and `POST /v1/admin/withdrawals`.

use crate::world::{World, fresh};
use serde_json::json;

crate::facts![
    deposit_brings_money_in,
    withdrawal_takes_money_out,
    withdrawal_of_more_than_there_is_is_refused,
    amounts_below_one_are_refused,
    key_is_required_and_makes_repeats_safe,
    key_belongs_to_the_account,
    absent_account_is_not_found,
    account_cannot_hold_more_than_its_limit,
    mistakes_in_the_body_are_pointed_at,
];

const BOTH: [&str; 2] = ["/v1/admin/deposits", "/v1/admin/withdrawals"];

async fn deposit_brings_money_in(world: World) {
    for region in ["sg", "eu"] {
        let holder = world.holder_in(region, 0).await;
        let body = json!({"account_id": holder.id, "amount": 5_000_000, "reference": "bank-7"});
        let answer = world.admin_post(BOTH[0]).key(&fresh("key")).json(&body).send().await;
        let transfer = answer.expect(201);
        assert_eq!((&transfer["kind"], &transfer["state"]), (&json!("deposit"), &json!("posted")));
        assert_eq!(transfer["credit_account_id"], holder.id);
        assert!(transfer.get("debit_account_id").is_none());
        assert_eq!((&transfer["amount"], &transfer["currency"]), (&json!(5_000_000), &json!("SGD")));
        assert_eq!(world.balance(&holder).await, 5_000_000);
        let seen = world.get(answer.header("location")).token(&holder.user).send().await.expect(200);
        assert_eq!(seen["id"], transfer["id"]);
    }
}

async fn withdrawal_takes_money_out(world: World) {
    let holder = world.holder(100).await;
    let body = json!({"account_id": holder.id, "amount": 30});
    let transfer = world.admin_post(BOTH[1]).key(&fresh("key")).json(&body).send().await.expect(201);
    assert_eq!((&transfer["kind"], &transfer["debit_account_id"]), (&json!("withdrawal"), &json!(holder.id)));
    assert!(transfer.get("credit_account_id").is_none());
    assert_eq!(world.balance(&holder).await, 70);
}

async fn withdrawal_of_more_than_there_is_is_refused(world: World) {
    let (holder, key) = (world.holder(100).await, fresh("key"));
    let body = json!({"account_id": holder.id, "amount": 101});
    for replayed in [false, true] {
        let answer = world.admin_post(BOTH[1]).key(&key).json(&body).send().await;
        answer.problem(422, "insufficient_funds");
        assert_eq!(answer.is_replayed(), replayed);
        // A refusal is final, whatever came in meanwhile.
        world.deposit(holder.id, 1).await;
    }
    assert_eq!(world.balance(&holder).await, 102);
}

async fn amounts_below_one_are_refused(world: World) {
    let holder = world.holder(100).await;
    for path in BOTH {
        for amount in [0, -1, i64::MIN, i64::MAX, 1 << 53] {
            let body = json!({"account_id": holder.id, "amount": amount});
            let answer = world.admin_post(path).key(&fresh("key")).json(&body).send().await;
            answer.problem(422, "amount_out_of_range");
        }
    }
    assert_eq!(world.balance(&holder).await, 100);
}

async fn key_is_required_and_makes_repeats_safe(world: World) {
    let holder = world.holder(100).await;
    for (path, expected) in BOTH.into_iter().zip([110, 100]) {
        let (key, body) = (fresh("key"), json!({"account_id": holder.id, "amount": 10}));
        world.admin_post(path).json(&body).send().await.problem(400, "idempotency_key_required");
        let first = world.admin_post(path).key(&key).json(&body).send().await;
        let again = world.admin_post(path).key(&key).json(&body).send().await;
        assert_eq!(first.expect(201), again.expect(201));
        assert_eq!((first.is_replayed(), again.is_replayed()), (false, true));
        let other = json!({"account_id": holder.id, "amount": 11});
        world.admin_post(path).key(&key).json(&other).send().await.problem(422, "idempotency_key_reused");
        assert_eq!(world.balance(&holder).await, expected);
    }
}

async fn key_belongs_to_the_account(world: World) {
    let key = fresh("key");
    for _ in 0..2 {
        let holder = world.holder(0).await;
        let body = json!({"account_id": holder.id, "amount": 10});
        world.admin_post(BOTH[0]).key(&key).json(&body).send().await.expect(201);
        world.admin_post(BOTH[1]).key(&key).json(&body).send().await.problem(422, "idempotency_key_reused");
        assert_eq!(world.balance(&holder).await, 10);
    }
}

async fn absent_account_is_not_found(world: World) {
    let holder = world.holder(0).await;
    for path in BOTH {
        for id in [1, 42, (9 << 47) + 5, holder.id ^ 1] {
            let body = json!({"account_id": id, "amount": 10});
            world.admin_post(path).key(&fresh("key")).json(&body).send().await.problem(404, "not_found");
        }
    }
}

async fn account_cannot_hold_more_than_its_limit(world: World) {
    let most = (1_i64 << 53) - 1;
    let holder = world.holder(most).await;
    let body = json!({"account_id": holder.id, "amount": 1});
    let answer = world.admin_post(BOTH[0]).key(&fresh("key")).json(&body).send().await;
    answer.problem(422, "limit_exceeded");
    let poor = world.holder(5).await;
    world.transfer(&poor, holder.id, 1).await.problem(422, "limit_exceeded");
    assert_eq!((world.balance(&holder).await, world.balance(&poor).await), (most, 5));
}

async fn mistakes_in_the_body_are_pointed_at(world: World) {
    let holder = world.holder(0).await;
    let mistakes = [
        (json!({"account_id": holder.id}), "/amount"),
        (json!({"amount": 1}), "/account_id"),
        (json!({"account_id": 0, "amount": 1}), "/account_id"),
        (json!({"account_id": "1", "amount": 1}), "/account_id"),
        (json!({"account_id": holder.id, "amount": 1.5}), "/amount"),
        (json!({"account_id": holder.id, "amount": 1, "reference": "a\tb"}), "/reference"),
        (json!({"account_id": holder.id, "amount": 1, "message": "m"}), "/message"),
    ];
    for path in BOTH {
        for (body, pointer) in &mistakes {
            let answer = world.admin_post(path).key(&fresh("key")).json(body).send().await;
            assert_eq!(answer.malformed(), [*pointer], "{body}");
        }
    }
}

//! `POST /v1/transfers` to an account.

use crate::client::Answer;
use crate::world::{Holder, World, fresh};
use futures_util::future::join_all;
use serde_json::{Value, json};

crate::facts![
    transfer_moves_money_within_a_region_and_between_regions,
    transfer_has_the_fields_of_the_contract,
    largest_amount_is_the_currencys_limit,
    more_than_there_is_is_refused,
    account_cannot_pay_itself,
    absent_credit_account_is_refused_for_good,
    absent_debit_account_is_not_found,
    another_currency_is_refused_for_good,
    largest_amount_is_another_in_another_currency,
    long_message_is_refused_for_good,
    optional_texts_may_be_null,
    preferred_wait_is_applied_and_nonsense_ignored,
    account_is_drained_from_many_sides_but_never_overdrawn,
    opposite_transfers_do_not_block_each_other,
];

async fn send(world: &World, holder: &Holder, body: &Value) -> Answer {
    world.post("/v1/transfers").token(&holder.user).key(&fresh("key")).json(body).send().await
}

async fn transfer_moves_money_within_a_region_and_between_regions(world: World) {
    for (from, to) in [("sg", "sg"), ("sg", "eu"), ("eu", "sg"), ("eu", "eu")] {
        // Several, so that some are within a shard and some between shards.
        for _ in 0..4 {
            let (holder, other) = (world.holder_in(from, 100).await, world.holder_in(to, 5).await);
            let transfer = world.transfer(&holder, other.id, 40).await.expect(201);
            assert_eq!(transfer["state"], "posted", "{from} {to}");
            assert_eq!((world.balance(&holder).await, world.balance(&other).await), (60, 45), "{from} {to}");
        }
    }
}

async fn transfer_has_the_fields_of_the_contract(world: World) {
    let (holder, other) = (world.holder(1_000).await, world.holder(0).await);
    let body = json!({
        "debit_account_id": holder.id, "credit_account_id": other.id, "amount": 250, "message": "lunch",
        "reference": "order-7"
    });
    let answer = send(&world, &holder, &body).await;
    let transfer = answer.expect(201);
    let expected = json!({
        "id": transfer["id"], "kind": "transfer", "state": "posted", "debit_account_id": holder.id,
        "credit_account_id": other.id, "amount": 250, "currency": "SGD", "message": "lunch", "reference": "order-7",
        "created_at": transfer["created_at"], "decided_at": transfer["decided_at"]
    });
    assert_eq!(transfer, expected);
    let id: uuid::Uuid = transfer["id"].as_str().expect("an id").parse().expect("a UUID");
    assert_eq!(id.get_version_num(), 8);
    assert_eq!(answer.header("location"), format!("/v1/transfers/{id}"));
}

async fn largest_amount_is_the_currencys_limit(world: World) {
    let (holder, other) = (world.holder(2_000_000).await, world.holder(0).await);
    world.transfer(&holder, other.id, 1_000_000).await.problem(422, "amount_out_of_range");
    world.transfer(&holder, other.id, 999_999).await.expect(201);
    world.transfer(&holder, other.id, 1).await.expect(201);
    assert_eq!(world.balance(&other).await, 1_000_000);
}

async fn more_than_there_is_is_refused(world: World) {
    for region in ["sg", "eu"] {
        let (holder, other) = (world.holder(10).await, world.holder_in(region, 0).await);
        world.transfer(&holder, other.id, 11).await.problem(422, "insufficient_funds");
        world.transfer(&holder, other.id, 10).await.expect(201);
        world.transfer(&holder, other.id, 1).await.problem(422, "insufficient_funds");
    }
}

async fn account_cannot_pay_itself(world: World) {
    let holder = world.holder(10).await;
    assert_eq!(world.transfer(&holder, holder.id, 1).await.problem(422, "same_account")["retry"], "never");
    assert_eq!(world.balance(&holder).await, 10);
}

async fn absent_credit_account_is_refused_for_good(world: World) {
    let (holder, far) = (world.holder(10).await, world.holder_in("eu", 0).await);
    // No region, a region that is none, absent in the own region, absent in the other.
    for id in [1, 42, (9 << 47) + 5, holder.id ^ 1, far.id ^ 1] {
        let key = fresh("key");
        for replayed in [false, true] {
            let body = json!({"debit_account_id": holder.id, "credit_account_id": id, "amount": 1});
            let answer = world.post("/v1/transfers").token(&holder.user).key(&key).json(&body).send().await;
            let problem = answer.problem(422, "credit_account_not_found");
            assert!(problem["transfer_id"].is_string());
            assert_eq!(answer.is_replayed(), replayed, "{id}");
        }
    }
    let account = world.account(&holder).await;
    assert_eq!((&account["balance"], &account["reserved"]), (&json!(10), &json!(0)));
}

async fn absent_debit_account_is_not_found(world: World) {
    let holder = world.holder(10).await;
    for id in [1, 42, (9 << 47) + 5, holder.id ^ 1] {
        for credit in [json!({"credit_account_id": holder.id}), json!({"credit_user_id": holder.user})] {
            let mut body = credit.clone();
            body["debit_account_id"] = json!(id);
            body["amount"] = json!(1);
            send(&world, &holder, &body).await.problem(404, "not_found");
        }
    }
}

async fn another_currency_is_refused_for_good(world: World) {
    let holder = world.holder(10).await;
    // The accounts of one user in one region share a slot, and so a shard.
    let near = world.open_in(&holder.user, "sg", "EUR").await;
    let stranger = world.user().await;
    let far = [world.open_in(&stranger, "sg", "USD").await, world.open_in(&stranger, "eu", "JPY").await];
    for id in [&[near][..], &far].concat() {
        let key = fresh("key");
        for replayed in [false, true] {
            let body = json!({"debit_account_id": holder.id, "credit_account_id": id, "amount": 1});
            let answer = world.post("/v1/transfers").token(&holder.user).key(&key).json(&body).send().await;
            let problem = answer.problem(422, "currency_mismatch");
            assert_eq!((&problem["retry"], answer.is_replayed()), (&json!("never"), replayed), "{id}");
            let path = format!("/v1/transfers/{}", problem["transfer_id"].as_str().expect("an id"));
            let transfer = world.get(path).token(&holder.user).send().await.expect(200);
            assert_eq!(transfer["reason"], "currency_mismatch", "{id}");
            // The other region's shard refuses after the amount was set aside here.
            let expected: &[&str] = match id {
                id if id == near => &["rejected"],
                id if id == far[1] => &["released"],
                _ => &["rejected", "released"],
            };
            assert!(expected.iter().any(|state| transfer["state"] == *state), "{transfer}");
        }
    }
    let account = world.account(&holder).await;
    assert_eq!((&account["balance"], &account["reserved"]), (&json!(10), &json!(0)));
    // To the user, not to one account: there is none that could take it.
    let body = json!({"debit_account_id": holder.id, "credit_user_id": stranger, "amount": 1});
    send(&world, &holder, &body).await.problem(422, "credit_user_not_found");
}

async fn largest_amount_is_another_in_another_currency(world: World) {
    let (user, other) = (world.user().await, world.user().await);
    for currency in ["EUR", "JPY"] {
        let from = Holder { id: world.open_in(&user, "sg", currency).await, user: user.clone() };
        let to = world.open_in(&other, "eu", currency).await;
        world.deposit(from.id, 100_000_000).await;
        world.transfer(&from, to, 100_000_000).await.problem(422, "amount_out_of_range");
        assert_eq!(world.transfer(&from, to, 99_999_999).await.expect(201)["currency"], currency);
    }
}

async fn long_message_is_refused_for_good(world: World) {
    let (holder, other) = (world.holder(10).await, world.holder(0).await);
    let body = |length: usize| {
        let message = "\u{1f4b8}".repeat(length);
        json!({"debit_account_id": holder.id, "credit_account_id": other.id, "amount": 1, "message": message})
    };
    send(&world, &holder, &body(255)).await.expect(201);
    send(&world, &holder, &body(256)).await.problem(422, "message_too_long");
    send(&world, &holder, &body(10_000)).await.problem(422, "message_too_long");
    assert_eq!(world.balance(&holder).await, 9);
}

async fn optional_texts_may_be_null(world: World) {
    let (holder, other) = (world.holder(10).await, world.holder(0).await);
    let body = json!({
        "debit_account_id": holder.id, "credit_account_id": other.id, "credit_user_id": null, "amount": 1,
        "message": null, "reference": null
    });
    let transfer = send(&world, &holder, &body).await.expect(201);
    assert!(transfer.get("message").is_none() && transfer.get("reference").is_none());
}

async fn preferred_wait_is_applied_and_nonsense_ignored(world: World) {
    let (holder, other) = (world.holder(100).await, world.holder_in("eu", 0).await);
    let body = json!({"debit_account_id": holder.id, "credit_account_id": other.id, "amount": 1});
    for (prefer, applied) in [
        ("wait=5", "wait=5"),
        ("respond-async, wait=30", "wait=30"),
        ("wait=31", ""),
        ("wait=-1", ""),
        ("wait=soon", ""),
        ("wait", ""),
        ("", ""),
    ] {
        let call = world.post("/v1/transfers").token(&holder.user).key(&fresh("key")).header("prefer", prefer);
        let answer = call.json(&body).send().await;
        answer.expect(201);
        assert_eq!(answer.header("preference-applied"), applied, "{prefer}");
    }
}

async fn account_is_drained_from_many_sides_but_never_overdrawn(world: World) {
    let (holder, near, far) = (world.holder(100).await, world.holder(0).await, world.holder_in("eu", 0).await);
    let there = World { sg: world.eu, ..world.clone() };
    let attempts = (0..60).map(|turn| {
        let world = if turn % 2 == 0 { &world } else { &there };
        let to = if turn % 3 == 0 { far.id } else { near.id };
        world.transfer(&holder, to, 7)
    });
    let answers = join_all(attempts).await;
    let paid = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(paid, 14);
    answers.iter().filter(|answer| answer.status != 201).for_each(|answer| {
        answer.problem(422, "insufficient_funds");
    });
    let account = world.account(&holder).await;
    assert_eq!((&account["balance"], &account["reserved"]), (&json!(2), &json!(0)));
    assert_eq!(world.balance(&near).await + world.balance(&far).await, 98);
}

async fn opposite_transfers_do_not_block_each_other(world: World) {
    for region in ["sg", "eu"] {
        let (one, other) = (world.holder(100).await, world.holder_in(region, 100).await);
        let (there, back) =
            ((0..20).map(|_| world.transfer(&one, other.id, 3)), (0..20).map(|_| world.transfer(&other, one.id, 3)));
        let (there, back) = tokio::join!(join_all(there), join_all(back));
        there.iter().chain(&back).for_each(|answer| {
            answer.expect(201);
        });
        assert_eq!((world.balance(&one).await, world.balance(&other).await), (100, 100));
    }
}

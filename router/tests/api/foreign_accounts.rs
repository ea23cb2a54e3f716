//! A foreign account looks absent on every route.

use crate::client::Answer;
use crate::world::{World, fresh};
use serde_json::{Value, json};

crate::facts![
    foreign_account_cannot_be_told_from_an_absent_one,
    foreign_account_cannot_be_debited,
    foreign_transfer_cannot_be_told_from_an_absent_one,
    strangers_do_not_wait_for_a_transfer,
    lists_show_own_accounts_only,
    cursor_of_a_foreign_account_is_of_no_use,
];

/// All that the stranger learns.
fn told(answer: &Answer) -> Value {
    let mut problem = answer.problem(404, "not_found");
    problem["request_id"] = Value::Null;
    let mut headers: Vec<_> = answer.headers.keys().map(|name| name.as_str().to_owned()).collect();
    headers.sort();
    json!([problem, headers])
}

async fn foreign_account_cannot_be_told_from_an_absent_one(world: World) {
    let (stranger, holder) = (world.user().await, world.holder(100).await);
    let absent = holder.id ^ 1;
    for tail in ["", "/transactions", "/transfers", "/transactions?order=asc&limit=1", "/transfers?state=pending"] {
        let ask = async |id: u64| world.get(format!("/v1/accounts/{id}{tail}")).token(&stranger).send().await;
        assert_eq!(told(&ask(holder.id).await), told(&ask(absent).await), "{tail}");
    }
    let etag = format!("\"{}.0.open\"", 1);
    for known in [etag.as_str(), "*"] {
        let path = format!("/v1/accounts/{}", holder.id);
        let answer = world.get(path).token(&stranger).header("if-none-match", known).send().await;
        answer.problem(404, "not_found");
    }
}

async fn foreign_account_cannot_be_debited(world: World) {
    let (stranger, holder) = (world.holder(10).await, world.holder(100).await);
    let absent = holder.id ^ 1;
    for credit in [json!({"credit_account_id": stranger.id}), json!({"credit_user_id": stranger.user})] {
        // Whatever else is wrong: too much, to itself, too long a message.
        for amount in [1, 1_000, 0] {
            let ask = async |id: u64| {
                let mut body = credit.clone();
                body["debit_account_id"] = json!(id);
                body["amount"] = json!(amount);
                world.post("/v1/transfers").token(&stranger.user).key(&fresh("key")).json(&body).send().await
            };
            assert_eq!(told(&ask(holder.id).await), told(&ask(absent).await));
        }
    }
    assert_eq!((world.balance(&stranger).await, world.balance(&holder).await), (10, 100));
}

async fn foreign_transfer_cannot_be_told_from_an_absent_one(world: World) {
    let (stranger, holder, other) = (world.user().await, world.holder(100).await, world.holder_in("eu", 0).await);
    let transfer = world.transfer(&holder, other.id, 1).await.expect(201);
    let refused = world.transfer(&holder, other.id, 1_000).await.problem(422, "insufficient_funds");
    let deposited = world.deposit(holder.id, 1).await;
    let id = transfer["id"].as_str().expect("an id");
    let absent = format!("{}{}", &id[..35], if id.ends_with('0') { "1" } else { "0" });
    let ask =
        async |id: &str, query: &str| world.get(format!("/v1/transfers/{id}{query}")).token(&stranger).send().await;
    let foreign = [id, refused["transfer_id"].as_str().expect("an id"), deposited["id"].as_str().expect("an id")];
    for id in foreign {
        for query in ["", "?wait_seconds=1"] {
            assert_eq!(told(&ask(id, query).await), told(&ask(&absent, query).await));
        }
    }
    for holder in [&holder, &other] {
        let seen = world.get(format!("/v1/transfers/{id}")).token(&holder.user).send().await.expect(200);
        assert_eq!(seen["state"], "posted");
    }
}

async fn strangers_do_not_wait_for_a_transfer(world: World) {
    let (stranger, holder) = (world.user().await, world.holder(100).await);
    let transfer = world.transfer(&holder, world.holder(0).await.id, 1).await.expect(201);
    let id = transfer["id"].as_str().expect("an id");
    let begun = std::time::Instant::now();
    let path = format!("/v1/transfers/{id}?wait_seconds=30");
    world.get(path).token(&stranger).send().await.problem(404, "not_found");
    assert!(begun.elapsed().as_secs() < 5);
}

async fn lists_show_own_accounts_only(world: World) {
    let (one, other) = (world.holder(0).await, world.holder(0).await);
    for (mine, theirs) in [(&one, &other), (&other, &one)] {
        let list = world.get("/v1/accounts?region=all").token(&mine.user).send().await.expect(200).to_string();
        assert!(list.contains(&mine.id.to_string()) && !list.contains(&theirs.id.to_string()), "{list}");
    }
}

async fn cursor_of_a_foreign_account_is_of_no_use(world: World) {
    let (one, other) = (world.holder(5).await, world.holder(5).await);
    for holder in [&one, &other] {
        world.deposit(holder.id, 5).await;
    }
    let page = world.get(format!("/v1/accounts/{}/transactions?limit=1", one.id)).token(&one.user).send().await;
    let cursor = page.expect(200)["next_cursor"].as_str().expect("more").to_owned();
    let path = format!("/v1/accounts/{}/transactions?cursor={cursor}", other.id);
    assert_eq!(world.get(path).token(&other.user).send().await.malformed(), ["?cursor"]);
}

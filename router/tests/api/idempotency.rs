//! The same key with the same request gives the first answer again.

use crate::client::Answer;
use crate::world::{Holder, World, fresh};
use futures_util::future::join_all;
use serde_json::{Value, json};

crate::facts![
    key_is_required_to_move_money,
    keys_that_cannot_be_are_refused,
    quoted_and_bare_key_are_one,
    repeat_gives_the_first_answer_again,
    repeat_through_another_router_gives_the_first_answer_again,
    refusal_is_as_final_as_a_success,
    key_with_another_request_is_refused_whatever_differs,
    key_belongs_to_its_user,
    key_sent_many_times_at_once_has_one_effect,
    what_was_not_decided_is_not_remembered,
];

async fn send(world: &World, holder: &Holder, key: &str, body: &Value) -> Answer {
    world.post("/v1/transfers").token(&holder.user).key(key).json(body).send().await
}

async fn pair(world: &World, balance: i64) -> (Holder, Holder, Value) {
    let (holder, other) = (world.holder(balance).await, world.holder_in("eu", 0).await);
    let body = json!({"debit_account_id": holder.id, "credit_account_id": other.id, "amount": 10, "message": "m"});
    (holder, other, body)
}

async fn key_is_required_to_move_money(world: World) {
    let (holder, _, body) = pair(&world, 100).await;
    let answer = world.post("/v1/transfers").token(&holder.user).json(&body).send().await;
    answer.problem(400, "idempotency_key_required");
    assert_eq!(world.balance(&holder).await, 100);
}

async fn keys_that_cannot_be_are_refused(world: World) {
    let (holder, _, body) = pair(&world, 100).await;
    let long = "k".repeat(256);
    let mangled: [&[u8]; 8] =
        [b"", b"\"\"", b"\"", b"\"abc", b"\"a\"b\"", b"a\tb", "\u{e4}".as_bytes(), long.as_bytes()];
    for key in mangled {
        let call = world.post("/v1/transfers").token(&holder.user).header_bytes("idempotency-key", key).json(&body);
        call.send().await.problem(400, "idempotency_key_invalid");
    }
    let twice = world.post("/v1/transfers").token(&holder.user).key("a").key("a").json(&body);
    twice.send().await.problem(400, "idempotency_key_invalid");
    assert_eq!(world.balance(&holder).await, 100);
    send(&world, &holder, &long[1..], &body).await.expect(201);
}

async fn quoted_and_bare_key_are_one(world: World) {
    let (holder, _, body) = pair(&world, 100).await;
    assert!(!send(&world, &holder, "abc", &body).await.is_replayed());
    assert!(send(&world, &holder, "\"abc\"", &body).await.is_replayed());
    assert_eq!(world.balance(&holder).await, 90);
}

async fn repeat_gives_the_first_answer_again(world: World) {
    let (holder, other, body) = pair(&world, 100).await;
    let key = fresh("key");
    let first = send(&world, &holder, &key, &body).await;
    for _ in 0..3 {
        let again = send(&world, &holder, &key, &body).await;
        assert_eq!(first.expect(201), again.expect(201));
        assert_eq!(first.header("location"), again.header("location"));
        assert_eq!((first.is_replayed(), again.is_replayed()), (false, true));
    }
    // The order of the fields and the white space are not the request.
    let text = format!(
        r#" {{ "message":"m", "amount":10,"credit_account_id":{},"debit_account_id":{} }} "#,
        other.id, holder.id
    );
    let again = world.post("/v1/transfers").token(&holder.user).key(&key).text(text).send().await;
    assert!(again.is_replayed());
    assert_eq!((world.balance(&holder).await, world.balance(&other).await), (90, 10));
}

async fn repeat_through_another_router_gives_the_first_answer_again(world: World) {
    let (holder, _, body) = pair(&world, 100).await;
    let key = fresh("key");
    let there = World { sg: world.eu, ..world.clone() };
    let first = send(&world, &holder, &key, &body).await;
    let again = send(&there, &holder, &key, &body).await;
    assert_eq!(first.expect(201), again.expect(201));
    assert!(again.is_replayed());
}

async fn refusal_is_as_final_as_a_success(world: World) {
    let (holder, _, body) = pair(&world, 0).await;
    let key = fresh("key");
    let first = send(&world, &holder, &key, &body).await.problem(422, "insufficient_funds");
    assert_eq!(first["retry"], "new_key");
    world.deposit(holder.id, 100).await;
    let again = send(&world, &holder, &key, &body).await;
    assert_eq!(again.problem(422, "insufficient_funds")["transfer_id"], first["transfer_id"]);
    assert!(again.is_replayed());
    assert_eq!(world.balance(&holder).await, 100);
    send(&world, &holder, &fresh("key"), &body).await.expect(201);
}

async fn key_with_another_request_is_refused_whatever_differs(world: World) {
    let (holder, other, body) = pair(&world, 100).await;
    let (second, key) = (world.open(&holder.user, "sg").await, fresh("key"));
    send(&world, &holder, &key, &body).await.expect(201);
    for (field, value) in [
        ("amount", json!(11)),
        ("message", json!("n")),
        ("message", json!(null)),
        ("reference", json!("r")),
        ("credit_account_id", json!(second)),
        ("debit_account_id", json!(second)),
    ] {
        let mut different = body.clone();
        different[field] = value;
        let problem = send(&world, &holder, &key, &different).await.problem(422, "idempotency_key_reused");
        assert_eq!(problem["retry"], "new_key");
    }
    let by_user = json!({"debit_account_id": holder.id, "credit_user_id": other.user, "amount": 10, "message": "m"});
    send(&world, &holder, &key, &by_user).await.problem(422, "idempotency_key_reused");
    assert_eq!(world.balance(&holder).await, 90);
}

async fn key_belongs_to_its_user(world: World) {
    let key = fresh("key");
    for _ in 0..2 {
        let (holder, _, body) = pair(&world, 100).await;
        let answer = send(&world, &holder, &key, &body).await;
        answer.expect(201);
        assert!(!answer.is_replayed());
    }
}

async fn key_sent_many_times_at_once_has_one_effect(world: World) {
    let (holder, other, body) = pair(&world, 100).await;
    let key = fresh("key");
    let there = World { sg: world.eu, ..world.clone() };
    let worlds = [&world, &there].into_iter().cycle().take(50);
    let answers = join_all(worlds.map(|world| send(world, &holder, &key, &body))).await;
    let ids: Vec<_> = answers.iter().map(|answer| answer.expect(201)["id"].clone()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]));
    assert_eq!(answers.iter().filter(|answer| !answer.is_replayed()).count(), 1);
    assert_eq!((world.balance(&holder).await, world.balance(&other).await), (90, 10));
}

async fn what_was_not_decided_is_not_remembered(world: World) {
    let (holder, _, body) = pair(&world, 100).await;
    let key = fresh("key");
    let mut absent = body.clone();
    absent["debit_account_id"] = json!(42);
    send(&world, &holder, &key, &absent).await.problem(404, "not_found");
    let mut malformed = body.clone();
    malformed["amount"] = json!("10");
    send(&world, &holder, &key, &malformed).await.malformed();
    world.post("/v1/transfers").token("nobody").key(&key).json(&body).send().await.problem(401, "unauthenticated");
    let answer = send(&world, &holder, &key, &body).await;
    answer.expect(201);
    assert!(!answer.is_replayed());
}

//! Two-step transfers: reserve, then commit, release or expiry.

use crate::client::Answer;
use crate::world::{Holder, World, fresh};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

crate::facts![
    reserved_money_is_set_aside_until_it_is_committed,
    a_part_is_committed_and_the_rest_given_back,
    released_money_is_available_again,
    release_may_be_repeated,
    a_reservation_left_alone_expires,
    reserve_has_the_fields_of_the_contract,
    reserve_is_refused_as_a_transfer_is,
    what_is_reserved_cannot_be_spent_or_reserved_again,
    commit_without_a_body_commits_all,
    commit_of_more_than_is_reserved_is_refused_for_good,
    commit_needs_a_key,
    repeats_give_the_first_answers_again,
    key_of_a_commit_cannot_commit_another_amount,
    losers_are_told_the_state,
    exactly_one_of_many_wins,
    strangers_see_nothing_to_commit_or_release,
    the_receiver_cannot_commit_or_release,
    frozen_account_commits_nothing_but_may_release,
    commit_to_an_account_that_cannot_take_it_releases,
    bad_input_is_told_and_changes_nothing,
    open_transfers_list_what_is_reserved,
    get_waits_for_the_end,
];

const REGIONS: [&str; 2] = ["sg", "eu"];

async fn post(world: &World, holder: &Holder, key: &str, body: &Value) -> Answer {
    world.post("/v1/transfers").token(&holder.user).key(key).json(body).send().await
}

fn body(holder: &Holder, other: &Holder, amount: i64) -> Value {
    json!({"debit_account_id": holder.id, "credit_account_id": other.id, "amount": amount, "reserve": true})
}

async fn reserve(world: &World, holder: &Holder, other: &Holder, amount: i64) -> String {
    let transfer = post(world, holder, &fresh("reserve"), &body(holder, other, amount)).await.expect(201);
    assert_eq!(transfer["state"], "reserved");
    transfer["id"].as_str().expect("an id").to_owned()
}

async fn commit(world: &World, holder: &Holder, id: &str, key: &str, body: &Value) -> Answer {
    world.post(format!("/v1/transfers/{id}/commit")).token(&holder.user).key(key).json(body).send().await
}

async fn commit_all(world: &World, holder: &Holder, id: &str) -> Answer {
    commit(world, holder, id, &fresh("commit"), &json!({})).await
}

async fn release(world: &World, holder: &Holder, id: &str) -> Answer {
    world.post(format!("/v1/transfers/{id}/release")).token(&holder.user).send().await
}

async fn get(world: &World, holder: &Holder, id: &str, query: &str) -> Value {
    world.get(format!("/v1/transfers/{id}{query}")).token(&holder.user).send().await.expect(200)
}

/// `(balance, reserved, available)`.
async fn sums(world: &World, holder: &Holder) -> (i64, i64, i64) {
    let account = world.account(holder).await;
    let sum = |name: &str| account[name].as_i64().expect("a number");
    (sum("balance"), sum("reserved"), sum("available"))
}

async fn reserved_money_is_set_aside_until_it_is_committed(world: World) {
    for region in REGIONS {
        // Several, so that some are within a shard and some between shards.
        for _ in 0..4 {
            let (holder, other) = (world.holder(100).await, world.holder_in(region, 5).await);
            let id = reserve(&world, &holder, &other, 40).await;
            assert_eq!(sums(&world, &holder).await, (100, 40, 60));
            assert_eq!(world.balance(&other).await, 5);
            let posted = commit_all(&world, &holder, &id).await.expect(200);
            assert_eq!((&posted["state"], &posted["amount"]), (&json!("posted"), &json!(40)));
            assert_eq!((sums(&world, &holder).await, world.balance(&other).await), ((60, 0, 60), 45));
        }
    }
}

async fn a_part_is_committed_and_the_rest_given_back(world: World) {
    for region in REGIONS {
        let (holder, other) = (world.holder(100).await, world.holder_in(region, 0).await);
        let id = reserve(&world, &holder, &other, 40).await;
        let posted = commit(&world, &holder, &id, &fresh("commit"), &json!({"amount": 15})).await.expect(200);
        assert_eq!((&posted["amount"], &posted["amount_reserved"]), (&json!(15), &json!(40)));
        assert_eq!((sums(&world, &holder).await, world.balance(&other).await), ((85, 0, 85), 15));
        let shown = get(&world, &holder, &id, "").await;
        assert_eq!(shown, posted);
    }
}

async fn released_money_is_available_again(world: World) {
    let (holder, other) = (world.holder(100).await, world.holder_in("eu", 0).await);
    let id = reserve(&world, &holder, &other, 40).await;
    let released = release(&world, &holder, &id).await.expect(200);
    assert_eq!((&released["state"], &released["reason"]), (&json!("released"), &json!("released_by_client")));
    assert_eq!((sums(&world, &holder).await, world.balance(&other).await), ((100, 0, 100), 0));
}

async fn release_may_be_repeated(world: World) {
    let (holder, other) = (world.holder(100).await, world.holder(0).await);
    let id = reserve(&world, &holder, &other, 40).await;
    let first = release(&world, &holder, &id).await.expect(200);
    assert_eq!(release(&world, &holder, &id).await.expect(200), first);
    assert_eq!(sums(&world, &holder).await, (100, 0, 100));
}

async fn a_reservation_left_alone_expires(world: World) {
    let (holder, other) = (world.holder(100).await, world.holder(0).await);
    let mut asked = body(&holder, &other, 40);
    asked["expires_in_seconds"] = json!(1);
    let key = fresh("reserve");
    let reserved = post(&world, &holder, &key, &asked).await.expect(201);
    let id = reserved["id"].as_str().expect("an id");
    let expired = get(&world, &holder, id, "?wait_seconds=10").await;
    assert_eq!((&expired["state"], &expired["reason"]), (&json!("released"), &json!("expired")));
    let (due, decided) = (time(&expired["expires_at"]), time(&expired["decided_at"]));
    assert!(due <= decided, "{expired}");
    assert_eq!(sums(&world, &holder).await, (100, 0, 100));
    let problem = commit_all(&world, &holder, id).await.problem(409, "transfer_not_reserved");
    assert_eq!(problem["detail"], "the transfer is released (expired)");
    assert_eq!((&problem["state"], &problem["reason"]), (&json!("released"), &json!("expired")));
    release(&world, &holder, id).await.problem(409, "transfer_not_reserved");
    // The first answer, whatever has become of it.
    assert_eq!(post(&world, &holder, &key, &asked).await.expect(201), reserved);
}

fn time(value: &Value) -> jiff::Timestamp {
    value.as_str().expect("a time").parse().expect("RFC 3339")
}

async fn reserve_has_the_fields_of_the_contract(world: World) {
    let (holder, other) = (world.holder(100).await, world.holder(0).await);
    let mut asked = body(&holder, &other, 40);
    asked["message"] = json!("room 7");
    asked["reference"] = json!("booking");
    let answer = post(&world, &holder, &fresh("reserve"), &asked).await;
    let reserved = answer.expect(201);
    let expected = json!({
        "id": reserved["id"], "kind": "transfer", "state": "reserved", "debit_account_id": holder.id,
        "credit_account_id": other.id, "amount": 40, "currency": "SGD", "message": "room 7", "reference": "booking",
        "created_at": reserved["created_at"], "amount_reserved": 40, "expires_at": reserved["expires_at"]
    });
    assert_eq!(reserved, expected);
    assert_eq!(answer.header("location"), format!("/v1/transfers/{}", reserved["id"].as_str().expect("an id")));
    let week = time(&reserved["expires_at"]).duration_since(time(&reserved["created_at"]));
    assert_eq!(week.as_secs(), 604_800);
}

async fn reserve_is_refused_as_a_transfer_is(world: World) {
    let (holder, other) = (world.holder(100).await, world.holder(0).await);
    let nobody =
        json!({"debit_account_id": holder.id, "credit_user_id": fresh("nobody"), "amount": 1, "reserve": true});
    let refused = [
        (body(&holder, &other, 101), "insufficient_funds"),
        (body(&holder, &other, 0), "amount_out_of_range"),
        (body(&holder, &holder, 1), "same_account"),
        (nobody, "credit_user_not_found"),
    ];
    for (asked, code) in refused {
        post(&world, &holder, &fresh("reserve"), &asked).await.problem(422, code);
    }
    assert_eq!(sums(&world, &holder).await, (100, 0, 100));
}

async fn what_is_reserved_cannot_be_spent_or_reserved_again(world: World) {
    let (holder, other) = (world.holder(100).await, world.holder(0).await);
    let id = reserve(&world, &holder, &other, 60).await;
    world.transfer(&holder, other.id, 41).await.problem(422, "insufficient_funds");
    post(&world, &holder, &fresh("reserve"), &body(&holder, &other, 41)).await.problem(422, "insufficient_funds");
    world.transfer(&holder, other.id, 40).await.expect(201);
    commit_all(&world, &holder, &id).await.expect(200);
    assert_eq!((sums(&world, &holder).await, world.balance(&other).await), ((0, 0, 0), 100));
}

async fn commit_without_a_body_commits_all(world: World) {
    let (holder, other) = (world.holder(100).await, world.holder(0).await);
    let id = reserve(&world, &holder, &other, 40).await;
    let path = format!("/v1/transfers/{id}/commit");
    world.post(path).token(&holder.user).key(&fresh("commit")).send().await.expect(200);
    assert_eq!(world.balance(&other).await, 40);
}

async fn commit_of_more_than_is_reserved_is_refused_for_good(world: World) {
    for region in REGIONS {
        let (holder, other) = (world.holder(100).await, world.holder_in(region, 0).await);
        let id = reserve(&world, &holder, &other, 40).await;
        for (amount, code) in [(41, "amount_exceeds_reserved"), (0, "amount_out_of_range"), (-1, "amount_out_of_range")]
        {
            let key = fresh("commit");
            let first = commit(&world, &holder, &id, &key, &json!({"amount": amount})).await;
            first.problem(422, code);
            let again = commit(&world, &holder, &id, &key, &json!({"amount": amount})).await;
            again.problem(422, code);
            assert!(again.is_replayed());
        }
        assert_eq!(sums(&world, &holder).await, (100, 40, 60));
        commit_all(&world, &holder, &id).await.expect(200);
    }
}

async fn commit_needs_a_key(world: World) {
    let (holder, other) = (world.holder(100).await, world.holder(0).await);
    let id = reserve(&world, &holder, &other, 40).await;
    let path = format!("/v1/transfers/{id}/commit");
    let answer = world.post(path).token(&holder.user).json(&json!({})).send().await;
    answer.problem(400, "idempotency_key_required");
    assert_eq!(sums(&world, &holder).await, (100, 40, 60));
}

async fn repeats_give_the_first_answers_again(world: World) {
    for region in REGIONS {
        let (holder, other) = (world.holder(100).await, world.holder_in(region, 0).await);
        let (reserving, committing) = (fresh("reserve"), fresh("commit"));
        let reserved = post(&world, &holder, &reserving, &body(&holder, &other, 40)).await.expect(201);
        let id = reserved["id"].as_str().expect("an id");
        let posted = commit(&world, &holder, id, &committing, &json!({"amount": 30})).await.expect(200);
        let again = commit(&world, &holder, id, &committing, &json!({"amount": 30})).await;
        assert_eq!((again.expect(200), again.is_replayed()), (posted, true));
        let again = post(&world, &holder, &reserving, &body(&holder, &other, 40)).await;
        assert_eq!((again.expect(201), again.is_replayed()), (reserved, true));
        assert_eq!((sums(&world, &holder).await, world.balance(&other).await), ((70, 0, 70), 30));
    }
}

async fn key_of_a_commit_cannot_commit_another_amount(world: World) {
    let (holder, other) = (world.holder(100).await, world.holder(0).await);
    let id = reserve(&world, &holder, &other, 40).await;
    let key = fresh("commit");
    commit(&world, &holder, &id, &key, &json!({"amount": 10})).await.expect(200);
    for other_body in [json!({"amount": 11}), json!({})] {
        commit(&world, &holder, &id, &key, &other_body).await.problem(422, "idempotency_key_reused");
    }
    let plain = json!({"debit_account_id": holder.id, "credit_account_id": other.id, "amount": 40});
    let key = fresh("reserve");
    post(&world, &holder, &key, &body(&holder, &other, 40)).await.expect(201);
    post(&world, &holder, &key, &plain).await.problem(422, "idempotency_key_reused");
}

async fn losers_are_told_the_state(world: World) {
    let (holder, other) = (world.holder(100).await, world.holder(0).await);
    let id = reserve(&world, &holder, &other, 40).await;
    commit_all(&world, &holder, &id).await.expect(200);
    for answer in [commit_all(&world, &holder, &id).await, release(&world, &holder, &id).await] {
        let problem = answer.problem(409, "transfer_not_reserved");
        assert_eq!((&problem["detail"], &problem["transfer_id"]), (&json!("the transfer is posted"), &json!(id)));
        assert_eq!((&problem["state"], problem.get("reason")), (&json!("posted"), None));
    }
    let id = world.transfer(&holder, other.id, 1).await.expect(201)["id"].as_str().expect("an id").to_owned();
    release(&world, &holder, &id).await.problem(409, "transfer_not_reserved");
}

async fn exactly_one_of_many_wins(world: World) {
    for region in REGIONS {
        let (holder, other) = (world.holder(100).await, world.holder_in(region, 0).await);
        for round in 1..=5 {
            let id = reserve(&world, &holder, &other, 10).await;
            let before = world.balance(&other).await;
            let attempts = (1..=8).map(|n| {
                let (world, holder, id) = (&world, &holder, &id);
                async move {
                    match n % 2 == round % 2 {
                        true => (n, commit(world, holder, id, &fresh("commit"), &json!({"amount": n})).await),
                        false => (0, release(world, holder, id).await),
                    }
                }
            });
            let answers = join_all(attempts).await;
            let gained = world.balance(&other).await - before;
            let committed: Vec<i64> =
                answers.iter().filter(|(n, answer)| *n > 0 && answer.status == 200).map(|(n, _)| *n).collect();
            let is_released = answers.iter().any(|(n, answer)| *n == 0 && answer.status == 200);
            match committed[..] {
                [] => assert!(is_released && gained == 0, "{answers:?}"),
                [amount] => assert!(!is_released && gained == amount, "{answers:?}"),
                _ => panic!("two winners: {answers:?}"),
            }
            assert_eq!(world.account(&holder).await["reserved"], 0);
            assert_eq!(world.balance(&holder).await + world.balance(&other).await, 100);
        }
    }
}

async fn strangers_see_nothing_to_commit_or_release(world: World) {
    let (holder, other, stranger) = (world.holder(100).await, world.holder(0).await, world.holder(0).await);
    let id = reserve(&world, &holder, &other, 40).await;
    for _ in 0..2 {
        commit_all(&world, &stranger, &id).await.problem(404, "not_found");
        release(&world, &stranger, &id).await.problem(404, "not_found");
        // The same once it is over.
        release(&world, &holder, &id).await.expect(200);
    }
}

async fn the_receiver_cannot_commit_or_release(world: World) {
    let (holder, other) = (world.holder(100).await, world.holder(0).await);
    let id = reserve(&world, &holder, &other, 40).await;
    commit_all(&world, &other, &id).await.problem(404, "not_found");
    release(&world, &other, &id).await.problem(404, "not_found");
    assert_eq!(get(&world, &other, &id, "").await["state"], "reserved");
}

async fn set_status(world: &World, holder: &Holder, change: &str) {
    world.admin_post(format!("/v1/admin/accounts/{}/{change}", holder.id)).send().await.expect(200);
}

async fn frozen_account_commits_nothing_but_may_release(world: World) {
    let (holder, other) = (world.holder(100).await, world.holder_in("eu", 0).await);
    let id = reserve(&world, &holder, &other, 40).await;
    set_status(&world, &holder, "freeze").await;
    commit_all(&world, &holder, &id).await.problem(422, "account_frozen");
    assert_eq!(get(&world, &holder, &id, "").await["state"], "reserved");
    release(&world, &holder, &id).await.expect(200);
    assert_eq!(sums(&world, &holder).await, (100, 0, 100));
}

async fn commit_to_an_account_that_cannot_take_it_releases(world: World) {
    for region in REGIONS {
        let (holder, other) = (world.holder(100).await, world.holder_in(region, 0).await);
        let id = reserve(&world, &holder, &other, 40).await;
        set_status(&world, &other, "close").await;
        let key = fresh("commit");
        for _ in 0..2 {
            let problem = commit(&world, &holder, &id, &key, &json!({})).await.problem(422, "account_closed");
            assert_eq!(problem["transfer_id"], json!(id));
        }
        let released = get(&world, &holder, &id, "").await;
        assert_eq!((&released["state"], &released["reason"]), (&json!("released"), &json!("account_closed")));
        assert_eq!(sums(&world, &holder).await, (100, 0, 100));
    }
}

async fn bad_input_is_told_and_changes_nothing(world: World) {
    let (holder, other) = (world.holder(100).await, world.holder(0).await);
    let with = |name: &str, value: Value| {
        let mut body = body(&holder, &other, 40);
        body[name] = value;
        body
    };
    for seconds in [json!(0), json!(2_592_001), json!(-1), json!("7"), json!(1.5)] {
        let refused = post(&world, &holder, "bad", &with("expires_in_seconds", seconds)).await;
        assert_eq!(refused.malformed(), ["/expires_in_seconds"]);
    }
    let mut without = with("reserve", json!(false));
    without["expires_in_seconds"] = json!(5);
    assert_eq!(post(&world, &holder, "bad", &without).await.malformed(), ["/expires_in_seconds"]);
    assert_eq!(post(&world, &holder, "bad", &with("reserve", json!("yes"))).await.malformed(), ["/reserve"]);
    let id = reserve(&world, &holder, &other, 40).await;
    for bad in [json!({"amount": "1"}), json!({"amount": 1.5})] {
        assert_eq!(commit(&world, &holder, &id, "bad", &bad).await.malformed(), ["/amount"]);
    }
    assert_eq!(commit(&world, &holder, &id, "bad", &json!({"sum": 1})).await.malformed(), ["/sum"]);
    commit(&world, &holder, "nonsense", "bad", &json!({})).await.problem(400, "malformed_request");
    let nobodys = "019acb2e-5f00-8041-8000-00c0ffee0007";
    commit(&world, &holder, nobodys, "bad", &json!({})).await.problem(404, "not_found");
    release(&world, &holder, nobodys).await.problem(404, "not_found");
    assert_eq!(sums(&world, &holder).await, (100, 40, 60));
    // None of it was recorded under the key.
    commit(&world, &holder, &id, "bad", &json!({})).await.expect(200);
}

async fn open_transfers_list_what_is_reserved(world: World) {
    let (holder, other) = (world.holder(100).await, world.holder(0).await);
    let id = reserve(&world, &holder, &other, 40).await;
    let list = |query: &str| world.get(format!("/v1/accounts/{}/transfers{query}", holder.id)).token(&holder.user);
    let listed = list("").send().await.expect(200);
    assert_eq!(listed["items"], json!([get(&world, &holder, &id, "").await]));
    assert_eq!(list("?state=reserved").send().await.expect(200), listed);
    assert_eq!(list("?state=pending").send().await.expect(200)["items"], json!([]));
    release(&world, &holder, &id).await.expect(200);
    assert_eq!(list("").send().await.expect(200)["items"], json!([]));
}

async fn get_waits_for_the_end(world: World) {
    let (holder, other) = (world.holder(100).await, world.holder(0).await);
    let id = reserve(&world, &holder, &other, 40).await;
    let began = Instant::now();
    let (waited, committed) = tokio::join!(get(&world, &holder, &id, "?wait_seconds=20"), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        commit_all(&world, &holder, &id).await.expect(200)
    });
    assert_eq!(waited, committed);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

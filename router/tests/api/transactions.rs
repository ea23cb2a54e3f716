//! `GET /v1/accounts/{id}/transactions`.

use crate::world::{Holder, World, fresh};
use serde_json::{Value, json};

crate::facts![
    lines_have_the_fields_of_the_contract,
    both_sides_see_their_line,
    newest_first_unless_asked_otherwise,
    pages_cover_all_once_in_both_orders,
    entries_that_come_meanwhile_do_not_disturb_the_pages,
    direction_and_time_narrow_the_lines,
    account_without_entries_has_an_empty_page,
    parameters_that_cannot_be_understood_are_malformed,
    mangled_cursors_are_malformed,
];

async fn page(world: &World, holder: &Holder, query: &str) -> Value {
    let path = format!("/v1/accounts/{}/transactions{query}", holder.id);
    world.get(path).token(&holder.user).send().await.expect(200)
}

fn entries(page: &Value) -> Vec<i64> {
    page["items"].as_array().expect("a list").iter().map(|line| line["entry"].as_i64().expect("a number")).collect()
}

/// All entries, page after page, and how many pages there were.
async fn all(world: &World, holder: &Holder, query: &str) -> (Vec<i64>, usize) {
    let (mut found, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let page = page(world, holder, &format!("?{query}{cursor}")).await;
        found.extend(entries(&page));
        pages += 1;
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (found, pages),
        }
    }
}

async fn with_entries(world: &World, count: i64) -> Holder {
    let holder = world.holder(0).await;
    for amount in 1..=count {
        world.deposit(holder.id, amount).await;
    }
    holder
}

async fn lines_have_the_fields_of_the_contract(world: World) {
    let (holder, other) = (world.holder(1_000).await, world.holder(0).await);
    let body = json!({
        "debit_account_id": holder.id, "credit_account_id": other.id, "amount": 250, "message": "lunch\n\u{1f35c}",
        "reference": "mine"
    });
    let call = world.post("/v1/transfers").token(&holder.user).key(&fresh("key")).json(&body);
    let transfer = call.send().await.expect(201);
    let page = page(&world, &holder, "").await;
    let expected = json!({"items": [
        {"transfer_id": transfer["id"], "kind": "transfer", "direction": "debit", "amount": 250, "entry": 2,
         "balance_after": 750, "counterparty_account_id": other.id, "counterparty_user_id": other.user,
         "message": "lunch\n\u{1f35c}", "created_at": page["items"][0]["created_at"]},
        {"transfer_id": page["items"][1]["transfer_id"], "kind": "deposit", "direction": "credit", "amount": 1_000,
         "entry": 1, "balance_after": 1_000, "created_at": page["items"][1]["created_at"]},
    ], "next_cursor": null});
    assert_eq!(page, expected);
}

async fn both_sides_see_their_line(world: World) {
    for region in ["sg", "eu"] {
        let (holder, other) = (world.holder(100).await, world.holder_in(region, 0).await);
        world.transfer(&holder, other.id, 30).await.expect(201);
        let (debit, credit) = (page(&world, &holder, "").await, page(&world, &other, "").await);
        let (debit, credit) = (&debit["items"][0], &credit["items"][0]);
        assert_eq!(debit["transfer_id"], credit["transfer_id"]);
        assert_eq!((&debit["direction"], &debit["balance_after"]), (&json!("debit"), &json!(70)));
        assert_eq!((&credit["direction"], &credit["balance_after"]), (&json!("credit"), &json!(30)));
        assert_eq!(debit["counterparty_account_id"], other.id);
        assert_eq!(credit["counterparty_account_id"], holder.id);
        assert_eq!(credit["counterparty_user_id"], holder.user);
    }
}

async fn newest_first_unless_asked_otherwise(world: World) {
    let holder = with_entries(&world, 3).await;
    assert_eq!(entries(&page(&world, &holder, "").await), [3, 2, 1]);
    assert_eq!(entries(&page(&world, &holder, "?order=desc").await), [3, 2, 1]);
    assert_eq!(entries(&page(&world, &holder, "?order=asc").await), [1, 2, 3]);
}

async fn pages_cover_all_once_in_both_orders(world: World) {
    let holder = with_entries(&world, 7).await;
    let up: Vec<i64> = (1..=7).collect();
    let down: Vec<i64> = up.iter().rev().copied().collect();
    for (limit, pages) in [(1, 7), (3, 3), (7, 1), (200, 1)] {
        assert_eq!(all(&world, &holder, &format!("limit={limit}&order=asc")).await, (up.clone(), pages));
        assert_eq!(all(&world, &holder, &format!("limit={limit}")).await, (down.clone(), pages));
    }
}

async fn entries_that_come_meanwhile_do_not_disturb_the_pages(world: World) {
    let holder = with_entries(&world, 4).await;
    let first = page(&world, &holder, "?limit=2").await;
    world.deposit(holder.id, 9).await;
    let cursor = first["next_cursor"].as_str().expect("more");
    let second = page(&world, &holder, &format!("?limit=2&cursor={cursor}")).await;
    assert_eq!((entries(&first), entries(&second)), (vec![4, 3], vec![2, 1]));
    assert_eq!(second["next_cursor"], json!(null));
}

async fn direction_and_time_narrow_the_lines(world: World) {
    let (holder, other) = (with_entries(&world, 2).await, world.holder(0).await);
    world.transfer(&holder, other.id, 1).await.expect(201);
    assert_eq!(entries(&page(&world, &holder, "?direction=debit").await), [3]);
    assert_eq!(entries(&page(&world, &holder, "?direction=credit").await), [2, 1]);
    let whole = page(&world, &holder, "?order=asc").await;
    let second = whole["items"][1]["created_at"].as_str().expect("a time");
    assert_eq!(entries(&page(&world, &holder, &format!("?from={second}")).await), [3, 2], "inclusive");
    assert_eq!(entries(&page(&world, &holder, &format!("?to={second}")).await), [1], "exclusive");
    assert!(entries(&page(&world, &holder, &format!("?from={second}&to={second}")).await).is_empty());
    assert!(entries(&page(&world, &holder, "?to=1970-01-01T00:00:00Z").await).is_empty());
    let all = "?from=-009999-01-03T00:00:00Z&to=9999-12-30T00:00:00Z";
    assert_eq!(entries(&page(&world, &holder, all).await), [3, 2, 1]);
    assert_eq!(self::all(&world, &holder, "limit=1&direction=credit&order=asc").await.0, [1, 2]);
}

async fn account_without_entries_has_an_empty_page(world: World) {
    let holder = world.holder(0).await;
    assert_eq!(page(&world, &holder, "").await, json!({"items": [], "next_cursor": null}));
}

async fn parameters_that_cannot_be_understood_are_malformed(world: World) {
    let holder = world.holder(1).await;
    for (query, pointer) in [
        ("limit=0", "?limit"),
        ("limit=201", "?limit"),
        ("limit=-1", "?limit"),
        ("limit=99999999999999999999", "?limit"),
        ("limit=", "?limit"),
        ("limit=5.0", "?limit"),
        ("order=up", "?order"),
        ("order=", "?order"),
        ("direction=DEBIT", "?direction"),
        ("from=now", "?from"),
        ("from=2026-13-01T00:00:00Z", "?from"),
        ("to=2026-01-01", "?to"),
        ("to=1700000000", "?to"),
        ("limit=1&limit=1", "?limit"),
        ("offset=1", "?offset"),
    ] {
        let path = format!("/v1/accounts/{}/transactions?{query}", holder.id);
        assert_eq!(world.get(path).token(&holder.user).send().await.malformed(), [pointer], "{query}");
    }
}

async fn mangled_cursors_are_malformed(world: World) {
    let holder = with_entries(&world, 3).await;
    let first = page(&world, &holder, "?limit=1").await;
    let good = first["next_cursor"].as_str().expect("more").to_owned();
    let refused = async |query: String| {
        let path = format!("/v1/accounts/{}/transactions?{query}", holder.id);
        assert_eq!(world.get(path).token(&holder.user).send().await.malformed(), ["?cursor"], "{query}");
    };
    for place in (0..good.len()).step_by(5) {
        let mut mangled = good.clone();
        let other = if mangled.as_bytes()[place] == b'0' { "1" } else { "0" };
        mangled.replace_range(place..=place, other);
        refused(format!("cursor={mangled}")).await;
    }
    for absurd in ["", "0", "null", "%00", "%ff", &good[2..], &format!("{good}00"), &"f".repeat(1_000)] {
        refused(format!("cursor={absurd}")).await;
    }
    refused(format!("order=asc&cursor={good}")).await;
}

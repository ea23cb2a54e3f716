//! `GET /openapi.json`, `GET /docs` and `GET /v1/currencies`.

use crate::world::World;
use local_cluster::ADMIN_TOKEN;
use serde_json::json;

crate::facts![openapi_document_is_served, page_is_served_and_loads_nothing, currencies_are_listed,];

async fn openapi_document_is_served(world: World) {
    let answer = world.get("/openapi.json").send().await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    let document = answer.value();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/v1/transfers"]["post"].is_object());
}

async fn page_is_served_and_loads_nothing(world: World) {
    let answer = world.get("/docs").send().await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(answer.header("content-security-policy").starts_with("default-src 'none'"));
    let page = String::from_utf8(answer.body.to_vec()).expect("text");
    assert!(page.contains("Move money") && !page.contains("<script"));
}

async fn currencies_are_listed(world: World) {
    let user = world.user().await;
    for token in [user.as_str(), ADMIN_TOKEN] {
        let currencies = world.get("/v1/currencies").token(token).send().await.expect(200);
        let expected = [("SGD", 0, 999_999), ("EUR", 2, 99_999_999), ("USD", 2, 99_999_999), ("JPY", 0, 99_999_999)];
        let expected = expected
            .map(|(code, exponent, max)| json!({"code": code, "exponent": exponent, "transfer_amount_max": max}));
        assert_eq!(currencies, json!({"items": expected}));
    }
}

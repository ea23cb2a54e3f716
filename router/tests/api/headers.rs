//! What every answer has, and how HTTP itself is spoken.

use crate::client::{Call, raw_status, send_raw};
use crate::world::{World, fresh};
use http::Method;
use serde_json::json;
use std::collections::HashSet;

crate::facts![
    request_ids_are_new_each_time,
    request_id_is_on_answers_of_every_kind,
    traceparent_of_any_form_is_taken,
    head_answers_as_get_without_a_body,
    http2_is_spoken_too,
    connection_is_kept_and_may_be_pipelined,
];

async fn request_ids_are_new_each_time(world: World) {
    let mut seen = HashSet::new();
    for _ in 0..20 {
        let answer = world.get("/docs").header("x-request-id", "mine").send().await;
        assert!(seen.insert(answer.header("x-request-id").to_owned()));
    }
}

async fn request_id_is_on_answers_of_every_kind(world: World) {
    let user = world.user().await;
    // The client checks it on each of them.
    let answers = [
        world.get("/nowhere").send().await.status,
        Call::new(world.sg, Method::DELETE, "/v1/accounts").send().await.status,
        world.get("/v1/accounts").send().await.status,
        world.post("/v1/accounts").token(&user).send().await.status,
        world.post("/v1/accounts").token(&user).text(vec![b' '; 70_000]).send().await.status,
        world.post("/v1/accounts").token(&user).text("{").send().await.status,
        world.get("/v1/accounts").token(&user).send().await.status,
    ];
    assert_eq!(answers, [404, 405, 401, 415, 413, 400, 200]);
}

async fn traceparent_of_any_form_is_taken(world: World) {
    let user = world.user().await;
    let long = "0".repeat(5_000);
    for value in ["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "", "nonsense", "00-0-0-0", &long] {
        world.get("/v1/accounts").token(&user).header("traceparent", value).send().await.expect(200);
    }
    let bytes = world.get("/v1/accounts").token(&user).header_bytes("traceparent", b"\xff\xfe");
    bytes.send().await.expect(200);
}

async fn head_answers_as_get_without_a_body(world: World) {
    let holder = world.holder(7).await;
    for path in [format!("/v1/accounts/{}", holder.id), "/docs".to_owned(), "/openapi.json".to_owned()] {
        let get = world.get(&path).token(&holder.user).send().await;
        let head = Call::new(world.sg, Method::HEAD, &path).token(&holder.user).send().await;
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        assert_eq!(head.header("content-length"), get.body.len().to_string(), "{path}");
        assert_eq!(
            (head.header("content-type"), head.header("etag")),
            (get.header("content-type"), get.header("etag"))
        );
        let head = Call::new(world.sg, Method::HEAD, &path).token(&holder.user).send_http2().await;
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
    }
    let head = Call::new(world.sg, Method::HEAD, "/v1/accounts").send().await;
    assert_eq!((head.status, head.body.len()), (401, 0));
}

async fn http2_is_spoken_too(world: World) {
    let (holder, other) = (world.holder(10).await, world.holder(0).await);
    let body = json!({"debit_account_id": holder.id, "credit_account_id": other.id, "amount": 4});
    let call = world.post("/v1/transfers").token(&holder.user).key(&fresh("key")).json(&body);
    call.clone().send_http2().await.expect(201);
    assert!(call.clone().send().await.is_replayed());
    world.get("/nowhere").send_http2().await.problem(404, "not_found");
    let large = world.post("/v1/transfers").token(&holder.user).key("k").text(vec![b' '; 70_000]);
    large.send_http2().await.problem(413, "payload_too_large");
    assert_eq!(world.balance(&holder).await, 6);
}

async fn connection_is_kept_and_may_be_pipelined(world: World) {
    let one = "GET /v1/accounts HTTP/1.1\r\nHost: x\r\n\r\n";
    let last = "GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answers = send_raw(world.sg, format!("{one}{one}{last}").as_bytes()).await;
    assert_eq!(raw_status(&answers).map(|status| status.as_u16()), Some(401));
    assert_eq!((answers.matches("HTTP/1.1 401").count(), answers.matches("HTTP/1.1 404").count()), (2, 1), "{answers}");
}

//! Whatever is sent: the contract's 4xx, no defect, no change.

use crate::client::{Answer, raw_status, send_raw};
use crate::world::{Holder, World, fresh};
use http::Method;
use serde_json::json;

crate::facts![
    bodies_that_are_no_json_object_are_malformed,
    deep_nesting_is_malformed,
    wrong_types_are_malformed,
    floats_and_overflows_are_malformed,
    amounts_out_of_range_are_refused_by_the_shard,
    unknown_and_repeated_fields_are_malformed,
    control_characters_are_malformed,
    account_ids_in_bodies_must_be_ids,
    long_bodies_are_too_large,
    other_content_types_are_unsupported,
    calls_without_a_body_take_an_empty_one_only,
    unknown_query_parameters_are_malformed,
    unknown_paths_are_not_found,
    other_methods_are_not_allowed,
    broken_http_is_answered_or_cut,
    nothing_changes_by_bad_input,
];

async fn send(world: &World, holder: &Holder, body: impl Into<bytes::Bytes>) -> Answer {
    world.post("/v1/transfers").token(&holder.user).key(&fresh("bad")).text(body).send().await
}

async fn bodies_that_are_no_json_object_are_malformed(world: World) {
    let holder = world.holder(100).await;
    let other = world.holder(0).await;
    let array = format!("[{},{},null,1,null,null]", holder.id, other.id);
    let bodies: [&[u8]; 15] = [
        b"",
        b" ",
        b"null",
        b"true",
        b"7",
        b"\"text\"",
        b"[]",
        array.as_bytes(),
        b"{",
        b"}",
        b"{\"amount\":}",
        b"{'amount':1}",
        b"{\"amount\":1,}",
        b"\xef\xbb\xbf{}",
        b"{\"message\":\"\xc3\x28\"}",
    ];
    for body in bodies {
        send(&world, &holder, body.to_vec()).await.malformed();
    }
    let whole = format!(r#"{{"debit_account_id":{},"credit_account_id":{},"amount":1}}"#, holder.id, other.id);
    for tail in ["{}", "x", "\u{0}", ",", "]"] {
        send(&world, &holder, format!("{whole}{tail}")).await.malformed();
    }
    assert_eq!(world.balance(&holder).await, 100);
}

async fn deep_nesting_is_malformed(world: World) {
    let holder = world.holder(0).await;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
        let body = format!(r#"{{"debit_account_id":{},"amount":1,"message":{nested}}}"#, holder.id);
        send(&world, &holder, body).await.problem(400, "malformed_request");
    }
    let nested = "{\"a\":".repeat(13_000);
    send(&world, &holder, nested).await.problem(400, "malformed_request");
}

async fn wrong_types_are_malformed(world: World) {
    let holder = world.holder(100).await;
    let good = json!({"debit_account_id": holder.id, "credit_account_id": holder.id, "amount": 1});
    let wrong = [json!("1"), json!(true), json!([1]), json!({"value": 1}), json!(1.0), json!(1.5)];
    for field in ["debit_account_id", "credit_account_id", "amount"] {
        for value in &wrong {
            let mut body = good.clone();
            body[field] = value.clone();
            assert_eq!(send(&world, &holder, body.to_string()).await.malformed(), [format!("/{field}")], "{body}");
        }
    }
    for field in ["message", "reference", "credit_user_id"] {
        for value in [json!(1), json!(true), json!(["a"]), json!({})] {
            let mut body = good.clone();
            body[field] = value;
            assert_eq!(send(&world, &holder, body.to_string()).await.malformed(), [format!("/{field}")], "{body}");
        }
    }
    let missing = send(&world, &holder, "{}").await.malformed();
    assert_eq!(missing, ["/amount", "/debit_account_id"]);
}

async fn floats_and_overflows_are_malformed(world: World) {
    let holder = world.holder(100).await;
    let numbers =
        ["1.0", "0.1", "1e2", "1E-2", "-0", "9223372036854775808", "1e400", "-9223372036854775809", "NaN", "01"];
    for number in numbers.into_iter().chain(["+1", "0x10", "1_000", "Infinity", "99999999999999999999999999"]) {
        let body = format!(r#"{{"debit_account_id":{0},"credit_account_id":1,"amount":{number}}}"#, holder.id);
        send(&world, &holder, body).await.malformed();
    }
    assert_eq!(world.balance(&holder).await, 100);
}

async fn amounts_out_of_range_are_refused_by_the_shard(world: World) {
    let (holder, other) = (world.holder(100).await, world.holder(0).await);
    for amount in [0, -1, i64::MIN, i64::MAX, 1_000_000, 1 << 53] {
        let problem = world.transfer(&holder, other.id, amount).await.problem(422, "amount_out_of_range");
        assert_eq!(problem["retry"], "never");
    }
    assert_eq!((world.balance(&holder).await, world.balance(&other).await), (100, 0));
}

async fn unknown_and_repeated_fields_are_malformed(world: World) {
    let holder = world.holder(100).await;
    let fields = format!(r#""debit_account_id":{},"credit_account_id":1"#, holder.id);
    for unknown in ["Amount", "amount ", "currency", "debit_user_id", "__proto__", "", "\u{e4}"] {
        let body = format!(r#"{{{fields},"amount":1,"{unknown}":1}}"#);
        assert_eq!(send(&world, &holder, body).await.malformed(), [format!("/{unknown}")]);
    }
    for repeated in [r#""amount":1,"amount":1"#, r#""amount":1,"\u0061mount":2"#] {
        send(&world, &holder, format!("{{{fields},{repeated}}}")).await.malformed();
    }
}

async fn control_characters_are_malformed(world: World) {
    let (holder, other) = (world.holder(100).await, world.holder(0).await);
    let good = json!({"debit_account_id": holder.id, "credit_account_id": other.id, "amount": 1});
    for character in ["\u{0}", "\u{1}", "\u{8}", "\u{1b}", "\u{7f}", "\u{85}", "\u{9f}"] {
        for field in ["message", "reference"] {
            let mut body = good.clone();
            body[field] = json!(format!("a{character}b"));
            assert_eq!(send(&world, &holder, body.to_string()).await.malformed(), [format!("/{field}")]);
        }
    }
    for (field, value) in [("reference", "a\nb"), ("reference", ""), ("reference", &"r".repeat(65))] {
        let mut body = good.clone();
        body[field] = json!(value);
        assert_eq!(send(&world, &holder, body.to_string()).await.malformed(), [format!("/{field}")]);
    }
    // A lone surrogate is no Unicode.
    let surrogate = format!(r#"{{"debit_account_id":{},"amount":1,"message":"\ud800"}}"#, holder.id);
    send(&world, &holder, surrogate).await.malformed();
    assert_eq!(world.balance(&holder).await, 100);
}

async fn account_ids_in_bodies_must_be_ids(world: World) {
    let holder = world.holder(100).await;
    for number in ["0", "-1", "9007199254740992", "18446744073709551615", "18446744073709551616"] {
        let debit = format!(r#"{{"debit_account_id":{number},"credit_account_id":1,"amount":1}}"#);
        assert_eq!(send(&world, &holder, debit).await.malformed(), ["/debit_account_id"], "{number}");
        let credit = format!(r#"{{"debit_account_id":{},"credit_account_id":{number},"amount":1}}"#, holder.id);
        assert_eq!(send(&world, &holder, credit).await.malformed(), ["/credit_account_id"], "{number}");
    }
    let user = json!({"debit_account_id": holder.id, "credit_user_id": "u".repeat(129), "amount": 1});
    assert_eq!(send(&world, &holder, user.to_string()).await.malformed(), ["/credit_user_id"]);
}

async fn long_bodies_are_too_large(world: World) {
    let holder = world.holder(0).await;
    let body = |length: usize| {
        let mut body = format!(r#"{{"debit_account_id":{},"credit_account_id":1,"amount":1}}"#, holder.id);
        body.push_str(&" ".repeat(length - body.len()));
        body
    };
    send(&world, &holder, body(65_536)).await.problem(422, "credit_account_not_found");
    send(&world, &holder, body(65_537)).await.problem(413, "payload_too_large");
    // Not more than the sockets hold: the answer comes before the end of the body, and who still writes then may
    // find the connection closed rather than read it.
    send(&world, &holder, body(300_000)).await.problem(413, "payload_too_large");
    // A length that is announced is refused before a byte of it is sent.
    let head = format!(
        "POST /v1/transfers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Connection: close\r\nContent-Length: 99999999999\r\n\r\n",
        holder.user
    );
    let answer = send_raw(world.sg, head.as_bytes()).await;
    assert_eq!(raw_status(&answer).map(|status| status.as_u16()), Some(413), "{answer}");
}

async fn other_content_types_are_unsupported(world: World) {
    let user = world.user().await;
    let body = r#"{"currency": "SGD"}"#;
    for content_type in
        ["text/plain", "application/xml", "application/json; charset=latin1", "application/x-json", "*/*"]
    {
        let call = world.post("/v1/accounts").token(&user).header("content-type", content_type).body(body);
        call.send().await.problem(415, "unsupported_media_type");
    }
    world.post("/v1/accounts").token(&user).body(body).send().await.problem(415, "unsupported_media_type");
    let encoded = world.post("/v1/accounts").token(&user).header("content-encoding", "gzip").text(body);
    encoded.send().await.problem(415, "unsupported_media_type");
    for content_type in ["application/json", "application/json;charset=utf-8", "APPLICATION/JSON; Charset=\"UTF-8\""] {
        let call = world.post("/v1/accounts").token(&user).header("content-type", content_type).body(body);
        call.send().await.expect(201);
    }
}

async fn calls_without_a_body_take_an_empty_one_only(world: World) {
    let holder = world.holder(0).await;
    let freeze = || world.admin_post(format!("/v1/admin/accounts/{}/freeze", holder.id));
    freeze().send().await.expect(200);
    freeze().text("{}").send().await.expect(200);
    freeze().text(r#"{"force": true}"#).send().await.malformed();
    freeze().text("nonsense").send().await.malformed();
    freeze().body("{}").send().await.problem(415, "unsupported_media_type");
}

async fn unknown_query_parameters_are_malformed(world: World) {
    let holder = world.holder(0).await;
    let id = holder.id;
    for path in [
        format!("/v1/accounts/{id}?fields=balance"),
        format!("/v1/accounts/{id}/transactions?page=1"),
        format!("/v1/accounts/{id}/transfers?limit=1"),
        "/v1/currencies?x".to_owned(),
        "/v1/transfers/019acb2e-5f00-8041-8000-00c0ffee0007?wait=1".to_owned(),
    ] {
        let answer = world.get(&path).token(&holder.user).send().await;
        assert_eq!(answer.malformed().len(), 1, "{path}");
    }
    world.post("/v1/transfers?dry_run=1").token(&holder.user).key("k").text("{}").send().await.malformed();
}

async fn unknown_paths_are_not_found(world: World) {
    let user = world.user().await;
    let absent = [
        "/",
        "/v1",
        "/v1/",
        "/v2/accounts",
        "/v1/accounts/",
        "//v1/accounts",
        "/v1/accounts/1/",
        "/v1/Accounts",
        "/v1/%61ccounts",
        "/healthz",
        "/metrics",
        "/readyz",
        "/internal/v1/link",
        "/docs/",
        "/openapi.yaml",
        "/v1/accounts/1/transactions/2",
        "/v1/admin",
        "/v1/admin/accounts",
        "/%2e%2e/etc/passwd",
        "/v1/accounts%2f1",
        "/\u{25}00",
        "/v1/accounts;x=1",
    ];
    for path in absent {
        world.get(path).token(&user).send().await.problem(404, "not_found");
        world.post(path).token(&user).text("{}").send().await.problem(404, "not_found");
    }
}

async fn other_methods_are_not_allowed(world: World) {
    let user = world.user().await;
    let cases = [
        (Method::DELETE, "/v1/accounts", "GET, HEAD, POST"),
        (Method::PUT, "/v1/accounts/1", "GET, HEAD"),
        (Method::PATCH, "/v1/accounts/1", "GET, HEAD"),
        (Method::POST, "/v1/accounts/1", "GET, HEAD"),
        (Method::GET, "/v1/transfers", "POST"),
        (Method::HEAD, "/v1/transfers", "POST"),
        (Method::OPTIONS, "/v1/transfers", "POST"),
        (Method::TRACE, "/docs", "GET, HEAD"),
        (Method::GET, "/v1/admin/accounts/1/freeze", "POST"),
        (Method::from_bytes(b"BREW").expect("a method"), "/v1/currencies", "GET, HEAD"),
    ];
    for (method, path, allow) in cases {
        let answer = crate::client::Call::new(world.sg, method.clone(), path).token(&user).send().await;
        assert_eq!((answer.status, answer.header("allow")), (405, allow), "{method} {path}");
        // An answer to HEAD has no body.
        if method != Method::HEAD {
            assert_eq!(answer.problem(405, "method_not_allowed")["retry"], "never", "{method} {path}");
        }
    }
}

async fn broken_http_is_answered_or_cut(world: World) {
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(100_000));
    let headers = format!("GET /docs HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(100_000));
    for bytes in [
        b"nonsense\r\n\r\n".as_slice(),
        b"GET\r\n\r\n",
        b"GET /docs HTTP/9.9\r\n\r\n",
        b"GET /docs HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET /docs HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /v1/transfers HTTP/1.1\r\nTransfer-Encoding: nonsense\r\n\r\n",
        b"\x00\x01\x02\x03\x04",
        b"\x16\x03\x01\x02\x00\x01\x00",
        long.as_bytes(),
        headers.as_bytes(),
    ] {
        let answer = send_raw(world.sg, &[bytes, b"\r\n\r\n"].concat()).await;
        let status = raw_status(&answer);
        assert!(status.is_none_or(|status| status.is_client_error()), "{answer}");
    }
    assert_eq!(world.get("/docs").send().await.status, 200);
}

async fn nothing_changes_by_bad_input(world: World) {
    let holder = world.holder(100).await;
    let key = fresh("key");
    let good = json!({"debit_account_id": holder.id, "credit_account_id": world.holder(0).await.id, "amount": 1});
    let post = || world.post("/v1/transfers").token(&holder.user).key(&key);
    post().text("{").send().await.malformed();
    post().body("{}").send().await.problem(415, "unsupported_media_type");
    post().text(vec![b' '; 70_000]).send().await.problem(413, "payload_too_large");
    let absent = json!({"debit_account_id": 42, "credit_account_id": 1, "amount": 1});
    post().json(&absent).send().await.problem(404, "not_found");
    assert_eq!(world.balance(&holder).await, 100);
    // None of it was recorded under the key.
    let answer = post().json(&good).send().await;
    answer.expect(201);
    assert!(!answer.is_replayed());
}

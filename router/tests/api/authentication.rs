//! Tokens, sessions and scopes.

use crate::world::{World, fresh};
use http::Method;
use local_cluster::ADMIN_TOKEN;
use local_cluster::session::Sessions;
use router::route::Call;
use router::spec::{Access, Verb};
use serde_json::json;
use std::time::Duration;

crate::facts![
    without_a_session_every_call_is_unauthenticated,
    mangled_authorization_is_unauthenticated,
    every_call_needs_its_scope,
    session_of_both_scopes_may_do_both,
    expired_session_is_unauthenticated,
    revoked_session_ends_with_its_place_in_the_cache,
    session_that_is_none_is_unauthenticated,
    authentication_comes_before_everything_about_the_request,
    documents_need_no_session,
];

fn calls_with(accesses: &[Access]) -> Vec<(Method, String)> {
    let specs = Call::ALL.iter().map(|call| call.spec()).filter(|spec| accesses.contains(&spec.access));
    let method = |verb| if verb == Verb::Get { Method::GET } else { Method::POST };
    specs.map(|spec| (method(spec.method), spec.path.replace("{id}", "1"))).collect()
}

async fn without_a_session_every_call_is_unauthenticated(world: World) {
    for (method, path) in calls_with(&[Access::Session, Access::Wallet, Access::Admin]) {
        let call = crate::client::Call::new(world.sg, method, &path);
        let answer = call.clone().send().await;
        let problem = answer.problem(401, "unauthenticated");
        assert_eq!((answer.header("www-authenticate"), &problem["retry"]), ("Bearer", &json!("same_key")), "{path}");
        call.token(&fresh("unknown")).send().await.problem(401, "unauthenticated");
    }
}

async fn mangled_authorization_is_unauthenticated(world: World) {
    let user = world.user().await;
    let long = "t".repeat(8_000);
    for value in ["", "Bearer", "Bearer ", &user, &format!("Basic {user}"), &format!("Bearer{user}"), &long] {
        let call = world.get("/v1/accounts").header("authorization", value);
        call.send().await.problem(401, "unauthenticated");
    }
    let bytes = world.get("/v1/accounts").header_bytes("authorization", b"Bearer \xff\xfe");
    bytes.send().await.problem(401, "unauthenticated");
    let twice = world.get("/v1/accounts").token(&user).token(&user);
    twice.send().await.problem(401, "unauthenticated");
    let hash = world.get("/v1/accounts").token(&local_cluster::session::key(&user)["session:".len()..]);
    hash.send().await.problem(401, "unauthenticated");
    world.get("/v1/accounts").header("authorization", &format!("bEARER {user}")).send().await.expect(200);
}

async fn every_call_needs_its_scope(world: World) {
    let user = world.user().await;
    for (method, path) in calls_with(&[Access::Admin]) {
        let answer = crate::client::Call::new(world.sg, method, &path).token(&user).send().await;
        assert_eq!(answer.problem(403, "forbidden")["retry"], "never", "{path}");
    }
    for (method, path) in calls_with(&[Access::Wallet]) {
        let answer = crate::client::Call::new(world.sg, method, &path).token(ADMIN_TOKEN).send().await;
        answer.problem(403, "forbidden");
    }
    let nobody = fresh("nobody");
    world.session(&nobody, &["Wallet", "wallets", ""]).await;
    world.get("/v1/accounts").token(&nobody).send().await.problem(403, "forbidden");
    world.get("/v1/currencies").token(&nobody).send().await.expect(200);
}

async fn session_of_both_scopes_may_do_both(world: World) {
    let both = fresh("both");
    world.session(&both, &["admin", "wallet"]).await;
    world.get("/v1/accounts").token(&both).send().await.expect(200);
    world.get("/v1/admin/topology").token(&both).send().await.expect(200);
}

async fn expired_session_is_unauthenticated(world: World) {
    let user = fresh("brief");
    let session = local_cluster::session::Session { user_id: user.clone(), scopes: vec!["wallet".to_owned()] };
    let mut sessions = Sessions::connect(&world.redis[0]).await.expect("Redis");
    sessions.add(&user, &session, Duration::from_secs(1)).await.expect("a session");
    world.get("/v1/accounts").token(&user).send().await.expect(200);
    until_unauthenticated(&world, &user, Duration::from_secs(3)).await;
}

async fn revoked_session_ends_with_its_place_in_the_cache(world: World) {
    let user = world.user().await;
    world.get("/v1/accounts").token(&user).send().await.expect(200);
    let mut sessions = Sessions::connect(&world.redis[0]).await.expect("Redis");
    assert!(sessions.revoke(&user).await.expect("Redis"));
    until_unauthenticated(&world, &user, Duration::from_secs(8)).await;
}

/// Asks until the session is gone: no event tells when a router forgets.
async fn until_unauthenticated(world: &World, token: &str, at_most: Duration) {
    let gone = async {
        while world.get("/v1/accounts").token(token).send().await.status != 401 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(at_most, gone).await.expect("forgotten in time");
}

async fn session_that_is_none_is_unauthenticated(world: World) {
    let client = redis::Client::open(world.redis[0].as_str()).expect("an address");
    let mut redis = client.get_multiplexed_async_connection().await.expect("Redis");
    for record in ["", "{}", "[]", "\u{0}", r#"{"user_id": "", "scopes": ["wallet"]}"#, r#"{"user_id": "u"}"#] {
        let token = fresh("odd");
        let set = redis::cmd("SET").arg(local_cluster::session::key(&token)).arg(record).arg("EX").arg(60).to_owned();
        set.query_async::<()>(&mut redis).await.expect("written");
        world.get("/v1/accounts").token(&token).send().await.problem(401, "unauthenticated");
    }
}

async fn authentication_comes_before_everything_about_the_request(world: World) {
    let call = world.post("/v1/transfers?what=1").header("content-type", "text/plain").body(vec![0; 100_000]);
    call.send().await.problem(401, "unauthenticated");
    let call = world.post("/v1/admin/deposits").token(&world.user().await).body("nonsense");
    call.send().await.problem(403, "forbidden");
}

async fn documents_need_no_session(world: World) {
    for path in ["/docs", "/openapi.json"] {
        assert_eq!(world.get(path).send().await.status, 200);
    }
}

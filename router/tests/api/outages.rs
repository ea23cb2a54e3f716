//! What holds while a part is missing, or a limit is reached. Each of these facts has a cluster of its own.

use crate::client::{Answer, Call, raw_status};
use crate::world::{Holder, World, fresh};
use local_cluster::{ADMIN_TOKEN, Cluster, ClusterSpec, Method, ProcessName, Signal};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

crate::facts_with_own_cluster![
    without_redis_remembered_sessions_go_on_and_others_are_unavailable,
    transfer_to_a_shard_that_is_down_is_pending_until_it_is_back,
    transfer_given_up_is_voided,
    region_that_is_cut_off_takes_nothing_with_it,
    repeat_that_waits_in_vain_for_the_first_is_told_so,
    user_who_asks_too_often_is_told_when_to_come_back,
    more_requests_than_can_be_in_flight_are_refused_at_once,
    stopping_router_finishes_what_is_in_flight,
];

pub(crate) struct Own {
    cluster: Cluster,
    pub(crate) world: World,
}

/// Two regions of one shard each, with these settings of the routers and the shard-nodes.
pub(crate) async fn start(router_env: &[(&str, &str)], shard_node_env: &[(&str, &str)]) -> Own {
    let owned = |env: &[(&str, &str)]| env.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let spec = ClusterSpec {
        shards_per_region: 1,
        router_env: owned(router_env),
        shard_node_env: owned(shard_node_env),
        ..ClusterSpec::scratch()
    };
    let cluster = Cluster::start(spec, &mut |_| ()).await.expect("a cluster");
    let world = World::of(&cluster).expect("its addresses");
    Own { cluster, world }
}

impl Own {
    async fn kill(&self, name: &ProcessName) {
        self.cluster.kill(name, Signal::SIGKILL).await.expect("it ran");
    }

    async fn restart(&self, name: &ProcessName) {
        self.cluster.restart(name).await.expect("it starts");
    }
}

/// The shard 1 is in sg, the shard 2 in eu.
fn shard_node(shard: u16) -> ProcessName {
    ProcessName::ShardNode { shard, replica: 0 }
}

fn redis_of_sg() -> ProcessName {
    ProcessName::Redis { region: "sg".to_owned() }
}

fn router_of_sg() -> ProcessName {
    ProcessName::Router { region: "sg".to_owned(), replica: 0 }
}

async fn readiness(own: &Own) -> serde_json::Value {
    let router = own.cluster.process(&router_of_sg()).expect("a router");
    let admin = router.admin_address.expect("an admin port");
    let answer = local_cluster::call(admin, Method::GET, "/readyz", &[], None).await.expect("an answer");
    serde_json::from_str(&answer.body).expect("JSON")
}

/// Asks until the answer is as wanted: no event tells when a router has noticed.
pub(crate) async fn until(what: &str, asked: impl AsyncFn() -> bool) {
    let wanted = async {
        while !asked().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wanted).await.unwrap_or_else(|_| panic!("never: {what}"));
}

async fn without_redis_remembered_sessions_go_on_and_others_are_unavailable() {
    let own = start(&[("WALLET_SESSIONS__CACHE_TTL_MS", "30000")], &[]).await;
    let (known, unknown) = (own.world.holder(100).await, own.world.user().await);
    own.kill(&redis_of_sg()).await;
    assert_eq!(own.world.balance(&known).await, 100);
    let begun = Instant::now();
    let answer = own.world.get("/v1/accounts").token(&unknown).send().await;
    let problem = answer.problem(503, "unavailable");
    assert_eq!((&problem["retry"], answer.header("retry-after")), (&json!("same_key"), "1"));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    until("unready without Redis", async || readiness(&own).await["ready"] == false).await;
    own.restart(&redis_of_sg()).await;
    until("ready again", async || readiness(&own).await["ready"] == true).await;
    own.world.session(&unknown, &["wallet"]).await;
    own.world.get("/v1/accounts").token(&unknown).send().await.expect(200);
}

async fn send(world: &World, from: &Holder, to: u64, key: &str, wait: &str) -> Answer {
    let body = json!({"debit_account_id": from.id, "credit_account_id": to, "amount": 30});
    world.post("/v1/transfers").token(&from.user).key(key).header("prefer", wait).json(&body).send().await
}

/// Sagas do not wait long between attempts, nor a fact for them.
const IMPATIENT: (&str, &str) = ("WALLET_SAGA__RETRY_MAX_MS", "300");

async fn transfer_to_a_shard_that_is_down_is_pending_until_it_is_back() {
    let own = start(&[], &[IMPATIENT]).await;
    let world = &own.world;
    let (from, to) = (world.holder(100).await, world.holder_in("eu", 0).await);
    own.kill(&shard_node(2)).await;
    let (key, begun) = (fresh("key"), Instant::now());
    let answer = send(world, &from, to.id, &key, "wait=0").await;
    let pending = answer.expect(202);
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!((&pending["state"], answer.header("preference-applied")), (&json!("pending"), "wait=0"));
    assert!(pending.get("decided_at").is_none());
    let path = answer.header("location").to_owned();
    assert_eq!(path, format!("/v1/transfers/{}", pending["id"].as_str().expect("an id")));
    let account = world.account(&from).await;
    assert_eq!((&account["balance"], &account["reserved"]), (&json!(100), &json!(30)));
    assert_eq!(account["available"], 70);
    let open = world.get(format!("/v1/accounts/{}/transfers", from.id)).token(&from.user).send().await.expect(200);
    assert_eq!(open, json!({"items": [pending]}));
    let reserved = format!("/v1/accounts/{}/transfers?state=reserved", from.id);
    assert_eq!(world.get(reserved).token(&from.user).send().await.expect(200), json!({"items": []}));
    let repeat = send(world, &from, to.id, &key, "wait=1").await;
    assert_eq!((repeat.expect(202), repeat.is_replayed()), (pending.clone(), true));
    let waited = world.get(format!("{path}?wait_seconds=1")).token(&from.user).send().await.expect(200);
    assert_eq!(waited["state"], "pending");
    own.restart(&shard_node(2)).await;
    let posted = world.get(format!("{path}?wait_seconds=30")).token(&from.user).send().await.expect(200);
    assert_eq!(posted["state"], "posted");
    assert!(posted["decided_at"].is_string());
    let repeat = send(world, &from, to.id, &key, "wait=0").await;
    assert_eq!((repeat.expect(201), repeat.is_replayed()), (posted, true));
    assert_eq!((world.balance(&from).await, world.balance(&to).await), (70, 30));
}

async fn transfer_given_up_is_voided() {
    let saga = [IMPATIENT, ("WALLET_SAGA__VOID_AFTER_SECONDS", "1"), ("WALLET_SAGA__LEASE_MS", "100")];
    let own = start(&[], &saga).await;
    let world = &own.world;
    let (from, to) = (world.holder(100).await, world.holder_in("eu", 0).await);
    own.kill(&shard_node(2)).await;
    let key = fresh("key");
    let pending = send(world, &from, to.id, &key, "wait=0").await.expect(202);
    // Once several attempts to void were made, no earlier attempt to credit is under way any more.
    let (client, _connection) = superuser(&own, 1).await;
    let voiding = "SELECT FROM reservations JOIN outbox USING (transfer_id) WHERE state = 1 AND attempts > 5";
    until("the debit shard gives up", async || !client.query(voiding, &[]).await.expect("rows").is_empty()).await;
    own.restart(&shard_node(2)).await;
    let path = format!("/v1/transfers/{}?wait_seconds=30", pending["id"].as_str().expect("an id"));
    let released = world.get(path).token(&from.user).send().await.expect(200);
    assert_eq!((&released["state"], &released["reason"]), (&json!("released"), &json!("voided")));
    let repeat = send(world, &from, to.id, &key, "wait=0").await;
    let problem = repeat.problem(422, "voided");
    assert_eq!((&problem["retry"], &problem["transfer_id"]), (&json!("new_key"), &pending["id"]));
    assert!(repeat.is_replayed());
    let account = world.account(&from).await;
    assert_eq!((&account["balance"], &account["reserved"]), (&json!(100), &json!(0)));
    send(world, &from, to.id, &fresh("key"), "wait=10").await.expect(201);
}

async fn region_that_is_cut_off_takes_nothing_with_it() {
    let own = start(&[("WALLET_HTTP__REQUEST_TIMEOUT_MS", "2000")], &[]).await;
    let world = &own.world;
    let (here, near, far) = (world.holder(100).await, world.holder(0).await, world.holder_in("eu", 9).await);
    let pay = async |user: &str, key: &str| {
        let body = json!({"debit_account_id": here.id, "credit_user_id": user, "amount": 1});
        world.post("/v1/transfers").token(&here.user).key(key).json(&body).send().await
    };
    let paid_before = fresh("key");
    let first = pay(&far.user, &paid_before).await.expect(201);
    own.kill(&shard_node(2)).await;
    // A router that starts meanwhile is ready, too.
    own.restart(&router_of_sg()).await;
    world.transfer(&here, near.id, 10).await.expect(201);
    let far_away = world.get(format!("/v1/accounts/{}", far.id)).token(&far.user);
    let begun = Instant::now();
    far_away.send().await.problem(503, "unavailable");
    assert!(begun.elapsed() < Duration::from_secs(4));
    let list = world.get("/v1/accounts?region=all").token(&here.user).send().await.expect(200);
    assert_eq!(list["unavailable_regions"], json!(["eu"]));
    assert_eq!(list["items"][0]["id"], here.id);
    world.get("/v1/accounts?region=eu").token(&here.user).send().await.problem(503, "unavailable");
    // Whom sg knows is paid; for whom it does not know, eu must be asked.
    pay(&near.user, &fresh("key")).await.expect(201);
    pay(&far.user, &fresh("key")).await.problem(503, "unavailable");
    // What was decided before is not hidden by that.
    assert_eq!(pay(&far.user, &paid_before).await.expect(201), first);
    assert_eq!(world.balance(&here).await, 88);
}

async fn repeat_that_waits_in_vain_for_the_first_is_told_so() {
    let own = start(&[("WALLET_HTTP__REQUEST_TIMEOUT_MS", "1500")], &[]).await;
    let world = &own.world;
    let (from, to) = (world.holder(100).await, world.holder(0).await);
    let (client, _connection) = superuser(&own, 1).await;
    // Held by somebody else, the account's row keeps the first waiting.
    client
        .batch_execute(&format!("BEGIN; SELECT FROM accounts WHERE id = {} FOR UPDATE", from.id))
        .await
        .expect("held");
    let key = fresh("key");
    let send = || send(world, &from, to.id, &key, "wait=0");
    let first = send();
    let repeat = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        send().await
    };
    let (first, repeat) = tokio::join!(first, repeat);
    first.problem(503, "unavailable");
    assert_eq!(repeat.problem(409, "idempotency_in_flight")["retry"], "same_key");
    assert_eq!(repeat.header("retry-after"), "1");
    client.batch_execute("ROLLBACK").await.expect("let go");
    let answer = send().await;
    answer.expect(201);
    assert_eq!((world.balance(&from).await, world.balance(&to).await), (70, 30));
}

/// A connection that may hold locks, and what drives it.
pub(crate) async fn superuser(own: &Own, shard: u16) -> (tokio_postgres::Client, tokio::task::JoinHandle<()>) {
    let url = own.cluster.shard_superuser_url(shard).expect("a shard").replace("dbname=postgres", "dbname=wallet");
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.expect("PostgreSQL");
    (client, tokio::spawn(async move { connection.await.expect("a connection that lasts") }))
}

async fn user_who_asks_too_often_is_told_when_to_come_back() {
    let limits = [("WALLET_RATE_LIMIT__REQUESTS_PER_SECOND", "1"), ("WALLET_RATE_LIMIT__BURST", "20")];
    let own = start(&limits, &[]).await;
    let (one, other) = (own.world.user().await, own.world.user().await);
    let ask = async |user: &str| own.world.get("/v1/currencies").token(user).send().await;
    let mut refused = None;
    for _ in 0..30 {
        let answer = ask(&one).await;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("more than the burst");
    assert_eq!(refused.problem(429, "rate_limited")["retry"], "same_key");
    let seconds: u64 = refused.header("retry-after").parse().expect("seconds");
    assert_eq!(seconds, 1);
    ask(&other).await.expect(200);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    ask(&one).await.expect(200);
}

/// A request whose body does not come: it is in flight for as long as we like.
async fn unfinished_request(world: &World, user: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(world.sg).await.expect("a router");
    let head = format!(
        "POST /v1/accounts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {user}\r\nContent-Type: application/json\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("a listener");
    stream
}

async fn finish(mut stream: TcpStream, body: &str) -> String {
    stream.write_all(body.as_bytes()).await.expect("a listener");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

const BODY: &str = r#"{"currency": "SGD"}"#;

async fn more_requests_than_can_be_in_flight_are_refused_at_once() {
    let own = start(&[("WALLET_HTTP__IN_FLIGHT_MAX", "1")], &[]).await;
    let world = &own.world;
    let (from, to) = (world.holder(100).await, world.holder(0).await);
    let (client, _connection) = superuser(&own, 1).await;
    let held = format!("BEGIN; SELECT FROM accounts WHERE id = {} FOR UPDATE", from.id);
    client.batch_execute(&held).await.expect("held");
    let key = fresh("key");
    let others = async {
        until("the first is in flight", async || world.get("/docs").send().await.status == 503).await;
        let begun = Instant::now();
        let refused = world.get("/v1/accounts").token(&from.user).send().await;
        assert_eq!(refused.problem(503, "overloaded")["retry"], "same_key");
        assert!(begun.elapsed() < Duration::from_millis(500));
        client.batch_execute("ROLLBACK").await.expect("let go");
    };
    let (first, ()) = tokio::join!(send(world, &from, to.id, &key, "wait=0"), others);
    first.expect(201);
    world.get("/v1/accounts").token(&from.user).send().await.expect(200);
}

async fn stopping_router_finishes_what_is_in_flight() {
    let own = start(&[], &[]).await;
    let user = own.world.user().await;
    own.world.get("/v1/accounts").token(&user).send().await.expect(200);
    let unfinished = unfinished_request(&own.world, &user, BODY).await;
    // It is in flight once the router has looked at another one that came later.
    Call::new(own.world.sg, Method::GET, "/v1/admin/topology").token(ADMIN_TOKEN).send().await.expect(200);
    let router = own.cluster.process(&router_of_sg()).expect("a router");
    own.cluster.kill(&router_of_sg(), Signal::SIGTERM).await.expect("it ran");
    until("no more connections", async || TcpStream::connect(own.world.sg).await.is_err()).await;
    let answer = finish(unfinished, BODY).await;
    assert_eq!(raw_status(&answer).map(|status| status.as_u16()), Some(201), "{answer}");
    until("the router is gone", async || !router.is_alive()).await;
}

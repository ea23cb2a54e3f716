//! Clients that dawdle take nothing from the others, and a queue that is full says so at once. Each of these facts has a
//! cluster of its own.

use crate::client::Answer;
use crate::outages::{start, superuser, until};
use crate::world::{Holder, World, fresh};
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde_json::json;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

crate::facts_with_own_cluster![
    crowd_of_slow_clients_takes_nothing_from_others_and_is_closed_in_its_time,
    bodies_that_come_slowly_leave_places_to_others_and_are_still_read,
    full_queue_refuses_at_once_and_the_same_key_later_has_one_effect,
];

/// Far more than anything here takes; only a defect makes it pass.
const LONG: Duration = Duration::from_secs(60);

/// Connects, says something, and is never heard of again.
async fn says(address: SocketAddr, said: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a router");
    stream.write_all(said.as_bytes()).await.expect("a listener");
    stream
}

/// Asks for far more than fits into the sockets, and reads nothing of it.
async fn asks_and_does_not_read(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a smaller buffer");
    let mut stream = socket.connect(address).await.expect("a router");
    let asked = "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(200);
    // As much of it as the router takes.
    drop(tokio::time::timeout(Duration::from_millis(200), stream.write_all(asked.as_bytes())).await);
    stream
}

/// Says something, one byte after the other, until the router hangs up.
async fn trickles(address: SocketAddr, said: &'static str) {
    let mut stream = TcpStream::connect(address).await.expect("a router");
    for byte in said.bytes().cycle() {
        if stream.write_all(&[byte]).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// A frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// HEADERS of a whole request for the longest document; the literals are as in RFC 7541, section 6.2.2.
fn asks_over_http2(stream: u32) -> Vec<u8> {
    let path = b"/openapi.json";
    let length = u8::try_from(path.len()).expect("a short path");
    frame(1, 5, stream, &[&[0x82, 0x86, 0x04, length], path.as_slice(), &[0x01, 0x01, b'x']].concat())
}

/// RST_STREAM: gives it up.
fn resets(stream: u32) -> Vec<u8> {
    frame(3, 0, stream, &8_u32.to_be_bytes())
}

/// Connects by HTTP/2 with windows that let no byte of a body through.
async fn shuts_its_windows(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a router");
    let settings = frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]);
    stream.write_all(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", settings.as_slice()].concat()).await.expect("a listener");
    stream
}

/// Asks for a hundred answers over HTTP/2 and takes none, but for each second gives one up for another, until the router
/// hangs up.
async fn leaves_its_answers(address: SocketAddr) {
    let mut stream = shuts_its_windows(address).await;
    let asked: Vec<u8> = (0..100).flat_map(|number| asks_over_http2(1 + 2 * number)).collect();
    stream.write_all(&asked).await.expect("a listener");
    for last in (199..).step_by(2) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if stream.write_all(&[resets(last), asks_over_http2(last + 2)].concat()).await.is_err() {
            return;
        }
    }
}

/// Gives up over HTTP/2 whatever it asks for, as fast as it can, until the router hangs up.
async fn resets_whatever_it_asks(address: SocketAddr) {
    let mut stream = shuts_its_windows(address).await;
    for number in (1..).step_by(2) {
        if stream.write_all(&[asks_over_http2(number), resets(number)].concat()).await.is_err() {
            return;
        }
    }
}

/// Reads what there is until the router hangs up.
async fn until_closed(mut stream: TcpStream) -> String {
    let mut told = Vec::new();
    let read = tokio::time::timeout(LONG, stream.read_to_end(&mut told)).await.expect("closed by the router");
    if let Err(error) = read {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
    }
    String::from_utf8_lossy(&told).into_owned()
}

fn half_body(user: &str) -> String {
    format!(
        "POST /v1/accounts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {user}\r\nContent-Type: application/json\r\n\
         Content-Length: 100\r\n\r\n{{\"currency\": "
    )
}

const NEW_ACCOUNT: &str = r#"{"currency": "SGD"}"#;

/// What comes before [`NEW_ACCOUNT`].
fn head_of_new_account(user: &str) -> String {
    format!(
        "POST /v1/accounts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {user}\r\nContent-Type: application/json\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n",
        NEW_ACCOUNT.len()
    )
}

async fn crowd_of_slow_clients_takes_nothing_from_others_and_is_closed_in_its_time() {
    let limits = [
        ("WALLET_HTTP__IN_FLIGHT_MAX", "100"),
        ("WALLET_HTTP__HEADER_TIMEOUT_MS", "3000"),
        ("WALLET_HTTP__IDLE_TIMEOUT_MS", "4000"),
        ("WALLET_HTTP__REQUEST_TIMEOUT_MS", "3000"),
    ];
    let own = start(&limits, &[]).await;
    let world = &own.world;
    let (from, to) = (world.holder(100).await, world.holder(0).await);
    let (slow, late) = (world.user().await, world.user().await);
    let mut silent = Vec::new();
    let mut halves = Vec::new();
    for _ in 0..200 {
        silent.push(says(world.sg, "").await);
        silent.push(says(world.sg, "POST /v1/transfers HTTP/1.1\r\nHost: x\r\nAuthoriz").await);
        halves.push(says(world.sg, &half_body(&slow)).await);
    }
    // While that one has all the slow bodies that a user may have, another one's body comes a little later.
    let mut coming = says(world.sg, &head_of_new_account(&late)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    coming.write_all(NEW_ACCOUNT.as_bytes()).await.expect("a listener");
    let told = until_closed(coming).await;
    assert!(told.starts_with("HTTP/1.1 201"), "{told}");
    let mut deaf = JoinSet::new();
    for _ in 0..50 {
        deaf.spawn(asks_and_does_not_read(world.sg));
    }
    let mut going_on = JoinSet::new();
    going_on.spawn(trickles(world.sg, "GET / HTTP/1.1\r\nA: b\r\n"));
    for _ in 0..10 {
        going_on.spawn(leaves_its_answers(world.sg));
        going_on.spawn(resets_whatever_it_asks(world.sg));
    }
    let deaf = deaf.join_all().await;
    for sent in 1..=20 {
        world.transfer(&from, to.id, 1).await.expect(201);
        assert_eq!(world.balance(&to).await, sent);
    }
    for stream in silent {
        assert_eq!(until_closed(stream).await, "");
    }
    let mut refused = 0;
    for stream in halves {
        let told = until_closed(stream).await;
        let waited_in_vain = told.starts_with("HTTP/1.1 400") && told.contains("did not arrive in time");
        let too_many = told.starts_with("HTTP/1.1 429") && told.contains("of this user come slowly");
        assert!(waited_in_vain || too_many || told.starts_with("HTTP/1.1 503"), "{told}");
        refused += u32::from(too_many);
    }
    assert!(refused > 0, "one user's slow bodies have a limit");
    for stream in deaf {
        until_closed(stream).await;
    }
    tokio::time::timeout(LONG, going_on.join_all()).await.expect("whoever goes on is cut off");
    assert_eq!((world.balance(&from).await, world.balance(&to).await), (80, 20));
}

async fn bodies_that_come_slowly_leave_places_to_others_and_are_still_read() {
    let limits = [("WALLET_HTTP__IN_FLIGHT_MAX", "1"), ("WALLET_HTTP__REQUEST_TIMEOUT_MS", "30000")];
    let own = start(&limits, &[]).await;
    let world = &own.world;
    let user = world.user().await;
    let head = head_of_new_account(&user);
    let first = says(world.sg, &head).await;
    // A second one of that kind is told so once the first one waits, or the other way round.
    let second = says(world.sg, &head).await;
    let (told, mut waiting) = tokio::select! {
        answered = first.readable() => (answered.map(|()| first), second),
        answered = second.readable() => (answered.map(|()| second), first),
    };
    let told = until_closed(told.expect("an answer")).await;
    assert!(told.starts_with("HTTP/1.1 503"), "{told}");
    let get = async || world.get("/v1/accounts").token(&user).send().await;
    until("its place is free", async || get().await.status == 200).await;
    for _ in 0..3 {
        get().await.expect(200);
    }
    waiting.write_all(NEW_ACCOUNT.as_bytes()).await.expect("a listener");
    let told = until_closed(waiting).await;
    assert!(told.starts_with("HTTP/1.1 201"), "{told}");
}

async fn send(world: &World, from: &Holder, to: u64, key: &str) -> Answer {
    let body = json!({"debit_account_id": from.id, "credit_account_id": to, "amount": 1});
    world.post("/v1/transfers").token(&from.user).key(key).json(&body).send().await
}

async fn full_queue_refuses_at_once_and_the_same_key_later_has_one_effect() {
    let own = start(
        &[("WALLET_HTTP__REQUEST_TIMEOUT_MS", "30000")],
        &[("WALLET_LANES__COUNT", "1"), ("WALLET_LANES__QUEUE_MAX", "1")],
    );
    let own = own.await;
    let world = &own.world;
    let (from, to) = (world.holder(100).await, world.holder(0).await);
    let (holding, _held) = superuser(&own, 1).await;
    let lock = format!("BEGIN; SELECT FROM accounts WHERE id = {} FOR UPDATE", from.id);
    holding.batch_execute(&lock).await.expect("held");
    let (looking, _looked) = superuser(&own, 1).await;
    let keys: Vec<String> = (0..6).map(|_| fresh("key")).collect();
    let first = send(world, &from, to.id, &keys[0]);
    let others = async {
        let waits = "SELECT FROM pg_stat_activity WHERE application_name = 'shard-node' AND wait_event_type = 'Lock'";
        until("the lane waits", async || !looking.query(waits, &[]).await.expect("rows").is_empty()).await;
        // One of them fits into the queue; the others are answered while the lane still waits.
        let mut sent: FuturesUnordered<_> =
            keys[1..].iter().map(|key| async { (key.as_str(), send(world, &from, to.id, key).await) }).collect();
        let mut refused = Vec::new();
        while refused.len() < keys.len() - 2 {
            let (key, answer) = sent.next().await.expect("an answer");
            assert_eq!(answer.problem(503, "overloaded")["retry"], "same_key");
            assert_eq!(answer.header("retry-after"), "1");
            refused.push(key);
        }
        holding.batch_execute("ROLLBACK").await.expect("let go");
        let (_, queued) = sent.next().await.expect("an answer");
        queued.expect(201);
        refused
    };
    let (first, refused) = tokio::join!(first, others);
    first.expect(201);
    assert_eq!((world.balance(&from).await, world.balance(&to).await), (98, 2), "what was refused was not done");
    for key in &refused {
        until("the same key is taken", async || send(world, &from, to.id, key).await.status == 201).await;
        // The router may still refuse a share of what comes.
        until("it has one effect", async || send(world, &from, to.id, key).await.is_replayed()).await;
    }
    assert_eq!((world.balance(&from).await, world.balance(&to).await), (94, 6));
}

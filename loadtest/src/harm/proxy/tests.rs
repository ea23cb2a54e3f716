//! What passes a proxy, and how.

use std::time::Duration;

use local_cluster::{Process, ProcessName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};
use wire::link::frame;

use super::{Manner, Proxies, Replay, Way};

const HEAD: &[u8] = b"GET / HTTP/1.1\r\nUser-Agent: wallet-router/0 (router-sg)\r\n\r\n";
const SOON: Duration = Duration::from_millis(150);
const AT_LAST: Duration = Duration::from_secs(5);

/// Both ends of one connection through a proxy, after the heads of request and answer.
struct Ends {
    proxies: Proxies,
    client: TcpStream,
    server: TcpStream,
    behind: TcpListener,
}

fn router() -> ProcessName {
    "router-sg".parse().unwrap()
}

fn node() -> ProcessName {
    "shard-node-1".parse().unwrap()
}

async fn ends() -> Ends {
    let behind = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxies = Proxies::start(&[node()]).unwrap();
    let address = behind.local_addr().unwrap();
    proxies.aim(&[Process { name: node(), region: "sg".to_owned(), address, admin_address: None, identity: None }]);
    let (client, server) = connect(&proxies, &behind).await;
    Ends { proxies, client, server, behind }
}

async fn connect(proxies: &Proxies, behind: &TcpListener) -> (TcpStream, TcpStream) {
    let mut client = TcpStream::connect(proxies.addresses()[&node()]).await.unwrap();
    client.write_all(HEAD).await.unwrap();
    let (mut server, _) = behind.accept().await.unwrap();
    assert_eq!(exactly(&mut server, HEAD.len()).await, HEAD);
    server.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").await.unwrap();
    exactly(&mut client, 36).await;
    (client, server)
}

async fn exactly(from: &mut TcpStream, bytes: usize) -> Vec<u8> {
    let mut read = vec![0; bytes];
    timeout(AT_LAST, from.read_exact(&mut read)).await.expect("comes").expect("comes whole");
    read
}

/// Whatever comes until the connection ends.
async fn rest(from: &mut TcpStream) -> Vec<u8> {
    let mut read = Vec::new();
    let ended = timeout(AT_LAST, from.read_to_end(&mut read)).await.expect("ends");
    // Closed or reset: either is an end.
    drop(ended);
    read
}

async fn nothing_comes(from: &mut TcpStream) -> bool {
    timeout(SOON, from.read_u8()).await.is_err()
}

/// A call or answer of that number.
fn message(number: u8) -> Vec<u8> {
    let content = [0, number, 1, 2, 3, 4, 5, 6];
    [&8_u32.to_le_bytes()[..], &content].concat()
}

fn ping() -> Vec<u8> {
    [&1_u32.to_le_bytes()[..], &[1]].concat()
}

impl Ends {
    fn requests(&self, change: impl FnOnce(&mut Manner)) {
        self.proxies.ways.change(Way::requests(&router(), &node()), change);
    }

    fn answers(&self, change: impl FnOnce(&mut Manner)) {
        self.proxies.ways.change(Way::answers(&router(), &node()), change);
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.client.write_all(bytes).await.unwrap();
    }
}

#[tokio::test]
async fn without_harm_all_passes_both_ways_however_it_is_cut_up() {
    let mut ends = ends().await;
    let sent = [message(1), ping(), message(2)].concat();
    for byte in &sent {
        ends.send(&[*byte]).await;
    }
    assert_eq!(exactly(&mut ends.server, sent.len()).await, sent);
    ends.server.write_all(&sent).await.unwrap();
    assert_eq!(exactly(&mut ends.client, sent.len()).await, sent);
    drop(ends.client);
    assert!(rest(&mut ends.server).await.is_empty(), "the end passes too");
}

#[tokio::test]
async fn what_is_blocked_one_way_passes_the_other_and_comes_late() {
    let mut ends = ends().await;
    ends.requests(|manner| manner.is_blocked = true);
    ends.send(&message(1)).await;
    ends.server.write_all(&message(2)).await.unwrap();
    assert_eq!(exactly(&mut ends.client, 12).await, message(2));
    assert!(nothing_comes(&mut ends.server).await);
    ends.proxies.ways.open_all();
    assert_eq!(exactly(&mut ends.server, 12).await, message(1));
}

#[tokio::test]
async fn blocked_connection_is_not_made() {
    let ends = ends().await;
    ends.requests(|manner| manner.is_blocked = true);
    let mut client = TcpStream::connect(ends.proxies.addresses()[&node()]).await.unwrap();
    client.write_all(HEAD).await.unwrap();
    assert!(timeout(SOON, ends.behind.accept()).await.is_err());
    ends.proxies.ways.open_all();
    timeout(AT_LAST, ends.behind.accept()).await.expect("comes").unwrap();
}

#[tokio::test]
async fn delay_keeps_order_and_takes_its_time() {
    let mut ends = ends().await;
    ends.requests(|manner| manner.delay = SOON);
    let began = Instant::now();
    ends.send(&message(1)).await;
    ends.send(&message(2)).await;
    assert_eq!(exactly(&mut ends.server, 24).await, [message(1), message(2)].concat());
    assert!(began.elapsed() >= SOON);
    assert!(ends.proxies.ways.hits() > 0);
}

#[tokio::test]
async fn requests_are_doubled_and_signs_of_life_are_not() {
    let mut ends = ends().await;
    ends.requests(|manner| manner.duplicate_every = Some(2));
    ends.send(&[message(1), ping(), message(2), message(3)].concat()).await;
    let expected = [message(1), ping(), message(2), message(2), message(3)].concat();
    assert_eq!(exactly(&mut ends.server, expected.len()).await, expected);
}

#[tokio::test]
async fn answers_are_dropped() {
    let mut ends = ends().await;
    ends.answers(|manner| manner.drop_every = Some(2));
    ends.server.write_all(&[message(1), message(2), ping(), message(3)].concat()).await.unwrap();
    let expected = [message(1), ping(), message(3)].concat();
    assert_eq!(exactly(&mut ends.client, expected.len()).await, expected);
}

#[tokio::test]
async fn replayed_request_comes_later_under_another_number_even_to_the_next_connection() {
    let mut ends = ends().await;
    ends.requests(|manner| manner.replay = Some(Replay { every: 1, after: SOON }));
    ends.send(&message(1)).await;
    assert_eq!(exactly(&mut ends.server, 12).await, message(1));
    let again = frame::renumbered(&message(1), u32::MAX - 1).unwrap();
    assert_eq!(exactly(&mut ends.server, again.len()).await, again);
    ends.send(&message(1)).await;
    exactly(&mut ends.server, 12).await;
    ends.client.shutdown().await.unwrap();
    rest(&mut ends.server).await;
    let (_client, mut server) = connect(&ends.proxies, &ends.behind).await;
    let replayed = exactly(&mut server, again.len()).await;
    assert_eq!(replayed[replayed.len() - 6..], again[again.len() - 6..]);
}

#[tokio::test]
async fn connections_end_within_a_message_in_one_direction_and_then_in_the_other() {
    let mut ends = ends().await;
    ends.requests(|manner| manner.cut_within = Some(2));
    ends.answers(|manner| manner.cut_within = Some(1));
    ends.send(&[message(1), message(2)].concat()).await;
    let read = rest(&mut ends.server).await;
    assert_eq!(read, [&message(1)[..], &message(2)[..6]].concat());
    let (mut client, mut server) = connect(&ends.proxies, &ends.behind).await;
    client.write_all(&message(1)).await.unwrap();
    exactly(&mut server, 12).await;
    server.write_all(&message(1)).await.unwrap();
    assert_eq!(rest(&mut client).await, message(1)[..6]);
}

#[tokio::test]
async fn connections_that_are_cut_end_at_once() {
    let mut ends = ends().await;
    ends.proxies.ways.cut(&router(), &node());
    assert!(rest(&mut ends.client).await.is_empty());
    assert!(rest(&mut ends.server).await.is_empty());
    connect(&ends.proxies, &ends.behind).await;
}

#[tokio::test]
async fn answer_to_a_commit_is_cut_and_other_answers_pass() {
    let behind = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let postgres: ProcessName = "postgres-1".parse().unwrap();
    let proxies = Proxies::start(std::slice::from_ref(&postgres)).unwrap();
    let address = behind.local_addr().unwrap();
    let (name, region) = (postgres.clone(), "sg".to_owned());
    proxies.aim(&[Process { name, region, address, admin_address: None, identity: None }]);
    proxies.ways.change(Way::answers(&node(), &postgres), |manner| manner.cut_within_commit = Some(2));
    let mut client = TcpStream::connect(proxies.addresses()[&postgres]).await.unwrap();
    let (mut server, _) = behind.accept().await.unwrap();
    let commit = b"C\0\0\0\x0bCOMMIT\0Z\0\0\0\x05I";
    server.write_all(b"C\0\0\0\x0aBEGIN\0").await.unwrap();
    exactly(&mut client, 11).await;
    server.write_all(commit).await.unwrap();
    assert_eq!(exactly(&mut client, commit.len()).await, commit);
    server.write_all(commit).await.unwrap();
    assert_eq!(rest(&mut client).await, commit[..6]);
}

//! Serving: slow clients, too many clients, upgrades, both protocols, and the drain.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use runtime::config::ServeConfig;
use runtime::serve::{self, ClientStream};
use runtime::shutdown::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Far more than any event here takes; only a defect makes it pass.
const LONG: Duration = Duration::from_secs(20);

/// Tells when `/slow` was reached, and lets it go on.
#[derive(Clone, Default)]
struct Gate {
    reached: Arc<Notify>,
    open: Arc<Notify>,
}

struct Server {
    address: SocketAddr,
    gate: Gate,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

fn config() -> ServeConfig {
    ServeConfig::new(([127, 0, 0, 1], 0).into())
}

fn start(config: ServeConfig, drain_timeout: Duration) -> Server {
    let listener = serve::bind(&config).unwrap();
    let address = listener.local_addr().unwrap();
    let (gate, shutdown) = (Gate::default(), Shutdown::new());
    let (service_gate, service_shutdown) = (gate.clone(), shutdown.clone());
    let task = tokio::spawn(async move {
        let service = service_fn(move |request| answer(request, service_gate.clone()));
        serve::serve(listener, service, &config, service_shutdown, drain_timeout).await;
    });
    Server { address, gate, shutdown, task }
}

async fn answer(request: Request<Incoming>, gate: Gate) -> Result<Response<Full<Bytes>>, Infallible> {
    match request.uri().path() {
        "/slow" => {
            gate.reached.notify_one();
            gate.open.notified().await;
        }
        "/echo" => return Ok(upgrade(request)),
        "/big" => return Ok(Response::new(Full::new(vec![b'x'; 64 << 20].into()))),
        _ => {}
    }
    Ok(Response::new(Full::new("done".into())))
}

/// Echoes one line over the upgraded connection.
fn upgrade(request: Request<Incoming>) -> Response<Full<Bytes>> {
    tokio::spawn(async move {
        let upgraded = hyper::upgrade::on(request).await.unwrap();
        let parts = upgraded.downcast::<TokioIo<ClientStream>>().unwrap();
        let mut stream = parts.io.into_inner();
        let mut line = [0; 5];
        stream.read_exact(&mut line).await.unwrap();
        stream.write_all(&line).await.unwrap();
    });
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static("echo"));
    response
}

async fn client(address: SocketAddr, bytes: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream
}

async fn until_closed(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    match tokio::time::timeout(LONG, stream.read_to_end(&mut bytes)).await.expect("closed by the server") {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    String::from_utf8(bytes).unwrap()
}

/// Asks on a new connection, and reads all that is answered.
async fn ask(address: SocketAddr) -> String {
    let close = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    until_closed(&mut client(address, close).await).await
}

async fn read_answer(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"done") {
        assert!(tokio::time::timeout(LONG, stream.read_buf(&mut text)).await.unwrap().unwrap() > 0);
    }
    String::from_utf8(text).unwrap()
}

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const GET_SLOW: &str = "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn client_that_does_not_finish_its_head_is_disconnected() {
    let server = start(ServeConfig { header_timeout: Duration::from_millis(50), ..config() }, LONG);
    for beginning in ["", "PR", "GET / HTTP/1.1\r\nHost:"] {
        assert_eq!(until_closed(&mut client(server.address, beginning).await).await, "", "{beginning:?}");
    }
}

#[tokio::test]
async fn client_that_does_not_finish_the_http2_preface_is_disconnected() {
    let server = start(ServeConfig { header_timeout: Duration::from_millis(50), ..config() }, LONG);
    let mut stream = client(server.address, "PRI * HTTP/2.0\r\n").await;
    until_closed(&mut stream).await;
}

/// What this thread has used of the CPU, client and server together.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn clients_that_send_one_letter_cost_next_to_nothing() {
    let server = start(config(), LONG);
    let mut clients = Vec::new();
    for _ in 0..300 {
        clients.push(client(server.address, "P").await);
    }
    // At first they are looked at often.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = cpu_time();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let used = cpu_time() - before;
    assert!(used < Duration::from_millis(150), "{used:?}");
    // They may still become either.
    let rest = "OST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    clients[0].write_all(rest.as_bytes()).await.unwrap();
    assert!(read_answer(&mut clients[0]).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn second_head_has_the_same_limit_as_the_first() {
    let server = start(ServeConfig { header_timeout: Duration::from_millis(50), ..config() }, LONG);
    let mut stream = client(server.address, GET).await;
    read_answer(&mut stream).await;
    // While the connection is idle it has time; a head that began has not.
    assert!(tokio::time::timeout(Duration::from_millis(150), stream.read_u8()).await.is_err());
    let began = Instant::now();
    stream.write_all(b"GET / HT").await.unwrap();
    assert_eq!(until_closed(&mut stream).await, "");
    assert!(began.elapsed() < Duration::from_secs(5), "closed after {:?}", began.elapsed());
}

#[tokio::test]
async fn idle_connection_outlives_the_header_timeout_but_not_the_idle_timeout() {
    let limits = (Duration::from_millis(20), Duration::from_millis(200));
    let server = start(ServeConfig { header_timeout: limits.0, idle_timeout: limits.1, ..config() }, LONG);
    let mut stream = client(server.address, GET).await;
    read_answer(&mut stream).await;
    let idle_since = Instant::now();
    assert_eq!(until_closed(&mut stream).await, "");
    assert!(idle_since.elapsed() > limits.0 * 5, "closed after {:?}", idle_since.elapsed());
}

#[tokio::test]
async fn client_that_does_not_read_its_answer_is_disconnected() {
    let server =
        start(ServeConfig { request_timeout: Duration::from_millis(50), connections_max: 1, ..config() }, LONG);
    let mut stream = client(server.address, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n").await;
    // The server's only connection: once it is refused no longer, the server gave up on it.
    while ask(server.address).await.starts_with("HTTP/1.1 503") {}
    let received = until_closed(&mut stream).await.len();
    assert!(received < 64 << 20, "{received} bytes");
}

#[tokio::test]
async fn service_may_take_longer_than_every_timeout_for_clients() {
    let short = Duration::from_millis(10);
    let limits = ServeConfig { header_timeout: short, idle_timeout: short, request_timeout: short, ..config() };
    let server = start(limits, LONG);
    let mut stream = client(server.address, GET_SLOW).await;
    server.gate.reached.notified().await;
    let waited = tokio::time::timeout(short * 10, stream.read_u8()).await;
    assert!(waited.is_err(), "neither an answer nor an end: {waited:?}");
    server.gate.open.notify_one();
    assert!(read_answer(&mut stream).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn head_that_is_too_long_is_refused() {
    let server = start(ServeConfig { header_bytes_max: 1024, ..config() }, LONG);
    let long = format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n", "a".repeat(2000));
    let told = until_closed(&mut client(server.address, &long).await).await;
    assert!(told.starts_with("HTTP/1.1 431"), "{told}");
}

#[tokio::test]
async fn malformed_head_is_answered() {
    let server = start(config(), LONG);
    let told = until_closed(&mut client(server.address, "GET nonsense\r\n\r\n").await).await;
    assert!(told.starts_with("HTTP/1.1 400"), "{told}");
}

#[tokio::test]
async fn connection_over_the_limit_is_answered_503_and_closed() {
    let server = start(ServeConfig { connections_max: 1, ..config() }, LONG);
    let mut first = client(server.address, GET_SLOW).await;
    server.gate.reached.notified().await;
    let told = until_closed(&mut client(server.address, GET).await).await;
    let (head, body) = told.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{head}");
    for field in ["Retry-After: 1", "Connection: close", "Content-Type: application/problem+json"] {
        assert!(head.contains(field), "{head}");
    }
    let problem: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(problem["code"], "overloaded");
    let request_id: uuid::Uuid = problem["request_id"].as_str().unwrap().parse().unwrap();
    assert_eq!(request_id.get_version_num(), 7);
    assert!(head.contains(&format!("X-Request-Id: {request_id}\r\n")), "{head}");
    assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{head}");
    server.gate.open.notify_one();
    assert!(read_answer(&mut first).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn crowd_of_refused_clients_is_told_why_to_the_last() {
    let server = start(ServeConfig { connections_max: 1, ..config() }, LONG);
    let mut busy = client(server.address, GET_SLOW).await;
    server.gate.reached.notified().await;
    let mut refused = Vec::new();
    for _ in 0..400 {
        // They stay for as long as they may.
        refused.push(client(server.address, "").await);
    }
    for stream in &mut refused {
        let told = until_closed(stream).await;
        assert!(told.starts_with("HTTP/1.1 503") && told.contains("too many connections"), "{told}");
    }
    server.gate.open.notify_one();
    assert!(read_answer(&mut busy).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn crowd_of_idle_connections_makes_room_for_newcomers() {
    let server = start(ServeConfig { connections_max: 32, ..config() }, LONG);
    let mut busy = client(server.address, GET_SLOW).await;
    server.gate.reached.notified().await;
    let mut idle = Vec::new();
    for number in 0..31 {
        // Some have said nothing, some a part of something, some have their answer.
        let said = ["", "GET / HT", GET][number % 3];
        let mut stream = client(server.address, said).await;
        if said == GET {
            read_answer(&mut stream).await;
        }
        idle.push(stream);
    }
    // Whoever comes then may be refused, until the others have been idle for long enough.
    while ask(server.address).await.starts_with("HTTP/1.1 503") {}
    assert_eq!(until_closed(&mut idle[0]).await, "", "the one that had been idle for longest");
    // One that is owed an answer is not closed, however long it has taken.
    server.gate.open.notify_one();
    assert!(read_answer(&mut busy).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn place_of_a_closed_connection_is_free_again() {
    let server = start(ServeConfig { connections_max: 1, ..config() }, LONG);
    for _ in 0..3 {
        let told = ask(server.address).await;
        assert!(told.starts_with("HTTP/1.1 200"), "{told}");
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = start(config(), LONG);
    let close = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let told = until_closed(&mut client(server.address, &[GET, GET, close].concat()).await).await;
    assert_eq!(told.matches("HTTP/1.1 200").count(), 3);
}

#[tokio::test]
async fn upgraded_connection_belongs_to_the_service() {
    let server = start(ServeConfig { header_timeout: Duration::from_millis(20), ..config() }, LONG);
    let request = "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
    let mut stream = client(server.address, request).await;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_buf(&mut head).await.unwrap();
    }
    assert!(head.starts_with(b"HTTP/1.1 101"));
    stream.write_all(b"hello").await.unwrap();
    assert_eq!(until_closed(&mut stream).await, "hello");
}

#[tokio::test]
async fn http2_is_told_by_its_preface_and_drains() {
    let server = start(config(), LONG);
    let io = TokioIo::new(TcpStream::connect(server.address).await.unwrap());
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await;
    let (mut sender, connection) = handshake.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get("http://x/slow").body(Empty::<Bytes>::new()).unwrap();
    let answer = tokio::spawn(sender.send_request(request));
    server.gate.reached.notified().await;
    server.shutdown.trigger();
    server.gate.open.notify_one();
    let body = answer.await.unwrap().unwrap().into_body().collect().await.unwrap();
    assert_eq!(body.to_bytes(), "done");
    connection.await.unwrap().unwrap();
    server.task.await.unwrap();
}

#[tokio::test]
async fn drain_finishes_the_request_in_flight_and_drops_idle_connections() {
    let server = start(config(), LONG);
    let mut silent = client(server.address, "").await;
    let mut idle = client(server.address, GET).await;
    read_answer(&mut idle).await;
    let mut busy = client(server.address, GET_SLOW).await;
    server.gate.reached.notified().await;
    server.shutdown.trigger();
    assert_eq!(until_closed(&mut idle).await, "");
    assert_eq!(until_closed(&mut silent).await, "");
    assert!(TcpStream::connect(server.address).await.is_err(), "no more connections");
    server.gate.open.notify_one();
    let told = until_closed(&mut busy).await;
    assert!(told.starts_with("HTTP/1.1 200") && told.ends_with("done"), "{told}");
    server.task.await.unwrap();
}

#[tokio::test]
async fn drain_drops_what_does_not_finish_in_time() {
    let server = start(config(), Duration::from_millis(20));
    let mut stuck = client(server.address, GET_SLOW).await;
    server.gate.reached.notified().await;
    server.shutdown.trigger();
    assert_eq!(until_closed(&mut stuck).await, "");
    server.task.await.unwrap();
}

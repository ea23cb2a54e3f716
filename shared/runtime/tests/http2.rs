//! HTTP/2 clients that keep to the protocol and wear the server out all the same: frames written by hand.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use runtime::config::ServeConfig;
use runtime::serve;
use runtime::shutdown::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Far more than any event here takes; only a defect makes it pass.
const LONG: Duration = Duration::from_secs(20);

/// Longer than a test waits, for the limits that it is not about.
const NEVER: Duration = Duration::from_secs(600);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Types and flags of frames (RFC 9113, section 6).
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const WINDOW_UPDATE: u8 = 0x8;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// How many requests for `/stuck` are with the service.
type Stuck = Arc<AtomicUsize>;

fn config() -> ServeConfig {
    let bind = ([127, 0, 0, 1], 0).into();
    ServeConfig { header_timeout: NEVER, idle_timeout: NEVER, request_timeout: NEVER, ..ServeConfig::new(bind) }
}

async fn start(config: ServeConfig) -> (SocketAddr, Stuck) {
    let listener = serve::bind(&config).unwrap();
    let address = listener.local_addr().unwrap();
    let stuck = Stuck::default();
    let counted = Arc::clone(&stuck);
    tokio::spawn(async move {
        let service = service_fn(move |request| answer(request, Arc::clone(&counted)));
        serve::serve(listener, service, &config, Shutdown::new(), LONG).await;
    });
    (address, stuck)
}

async fn answer(request: Request<Incoming>, stuck: Stuck) -> Result<Response<Full<Bytes>>, Infallible> {
    let bytes = match request.uri().path() {
        "/stuck" => {
            let _counted = Counted::new(stuck);
            std::future::pending().await
        }
        "/64K" => vec![b'x'; 64 << 10],
        "/40M" => vec![b'x'; 40 << 20],
        _ => b"done".to_vec(),
    };
    Ok(Response::new(Full::new(bytes.into())))
}

struct Counted(Stuck);

impl Counted {
    fn new(stuck: Stuck) -> Self {
        stuck.fetch_add(1, Ordering::Relaxed);
        Self(stuck)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A whole request: GET, http, a path and the authority `x` as literals (RFC 7541, section 6.2.2).
fn get(stream: u32, path: &str) -> Vec<u8> {
    let length = u8::try_from(path.len()).unwrap();
    let fields = [&[0x82, 0x86, 0x04, length], path.as_bytes(), &[0x01, 0x01, b'x']].concat();
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &fields)
}

fn reset(stream: u32) -> Vec<u8> {
    let cancel = 8_u32;
    frame(RST_STREAM, 0, stream, &cancel.to_be_bytes())
}

/// SETTINGS_INITIAL_WINDOW_SIZE: what may be sent of a body.
fn window(bytes: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[&[0, 4], bytes.to_be_bytes().as_slice()].concat())
}

/// Connects with such a window, and sends these frames.
async fn client(address: SocketAddr, window_bytes: u32, frames: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&[PREFACE, &window(window_bytes), frames].concat()).await.unwrap();
    stream
}

/// The next frame: its type and its payload.
async fn read_frame(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
    stream.read_exact(&mut payload).await.unwrap();
    (head[3], payload)
}

/// Lets so much more of the first stream's body be sent, and of all bodies together.
async fn open_windows(stream: &mut TcpStream, bytes: u32) {
    let frames = [1, 0].map(|number| frame(WINDOW_UPDATE, 0, number, &bytes.to_be_bytes()));
    stream.write_all(&frames.concat()).await.unwrap();
}

/// Reads so much of a body.
async fn read_body(stream: &mut TcpStream, bytes: usize) {
    let mut taken = 0;
    while taken < bytes {
        let (kind, payload) = tokio::time::timeout(LONG, read_frame(stream)).await.unwrap();
        taken += if kind == DATA { payload.len() } else { 0 };
    }
}

/// Reads until the server hangs up.
async fn until_closed(stream: &mut TcpStream) {
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes).await {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
}

/// Sends something anew every so often, until the server hangs up.
async fn goes_on_until_closed(stream: TcpStream, every: Duration, mut next: impl FnMut(u32) -> Vec<u8>) {
    let (mut read, mut write) = stream.into_split();
    let going_on = async {
        for turn in 0.. {
            if write.write_all(&next(turn)).await.is_err() {
                return;
            }
            tokio::time::sleep(every).await;
        }
    };
    let mut told = Vec::new();
    tokio::time::timeout(LONG, async {
        // The end may be noticed here or there.
        tokio::select! {
            () = going_on => {}
            _ = read.read_to_end(&mut told) => {}
        }
    })
    .await
    .expect("closed by the server");
}

#[tokio::test]
async fn client_that_takes_no_body_is_disconnected_though_it_goes_on_asking() {
    let (address, _) = start(ServeConfig { request_timeout: Duration::from_millis(200), ..config() }).await;
    let first: Vec<u8> = (0..100).flat_map(|number| get(1 + 2 * number, "/64K")).collect();
    let stream = client(address, 0, &first).await;
    // The newest one is given up for another one; the others stay.
    let renew = |turn| [reset(199 + 2 * turn), get(201 + 2 * turn, "/64K")].concat();
    goes_on_until_closed(stream, Duration::from_millis(50), renew).await;
}

#[tokio::test]
async fn client_that_takes_one_byte_of_a_body_is_disconnected() {
    let (address, _) = start(ServeConfig { request_timeout: Duration::from_millis(100), ..config() }).await;
    let mut stream = client(address, 1, &get(1, "/")).await;
    tokio::time::timeout(LONG, until_closed(&mut stream)).await.expect("closed by the server");
}

#[tokio::test]
async fn answer_that_is_given_up_is_not_waited_for() {
    let short = Duration::from_millis(400);
    let (address, _) = start(ServeConfig { request_timeout: short, ..config() }).await;
    let mut stream = client(address, 0, &[]).await;
    let began = Instant::now();
    let mut id = 1;
    while began.elapsed() < short * 4 {
        stream.write_all(&get(id, "/64K")).await.unwrap();
        while read_frame(&mut stream).await.0 != HEADERS {}
        stream.write_all(&reset(id)).await.unwrap();
        tokio::time::sleep(short / 20).await;
        id += 2;
    }
}

#[tokio::test]
async fn client_that_takes_a_long_body_slowly_gets_all_of_it() {
    let (address, _) = start(ServeConfig { request_timeout: Duration::from_millis(1_000), ..config() }).await;
    let mut stream = client(address, 0, &get(1, "/64K")).await;
    for _ in 0..4 {
        // Longer than the limit all together, and less for each piece.
        tokio::time::sleep(Duration::from_millis(350)).await;
        open_windows(&mut stream, 16_384).await;
        read_body(&mut stream, 16_384).await;
    }
}

#[tokio::test]
async fn client_that_reads_is_served_for_longer_than_every_limit() {
    let short = Duration::from_millis(300);
    let (address, _) = start(ServeConfig { request_timeout: short, ..config() }).await;
    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let began = Instant::now();
    while began.elapsed() < short * 4 {
        let request = Request::get("http://x/64K").body(Empty::<Bytes>::new()).unwrap();
        let body = sender.send_request(request).await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(body.to_bytes().len(), 64 << 10);
    }
}

#[tokio::test]
async fn clients_that_leave_too_much_unread_are_disconnected_and_others_are_not() {
    let (address, _) = start(config()).await;
    let mut modest = client(address, 0, &get(1, "/64K")).await;
    let mut greedy = client(address, 0, &get(1, "/40M")).await;
    // Alone it may.
    while read_frame(&mut greedy).await.0 != HEADERS {}
    let mut second = client(address, 0, &get(1, "/40M")).await;
    let both = async { tokio::join!(until_closed(&mut greedy), until_closed(&mut second)) };
    tokio::time::timeout(LONG, both).await.expect("closed by the server");
    open_windows(&mut modest, 65_536).await;
    read_body(&mut modest, 65_536).await;
}

#[tokio::test]
async fn requests_that_are_reset_at_once_hold_nothing() {
    let (address, stuck) = start(config()).await;
    let mut stream = client(address, 65_535, &[]).await;
    // Each is with the service before it is given up, so that it is no error of the protocol.
    for number in 0..1_000 {
        let id = 1 + 2 * number;
        stream.write_all(&get(id, "/stuck")).await.unwrap();
        until(|| stuck.load(Ordering::Relaxed) == 1).await;
        stream.write_all(&reset(id)).await.unwrap();
        until(|| stuck.load(Ordering::Relaxed) == 0).await;
    }
}

#[tokio::test]
async fn flood_of_resets_ends_its_connection() {
    let (address, stuck) = start(config()).await;
    let flood: Vec<u8> = (0..1_000).flat_map(|n| [get(1 + 2 * n, "/stuck"), reset(1 + 2 * n)].concat()).collect();
    let mut stream = client(address, 65_535, &flood).await;
    tokio::time::timeout(LONG, until_closed(&mut stream)).await.expect("closed by the server");
    until(|| stuck.load(Ordering::Relaxed) == 0).await;
}

#[tokio::test]
async fn head_that_comes_byte_by_byte_has_its_limit() {
    // The head of a frame of 8,000 bytes, whose payload trickles.
    let began = frame(HEADERS, END_STREAM, 1, &[0; 8_000])[..9].to_vec();
    let (address, _) = start(ServeConfig { header_timeout: Duration::from_millis(200), ..config() }).await;
    let stream = client(address, 65_535, &began).await;
    goes_on_until_closed(stream, Duration::from_millis(20), |_| vec![0x82]).await;
    // After a request it is the limit of idle connections.
    let (address, _) = start(ServeConfig { idle_timeout: Duration::from_millis(200), ..config() }).await;
    let later = frame(HEADERS, END_STREAM, 3, &[0; 8_000])[..9].to_vec();
    let stream = client(address, 65_535, &[get(1, "/"), later].concat()).await;
    goes_on_until_closed(stream, Duration::from_millis(20), |_| vec![0x82]).await;
}

/// Waits until it is so: no event tells.
async fn until(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, waiting).await.expect("it becomes so");
}

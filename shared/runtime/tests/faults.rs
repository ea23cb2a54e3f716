//! Crash points and planted bugs, as they are armed, told and hit.

use std::net::SocketAddr;
use std::sync::Arc;

use runtime::admin::{Admin, AdminServer};
use runtime::config::AdminConfig;
use runtime::faults::{self, ArmError, Kind, Point, PointState, Side};
use runtime::metrics::Metrics;
use runtime::shutdown::Shutdown;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MISTAKE: &str = "bug::mistake";
const POINTS: &[Point] = &[
    Point { name: "crash::here", side: Side::Debit, about: "Dies.", kind: Kind::crash_at("a line") },
    Point { name: MISTAKE, side: Side::Router, about: "Errs.", kind: Kind::Bug { caught_by: &["a check"], needs: "" } },
];

/// One after the other: the points are the process's.
#[tokio::test]
async fn points_are_armed_counted_told_and_turned_off() {
    faults::begin(POINTS).unwrap();
    assert!(!runtime::bug!("bug::mistake"), "off until somebody arms it");

    faults::arm(MISTAKE, " 1*off->2*return\n").unwrap();
    let made: Vec<bool> = (0..5).map(|_| runtime::bug!("bug::mistake")).collect();
    assert_eq!(made, [false, true, true, false, false]);
    let state = |name| faults::list().into_iter().find(|state: &PointState| state.name == name).unwrap();
    assert_eq!((state(MISTAKE).hits, state(MISTAKE).armed.as_deref()), (2, Some("1*off->2*return")));

    assert_eq!(faults::arm("bug::other", "return"), Err(ArmError::Unknown("bug::other".to_owned())));
    for mistaken in ["", "explode", "two*return", "pause", "1*return->pause"] {
        assert!(matches!(faults::arm(MISTAKE, mistaken), Err(ArmError::Action { .. })), "{mistaken}");
    }
    faults::disarm_all();
    assert_eq!(state(MISTAKE).armed, None);

    let admin = start();
    the_admin_port_does_the_same(admin.address()).await;
    what_is_not_armed_goes_on().await;
}

async fn the_admin_port_does_the_same(admin: SocketAddr) {
    let (status, body) = ask(admin, "PUT", "/faults/bug::mistake", "1*return").await;
    assert_eq!(status, "200", "{body}");
    assert!(runtime::bug!("bug::mistake"));
    let (_, body) = ask(admin, "GET", "/faults", "").await;
    let told: Value = serde_json::from_str(&body).unwrap();
    let expected = serde_json::json!([
        {"name": "crash::here", "kind": "crash", "side": "debit", "about": "Dies.", "table_line": "a line",
         "armed": null, "hits": 0},
        {"name": "bug::mistake", "kind": "bug", "side": "router", "about": "Errs.", "caught_by": ["a check"],
         "needs": "", "armed": "1*return", "hits": 3},
    ]);
    assert_eq!(told, expected);
    assert_eq!(ask(admin, "PUT", "/faults/bug::mistake", "\"1*return\"").await.0, "200", "a string of JSON");
    assert_eq!(ask(admin, "PUT", "/faults/bug::other", "return").await.0, "404");
    assert_eq!(ask(admin, "PUT", "/faults/bug::mistake", "explode").await.0, "400");
    assert_eq!(ask(admin, "POST", "/faults", "").await.0, "405");
    assert_eq!(ask(admin, "GET", "/faults/bug::mistake", "").await.0, "405");
    assert_eq!(ask(admin, "GET", "/faultsy", "").await.0, "404");
    faults::arm(MISTAKE, "return").unwrap();
    assert_eq!(ask(admin, "DELETE", "/faults", "").await.0, "200");
    assert!(!runtime::bug!("bug::mistake"));
}

async fn what_is_not_armed_goes_on() {
    runtime::crash!("crash::here");
    runtime::crash!("crash::here", once_written).await;
    assert_eq!(runtime::crash!("crash::here", during async { 7 }).await, 7);
}

fn start() -> AdminServer {
    let config = AdminConfig { bind: ([127, 0, 0, 1], 0).into() };
    Admin::new(Metrics::new("1").unwrap(), Arc::new(Vec::new), Shutdown::new()).start(&config).unwrap()
}

async fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all((head + body).as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].to_owned(), body.to_owned())
}

//! The admin port: what an orchestrator and an operator are told.

use std::net::SocketAddr;
use std::sync::Arc;

use runtime::admin::{Admin, AdminServer, Check, Checks};
use runtime::config::AdminConfig;
use runtime::metrics::{LATENCY_SECONDS, Metrics};
use runtime::shutdown::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn start(metrics: &Metrics, postgres_ok: bool, shutdown: &Shutdown) -> AdminServer {
    let checks: Checks =
        Arc::new(move || vec![Check { name: "postgres", ok: postgres_ok, detail: "4 of 4 connections".to_owned() }]);
    let config = AdminConfig { bind: ([127, 0, 0, 1], 0).into() };
    Admin::new(metrics.clone(), checks, shutdown.clone()).start(&config).unwrap()
}

async fn ask(address: SocketAddr, method: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].to_owned(), body.to_owned())
}

#[tokio::test]
async fn process_is_healthy_and_other_paths_and_methods_are_refused() {
    let admin = start(&Metrics::new("1.2.3").unwrap(), false, &Shutdown::new());
    assert_eq!(ask(admin.address(), "GET", "/healthz").await, ("200".into(), "ok".into()));
    assert_eq!(ask(admin.address(), "GET", "/").await.0, "404");
    assert_eq!(ask(admin.address(), "POST", "/healthz").await.0, "405");
}

#[tokio::test]
async fn readiness_lists_each_check() {
    let admin = start(&Metrics::new("1.2.3").unwrap(), true, &Shutdown::new());
    let (status, body) = ask(admin.address(), "GET", "/readyz").await;
    assert_eq!(status, "200");
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let expected = serde_json::json!({"ready": true, "checks": [
        {"name": "postgres", "ok": true, "detail": "4 of 4 connections"},
        {"name": "not_draining", "ok": true, "detail": "taking requests"},
    ]});
    assert_eq!(body, expected);
}

#[tokio::test]
async fn readiness_fails_with_a_failing_check() {
    let admin = start(&Metrics::new("1.2.3").unwrap(), false, &Shutdown::new());
    let (status, body) = ask(admin.address(), "GET", "/readyz").await;
    assert_eq!(status, "503");
    assert!(body.contains(r#"{"detail":"4 of 4 connections","name":"postgres","ok":false}"#), "{body}");
}

#[tokio::test]
async fn draining_process_is_not_ready_and_still_says_so() {
    let shutdown = Shutdown::new();
    let admin = start(&Metrics::new("1.2.3").unwrap(), true, &shutdown);
    shutdown.trigger();
    let (status, body) = ask(admin.address(), "GET", "/readyz").await;
    assert_eq!(status, "503");
    assert!(body.contains(r#""detail":"draining""#), "{body}");
}

#[tokio::test]
async fn metrics_tell_the_build_the_process_and_what_was_registered() {
    let metrics = Metrics::new("1.2.3").unwrap();
    metrics.counter("things_total", "Things").unwrap().inc_by(3);
    metrics.histogram("step_seconds", "Steps", LATENCY_SECONDS).unwrap().observe(0.0002);
    let admin = start(&metrics, true, &Shutdown::new());
    let (status, body) = ask(admin.address(), "GET", "/metrics").await;
    assert_eq!(status, "200");
    for line in [
        "wallet_build_info{version=\"1.2.3\"} 1",
        "wallet_things_total 3",
        "wallet_step_seconds_bucket{le=\"0.0001\"} 0",
        "wallet_step_seconds_bucket{le=\"0.00025\"} 1",
    ] {
        assert!(body.contains(line), "{body}");
    }
    for name in ["process_cpu_seconds_total ", "process_resident_memory_bytes ", "process_open_fds "] {
        let value = body.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        assert!(value.parse::<f64>().unwrap() >= 0.0, "{name}{value}");
    }
}

#[test]
fn metric_registered_twice_is_an_error_and_no_panic() {
    let metrics = Metrics::new("1.2.3").unwrap();
    metrics.counter("things_total", "Things").unwrap();
    let error = metrics.counter("things_total", "Things").unwrap_err();
    assert_eq!(error.to_string(), "the metric wallet_things_total cannot be registered");
}

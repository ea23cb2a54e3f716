//! The port for operators and orchestrators: `/healthz`, `/readyz`, `/metrics`.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::Service;
use serde::Serialize;
use tokio::task::JoinHandle;

use crate::config::{AdminConfig, ServeConfig};
use crate::metrics::Metrics;
use crate::serve;
use crate::shutdown::Shutdown;

/// The connections that an admin port needs: a scraper, an orchestrator, a few people.
const CONNECTIONS_MAX: usize = 64;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const METRICS_TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// One thing that must be so before the process can serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What is checked: `postgres`, `topology`.
    pub name: &'static str,
    /// Whether it is as it should be.
    pub ok: bool,
    /// How it is: `12 of 12 connections`.
    pub detail: String,
}

/// Looks at the process's own state and answers at once; asks nobody over the network.
pub type Checks = Arc<dyn Fn() -> Vec<Check> + Send + Sync>;

/// What the admin port tells.
#[derive(Clone)]
pub struct Admin {
    metrics: Metrics,
    checks: Checks,
    shutdown: Shutdown,
}

impl Admin {
    /// Tells the given metrics and checks, and one more: `not_draining`, which fails after `shutdown`.
    pub fn new(metrics: Metrics, checks: Checks, shutdown: Shutdown) -> Self {
        Self { metrics, checks, shutdown }
    }

    /// Begins to serve. The port stays open during the drain, until the [`AdminServer`] is dropped,
    /// so that an orchestrator sees the process become unready.
    ///
    /// # Errors
    /// The address is taken or not ours.
    pub fn start(self, config: &AdminConfig) -> io::Result<AdminServer> {
        let config = ServeConfig { connections_max: CONNECTIONS_MAX, ..ServeConfig::new(config.bind) };
        let listener = serve::bind(&config)?;
        let address = listener.local_addr()?;
        let never = Shutdown::new();
        let task = tokio::spawn(async move {
            serve::serve(listener, self, &config, never, Duration::ZERO).await;
        });
        Ok(AdminServer { address, task })
    }

    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        let known = matches!(path, "/healthz" | "/readyz" | "/metrics");
        match (path, method) {
            (_, _) if !known => response(StatusCode::NOT_FOUND, TEXT, "not found\n"),
            (_, method) if method != Method::GET && method != Method::HEAD => {
                let mut refused = response(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET\n");
                refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
                refused
            }
            ("/healthz", _) => response(StatusCode::OK, TEXT, "ok"),
            ("/readyz", _) => self.readiness(),
            (_, _) => self.metrics(),
        }
    }

    fn readiness(&self) -> Response<Full<Bytes>> {
        let draining = self.shutdown.is_triggered();
        let detail = if draining { "draining" } else { "taking requests" }.to_owned();
        let mut checks = (self.checks)();
        checks.push(Check { name: "not_draining", ok: !draining, detail });
        let ready = checks.iter().all(|check| check.ok);
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        response(status, JSON, serde_json::json!({ "ready": ready, "checks": checks }).to_string())
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        match self.metrics.text() {
            Ok(text) => response(StatusCode::OK, METRICS_TEXT, text),
            Err(error) => {
                tracing::error!(%error, "the metrics cannot be told");
                response(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "see the log\n")
            }
        }
    }
}

impl Service<Request<Incoming>> for Admin {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        #[cfg(feature = "faults")]
        if crate::faults::concerns(request.uri().path()) {
            return Box::pin(async { Ok(crate::faults::answer(request).await) });
        }
        let response = self.answer(request.method(), request.uri().path());
        Box::pin(async { Ok(response) })
    }
}

fn response(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The open admin port; dropping it closes the port.
#[derive(Debug)]
pub struct AdminServer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl AdminServer {
    /// The address that is listened on, with the port that the system chose if it was to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for AdminServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

//! The internal port: nothing but links, for those who know the cluster's secret.

use crate::dispatch::Dispatch;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::Empty;
use hyper::body::Incoming;
use runtime::config::Secret;
use runtime::shutdown::Shutdown;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use tokio::sync::watch;
use wire::link::{self, Handler};

/// Upgrades requests to links.
#[derive(Clone)]
pub struct LinkService {
    handler: Arc<Dispatch>,
    expected: Arc<str>,
    in_flight_max: usize,
    draining: watch::Receiver<bool>,
    // Held by every link, so that the end of the last one can be awaited.
    open: tokio::sync::mpsc::Sender<Infallible>,
}

/// Waits for the links to end.
pub struct OpenLinks {
    draining: watch::Sender<bool>,
    ended: tokio::sync::mpsc::Receiver<Infallible>,
}

impl OpenLinks {
    /// Tells every link to send nothing new, and waits until all that is in flight is answered.
    pub async fn drain(mut self) {
        self.draining.send_replace(true);
        while self.ended.recv().await.is_some() {}
    }
}

impl LinkService {
    /// A service, and the way to end its links.
    pub fn new(handler: Arc<Dispatch>, secret: &Secret, in_flight_max: usize) -> (LinkService, OpenLinks) {
        let (draining, watching) = watch::channel(false);
        let (open, ended) = tokio::sync::mpsc::channel(1);
        let expected = format!("Bearer {}", secret.expose()).into();
        (LinkService { handler, expected, in_flight_max, draining: watching, open }, OpenLinks { draining, ended })
    }

    fn answer(&self, request: Request<Incoming>) -> StatusCode {
        if request.uri().path() != link::PATH {
            return StatusCode::NOT_FOUND;
        }
        if !self.is_authorized(request.headers()) {
            return StatusCode::UNAUTHORIZED;
        }
        let protocol = request.headers().get(header::UPGRADE).map(http::HeaderValue::as_bytes);
        if request.method() != Method::GET || protocol != Some(link::PROTOCOL.as_bytes()) {
            return StatusCode::UPGRADE_REQUIRED;
        }
        let service = self.clone();
        tokio::spawn(async move {
            match hyper::upgrade::on(request).await {
                Ok(io) => service.serve(hyper_util::rt::TokioIo::new(io)).await,
                Err(error) => tracing::warn!(%error, "a link was not upgraded"),
            }
        });
        StatusCode::SWITCHING_PROTOCOLS
    }

    async fn serve(self, io: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + 'static) {
        let handler: Arc<dyn Handler> = self.handler;
        if let Err(error) = link::accept(io, handler, self.in_flight_max, self.draining).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "a link was cut: its peer broke the protocol");
        }
        drop(self.open);
    }

    /// Compares every byte, so that the time taken tells nothing of where the first difference is.
    fn is_authorized(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).map(http::HeaderValue::as_bytes).unwrap_or_default();
        let expected = self.expected.as_bytes();
        let difference = given.iter().zip(expected).fold(0, |difference, (a, b)| difference | (a ^ b));
        given.len() == expected.len() && difference == 0
    }
}

impl hyper::service::Service<Request<Incoming>> for LinkService {
    type Response = Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let status = self.answer(request);
        let mut response = Response::new(Empty::new());
        *response.status_mut() = status;
        if matches!(status, StatusCode::SWITCHING_PROTOCOLS | StatusCode::UPGRADE_REQUIRED) {
            let headers = response.headers_mut();
            headers.insert(header::CONNECTION, http::HeaderValue::from_static("upgrade"));
            headers.insert(header::UPGRADE, http::HeaderValue::from_static(link::PROTOCOL));
        }
        ready(Ok(response))
    }
}

/// Whether the signal to stop has come, for loops.
pub async fn until(shutdown: &Shutdown, pause: std::time::Duration) {
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = shutdown.triggered() => {}
    }
}

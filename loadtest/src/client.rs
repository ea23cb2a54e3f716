//! A client that has one request in flight, cheap enough to be had in hundreds.

mod connection;

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http::HeaderValue;
use http::{Method, StatusCode, Uri};

use connection::{Connection, Exchanged};

/// A router to send to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Router {
    /// As it was given, for people.
    pub url: String,
    address: SocketAddr,
    /// For the `Host` header.
    host: String,
}

impl Router {
    /// Looks up the address in a URL such as `http://127.0.0.1:8080`.
    pub async fn resolve(url: &str) -> Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("{url:?} is not a URL"))?;
        ensure!(uri.scheme_str() == Some("http"), "{url:?} does not start with http://");
        let Some(authority) = uri.authority() else { bail!("{url:?} names no host") };
        let port = authority.port_u16().unwrap_or(80);
        let found = tokio::net::lookup_host((authority.host(), port)).await;
        let address = found.with_context(|| format!("cannot look up {url}"))?.next();
        Ok(Self {
            url: url.to_owned(),
            address: address.with_context(|| format!("{url} has no address"))?,
            host: authority.as_str().to_owned(),
        })
    }
}

/// A request that may be sent any number of times. A clone shares all of its parts.
#[derive(Debug, Clone)]
pub struct Call {
    /// `GET` or `POST`.
    pub method: Method,
    /// The path, with a query where there is one.
    pub uri: Uri,
    /// `Bearer` and the token.
    pub authorization: HeaderValue,
    /// The idempotency key.
    pub key: Option<HeaderValue>,
    /// JSON, or nothing.
    pub body: Bytes,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: Bytes,
    /// Whether it says that the key was answered so before.
    pub is_replay: bool,
}

/// There is no answer. Except after [`Failure::Connect`] the request may have been carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No connection could be made.
    Connect,
    /// The connection broke before the whole answer was there.
    Broken,
    /// The answer did not come in time.
    Timeout,
}

impl Failure {
    /// What it is counted under, beside the error codes of the API.
    pub fn code(self) -> &'static str {
        match self {
            Self::Connect => "(no connection)",
            Self::Broken => "(connection broken)",
            Self::Timeout => "(timeout)",
        }
    }
}

/// A connection to one of several equal routers, made when it is needed; after a failure the next router has its turn.
#[derive(Debug)]
pub struct Client {
    routers: Rc<[Router]>,
    turn: usize,
    timeout: Duration,
    connection: Option<Connection>,
    retry_after: Option<u32>,
}

impl Client {
    /// A client that starts with router number `turn`, counted around. `routers` is not empty.
    pub fn new(routers: Rc<[Router]>, turn: usize, timeout: Duration) -> Self {
        Self { routers, turn, timeout, connection: None, retry_after: None }
    }

    /// The seconds of `Retry-After` in the last answer.
    pub fn retry_after(&self) -> Option<u32> {
        self.retry_after
    }

    /// Sends a request and waits for the whole answer.
    pub async fn send(&mut self, call: &Call) -> Result<Reply, Failure> {
        let timeout = self.timeout;
        self.retry_after = None;
        let sent = tokio::time::timeout(timeout, self.exchange(call)).await;
        let reply = sent.unwrap_or(Err(Failure::Timeout));
        if reply.is_err() {
            self.turn = self.turn.wrapping_add(1);
        }
        reply
    }

    async fn exchange(&mut self, call: &Call) -> Result<Reply, Failure> {
        let router = &self.routers[self.turn % self.routers.len()];
        // Taken, so that a connection on which something failed, or which was given up, is not used again.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(router.address).await.map_err(|_| Failure::Connect)?,
        };
        let exchanged = connection.exchange(call, router.host.as_bytes()).await;
        let Exchanged { reply, retry_after, stays_open } = exchanged.map_err(|_| Failure::Broken)?;
        self.retry_after = retry_after;
        self.connection = stays_open.then_some(connection);
        Ok(reply)
    }
}

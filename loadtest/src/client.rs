//! One HTTP/1.1 connection with one request in flight, cheap enough to be had in hundreds.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A router to send to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Router {
    /// As it was given, for people.
    pub url: String,
    address: SocketAddr,
    host: HeaderValue,
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
            host: HeaderValue::try_from(authority.as_str())?,
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

impl Call {
    fn request(&self, host: &HeaderValue) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.insert(HOST, host.clone());
        headers.insert(AUTHORIZATION, self.authorization.clone());
        if let Some(key) = &self.key {
            headers.insert(IDEMPOTENCY_KEY, key.clone());
        }
        if !self.body.is_empty() {
            headers.insert(CONTENT_TYPE, JSON);
        }
        request
    }
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: Bytes,
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
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    /// A client that starts with router number `turn`, counted around. `routers` is not empty.
    pub fn new(routers: Rc<[Router]>, turn: usize, timeout: Duration) -> Self {
        Self { routers, turn, timeout, connection: None }
    }

    /// Sends a request and waits for the whole answer.
    pub async fn send(&mut self, call: &Call) -> Result<Reply, Failure> {
        let timeout = self.timeout;
        let sent = tokio::time::timeout(timeout, self.exchange(call)).await;
        let reply = sent.unwrap_or(Err(Failure::Timeout));
        if reply.is_err() {
            self.connection = None;
            self.turn = self.turn.wrapping_add(1);
        }
        reply
    }

    async fn exchange(&mut self, call: &Call) -> Result<Reply, Failure> {
        let router = &self.routers[self.turn % self.routers.len()];
        let mut connection = match self.connection.take() {
            // A router that drains closes connections when they are idle; a new one costs less than a lost request.
            Some(connection) if !connection.is_closed() => connection,
            _ => connect(router.address).await.map_err(|_| Failure::Connect)?,
        };
        let request = call.request(&router.host);
        connection.ready().await.map_err(|_| Failure::Broken)?;
        let response = connection.send_request(request).await.map_err(|_| Failure::Broken)?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|_| Failure::Broken)?.to_bytes();
        self.connection = Some(connection);
        Ok(Reply { status, body })
    }
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the sender; how it ended shows in the sender's results.
    tokio::task::spawn_local(async move { drop(connection.await) });
    Ok(sender)
}

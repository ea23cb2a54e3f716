//! A small HTTP client that holds every answer to what the contract promises of all of them.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A request being made.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    address: SocketAddr,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    pub(crate) fn new(address: SocketAddr, method: Method, path: impl Into<String>) -> Self {
        Self { address, method, path: path.into(), headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// The token of a session.
    pub(crate) fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// An idempotency key.
    pub(crate) fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// A header; a repeated one is sent twice.
    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        self.header_bytes(name, value.as_bytes())
    }

    /// A header of any bytes.
    pub(crate) fn header_bytes(mut self, name: &str, value: &[u8]) -> Self {
        let name: HeaderName = name.parse().expect("a header's name");
        self.headers.append(name, HeaderValue::from_bytes(value).expect("a header's value"));
        self
    }

    /// A body of JSON.
    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    /// A body that says it is JSON.
    pub(crate) fn text(self, body: impl Into<Bytes>) -> Self {
        self.header("content-type", "application/json").body(body)
    }

    /// A body that does not say what it is.
    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it over HTTP/1.1.
    pub(crate) async fn send(self) -> Answer {
        let stream = TcpStream::connect(self.address).await.expect("a router");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a connection");
        tokio::task::spawn(connection);
        let sent = sender.send_request(self.request()).await.expect("an answer");
        Answer::read(sent).await
    }

    /// Sends it over HTTP/2.
    pub(crate) async fn send_http2(self) -> Answer {
        let stream = TcpStream::connect(self.address).await.expect("a router");
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.expect("a connection");
        tokio::task::spawn(connection);
        let mut request = self.request();
        *request.uri_mut() = format!("http://{}{}", self.address, self.path).parse().expect("a URI");
        request.headers_mut().remove("host");
        Answer::read(sender.send_request(request).await.expect("an answer")).await
    }

    fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::builder().method(&self.method).uri(&self.path).body(Full::new(self.body.clone()));
        let request = request.as_mut().expect("a request");
        *request.headers_mut() = self.headers.clone();
        let host = self.address.to_string();
        request.headers_mut().insert("host", HeaderValue::try_from(host).expect("a header's value"));
        std::mem::take(request)
    }
}

impl Answer {
    async fn read(response: http::Response<hyper::body::Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("a whole answer").to_bytes();
        let answer = Self { status: head.status.as_u16(), headers: head.headers, body };
        answer.check();
        answer
    }

    /// What holds for every answer.
    fn check(&self) {
        assert_ne!(self.status, 500, "a defect: {self:?}");
        let request_id: uuid::Uuid = self.header("x-request-id").parse().expect("a UUID");
        assert_eq!(self.header("x-content-type-options"), "nosniff");
        if self.status < 400 || self.body.is_empty() {
            return;
        }
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.header("cache-control"), "no-store");
        let problem = self.value();
        let code = problem["code"].as_str().expect("a code");
        assert_eq!(problem["status"], self.status);
        assert_eq!(problem["type"], format!("/problems/{}", code.replace('_', "-")));
        assert_eq!(problem["request_id"], request_id.to_string());
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
        let retry = problem["retry"].as_str().expect("advice");
        assert!(["same_key", "new_key", "never"].contains(&retry), "{problem}");
        let may_come_back = matches!(self.status, 429 | 503) || code == "idempotency_in_flight";
        assert_eq!(self.headers.contains_key("retry-after"), may_come_back, "{self:?}");
        assert_eq!(self.headers.contains_key("www-authenticate"), self.status == 401);
        assert_eq!(self.headers.contains_key("allow"), self.status == 405);
    }

    /// The value of a header, empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// Whether it was decided by an earlier request.
    pub(crate) fn is_replayed(&self) -> bool {
        self.header("idempotency-replayed") == "true"
    }

    /// The body, which must be JSON.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// The body of an answer of this status.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.header("content-type"), "application/json");
        assert_eq!(self.header("cache-control"), "no-store");
        self.value()
    }

    /// The problem of this status and code.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{text}");
        let problem = self.value();
        assert_eq!(problem["code"], code, "{text}");
        problem
    }

    /// The pointers of a problem about a malformed request.
    #[track_caller]
    pub(crate) fn malformed(&self) -> Vec<String> {
        let problem = self.problem(400, "malformed_request");
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        let pointers = errors.iter().map(|error| error["pointer"].as_str().expect("a pointer").to_owned());
        pointers.collect()
    }
}

/// Sends bytes as they are, and reads until the other side closes.
pub(crate) async fn send_raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a router");
    stream.write_all(bytes).await.expect("a listener");
    let mut answer = Vec::new();
    // A reset after the answer is as good an end as any.
    drop(stream.read_to_end(&mut answer).await);
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status of a raw answer.
pub(crate) fn raw_status(answer: &str) -> Option<StatusCode> {
    answer.split(' ').nth(1)?.parse().ok()
}

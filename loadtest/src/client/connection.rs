//! HTTP/1.1 over one connection, one request at a time, without a task of its own.
//!
//! Every microsecond that the load generator takes is one that the wallet under test does not get. This does what a load
//! needs and no more: it writes a request in one piece, and reads an answer whose length is told.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Call, Reply};

/// Answers of more than this are none that the wallet gives.
const HEAD_BYTES_MAX: usize = 64 << 10;
const BODY_BYTES_MAX: usize = 16 << 20;

const READ_BYTES: usize = 4 << 10;

/// A connection that is idle, or was until its exchange was given up.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

/// An answer, and whether another one may follow on the connection.
pub struct Exchanged {
    pub reply: Reply,
    pub retry_after: Option<u32>,
    pub stays_open: bool,
}

/// What the head of an answer says.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: StatusCode,
    body_at: usize,
    body_bytes: usize,
    retry_after: Option<u32>,
    is_replay: bool,
    stays_open: bool,
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, request: Vec::with_capacity(512), answer: Vec::with_capacity(READ_BYTES) })
    }

    /// Sends a request and waits for the whole answer. After an error, or when it was not waited for to the end, the
    /// connection is of no more use.
    pub async fn exchange(&mut self, call: &Call, host: &[u8]) -> io::Result<Exchanged> {
        write_request(&mut self.request, call, host);
        self.stream.write_all(&self.request).await?;
        self.answer.clear();
        let head = loop {
            self.read_more().await?;
            if let Some(head) = Head::parse(&self.answer)? {
                break head;
            }
        };
        let end = head.body_at + head.body_bytes;
        while self.answer.len() < end {
            self.read_more().await?;
        }
        if self.answer.len() > end {
            return Err(malformed("more than was announced"));
        }
        let body = Bytes::copy_from_slice(&self.answer[head.body_at..]);
        let Head { status, retry_after, is_replay, stays_open, .. } = head;
        Ok(Exchanged { reply: Reply { status, body, is_replay }, retry_after, stays_open })
    }

    async fn read_more(&mut self) -> io::Result<()> {
        self.answer.reserve(READ_BYTES);
        match self.stream.read_buf(&mut self.answer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn write_request(request: &mut Vec<u8>, call: &Call, host: &[u8]) {
    request.clear();
    let target = call.uri.path_and_query().map_or("/", |target| target.as_str());
    for part in [call.method.as_str(), " ", target, " HTTP/1.1\r\nhost: "] {
        request.extend_from_slice(part.as_bytes());
    }
    request.extend_from_slice(host);
    request.extend_from_slice(b"\r\nauthorization: ");
    request.extend_from_slice(call.authorization.as_bytes());
    if let Some(key) = &call.key {
        request.extend_from_slice(b"\r\nidempotency-key: ");
        request.extend_from_slice(key.as_bytes());
    }
    if !call.body.is_empty() {
        request.extend_from_slice(b"\r\ncontent-type: application/json\r\ncontent-length: ");
        request.extend_from_slice(call.body.len().to_string().as_bytes());
    }
    request.extend_from_slice(b"\r\n\r\n");
    request.extend_from_slice(&call.body);
}

impl Head {
    /// Reads the head once all of it is there.
    fn parse(answer: &[u8]) -> io::Result<Option<Self>> {
        let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
            return if answer.len() > HEAD_BYTES_MAX { Err(malformed("no end of the head")) } else { Ok(None) };
        };
        let text = std::str::from_utf8(&answer[..end]).map_err(|_| malformed("the head is not text"))?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).and_then(|rest| rest.get(..3));
        let status = status.and_then(|digits| digits.parse().ok()).ok_or_else(|| malformed("no status"))?;
        let mut head =
            Self { status, body_at: end + 4, body_bytes: 0, retry_after: None, is_replay: false, stays_open: true };
        for line in lines {
            let (name, value) = line.split_once(':').ok_or_else(|| malformed("no header"))?;
            head.header(name, value.trim())?;
        }
        Ok(Some(head))
    }

    fn header(&mut self, name: &str, value: &str) -> io::Result<()> {
        if name.eq_ignore_ascii_case("content-length") {
            let bytes = value.parse().ok().filter(|bytes| *bytes <= BODY_BYTES_MAX);
            self.body_bytes = bytes.ok_or_else(|| malformed("a length that cannot be"))?;
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(malformed("a body without a length, which the wallet does not send"));
        } else if name.eq_ignore_ascii_case("retry-after") {
            self.retry_after = Some(value.parse().map_err(|_| malformed("a pause that is no number of seconds"))?);
        } else if name.eq_ignore_ascii_case("idempotency-replayed") {
            self.is_replay = value == "true";
        } else if name.eq_ignore_ascii_case("connection") {
            self.stays_open &= !value.eq_ignore_ascii_case("close");
        }
        Ok(())
    }
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::{Method, Uri};

    use super::*;

    fn head(text: &str) -> io::Result<Option<Head>> {
        Head::parse(text.as_bytes())
    }

    #[test]
    fn request_is_written_as_rfc_9112_wants_it() {
        let mut call = Call {
            method: Method::POST,
            uri: Uri::from_static("/v1/transfers?x=1"),
            authorization: HeaderValue::from_static("Bearer t"),
            key: Some(HeaderValue::from_static("k")),
            body: Bytes::from_static(b"{}"),
        };
        let mut request = b"left over".to_vec();
        write_request(&mut request, &call, b"h:1");
        let wanted = "POST /v1/transfers?x=1 HTTP/1.1\r\nhost: h:1\r\nauthorization: Bearer t\r\nidempotency-key: k\r\n\
                      content-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(String::from_utf8(request).unwrap(), wanted);

        (call.method, call.key, call.body) = (Method::GET, None, Bytes::new());
        let mut request = vec![];
        write_request(&mut request, &call, b"h:1");
        let wanted = "GET /v1/transfers?x=1 HTTP/1.1\r\nhost: h:1\r\nauthorization: Bearer t\r\n\r\n";
        assert_eq!(String::from_utf8(request).unwrap(), wanted);
    }

    #[test]
    fn head_is_read_when_it_is_whole() {
        let text =
            "HTTP/1.1 201 Created\r\nContent-Length: 7\r\nlocation: /v1/x:y\r\nConnection: close\r\n\r\n{\"a\":1}";
        let whole = head(text).unwrap().unwrap();
        assert_eq!((whole.status, whole.body_bytes, whole.stays_open), (StatusCode::CREATED, 7, false));
        assert_eq!(&text[whole.body_at..], "{\"a\":1}");
        for length in 0..whole.body_at {
            assert_eq!(head(&text[..length]).unwrap(), None, "{length} bytes are no whole head");
        }
        let empty = head("HTTP/1.1 204 No Content\r\n\r\n").unwrap().unwrap();
        assert_eq!((empty.body_bytes, empty.stays_open), (0, true));
    }

    #[test]
    fn repeat_of_an_answer_is_told_from_a_first_one() {
        let is_replay =
            |header: &str| head(&format!("HTTP/1.1 201 Created\r\n{header}\r\n")).unwrap().unwrap().is_replay;
        assert!(is_replay("Idempotency-Replayed: true\r\n"));
        assert!(!is_replay(""));
    }

    #[test]
    fn answers_that_cannot_be_are_refused() {
        for text in [
            "HTTP/1.0 200 OK\r\n\r\n",
            "HTTP/1.1 abc\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
            "+PONG\r\n\r\n",
        ] {
            assert!(head(text).is_err(), "{text:?}");
        }
    }
}

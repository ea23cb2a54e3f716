//! Answering one connection too many: told at once to come back, and never queued.

use std::io;
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::in_flight::{InFlight, Place};

/// So many are waited for at once until they have read why. It is not more, since each holds a file descriptor beyond
/// `connections_max`, for a second if it likes; further ones are told as well, but hardly waited for.
const AT_ONCE_MAX: usize = 256;

/// How often the log says that connections are refused.
const WARN_INTERVAL: Duration = Duration::from_secs(1);

/// How long one refused client may take to read why.
const TIMEOUT: Duration = Duration::from_secs(1);

/// How much of its request is read and thrown away.
const DISCARDED_BYTES_MAX: u64 = 65_536;

/// All of the body but the request id and what ends it.
const BODY: &str = concat!(
    r#"{"type":"/problems/overloaded","title":"Overloaded","status":503,"#,
    r#""detail":"too many connections","code":"overloaded","retry":"same_key","request_id":"#,
);

/// The refusals of one listener.
pub(super) struct Refusals {
    under_way: InFlight,
    warned: Option<Instant>,
}

impl Refusals {
    pub(super) fn new() -> Self {
        Self { under_way: InFlight::new(AT_ONCE_MAX), warned: None }
    }

    /// Refuses one connection.
    pub(super) fn refuse(&mut self, stream: TcpStream, tasks: &mut JoinSet<()>) {
        if self.warned.is_none_or(|at| at.elapsed() >= WARN_INTERVAL) {
            tracing::warn!("refusing connections: as many are open as connections_max allows");
            self.warned = Some(Instant::now());
        }
        match self.under_way.enter() {
            Some(place) => {
                tasks.spawn(refuse(stream, place));
            }
            None => log_unheard(refuse_in_passing(&stream)),
        }
    }
}

/// Answers 503 and closes. The place is held until the client is gone.
async fn refuse(stream: TcpStream, _place: Place) {
    // One that takes longer than that has had its chance to read.
    if let Ok(told) = tokio::time::timeout(TIMEOUT, tell(stream)).await {
        log_unheard(told);
    }
}

/// Tells a client without waiting for anything. A new connection takes so little at once; but if the request comes only
/// after the end, the client's system may throw the answer away.
fn refuse_in_passing(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    let mut discarded = [MaybeUninit::uninit(); 4096];
    match socket.recv(&mut discarded) {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
        Ok(_) | Err(_) => {}
    }
    socket.send(answer().as_bytes())?;
    socket.shutdown(Shutdown::Write)
}

fn log_unheard(told: io::Result<()>) {
    if let Err(error) = told {
        tracing::debug!(%error, "a refused client did not hear why");
    }
}

fn answer() -> String {
    let request_id = uuid::Uuid::now_v7();
    let body = format!("{BODY}\"{request_id}\"}}");
    format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nX-Request-Id: {request_id}\r\n\
         Retry-After: 1\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn tell(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(answer().as_bytes()).await?;
    stream.shutdown().await?;
    // Closing with unread bytes would reset the connection and destroy the answer on its way.
    let mut request = stream.take(DISCARDED_BYTES_MAX);
    let mut discarded = [0; 4096];
    while request.read(&mut discarded).await? > 0 {}
    Ok(())
}

//! One connection, from its first byte to its end.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::BoxError;
use super::activity::{Activity, Patience};
use super::answer::{Answer, Owed};
use super::stream::ClientStream;
use crate::config::ServeConfig;
use crate::shutdown::Shutdown;

/// What every HTTP/2 connection begins with, and no HTTP/1 one (RFC 9113, section 3.4).
const PREFACE: [u8; 3] = *b"PRI";

/// The pause before looking again at a first packet of one or two bytes: at first for a client whose next packet is on
/// its way, and in the end for a crowd that sends no more than that, lest looking at it is all we do.
const PEEK_PAUSE: Duration = Duration::from_millis(5);
const PEEK_PAUSE_MAX: Duration = Duration::from_millis(500);

/// hyper refuses a smaller buffer for HTTP/1.
const BUFFER_BYTES_MIN: usize = 8192;

/// Requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;

/// HTTP/2 pings find out peers that vanished without a word.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// The configured protocols, shared by all connections of one listener.
#[derive(Debug)]
pub(super) struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    patience: Patience,
    preface_timeout: Duration,
}

impl Protocols {
    pub(super) fn new(config: &ServeConfig) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            .header_read_timeout(None) // see `Activity`
            // Answers are short: one copy costs less than a list of parts.
            .writev(false)
            .max_header_size(config.header_bytes_max)
            // Not `pipeline_flush`: it lifts this bound for answers that the client does not take, and
            // does not send hyper's own answers to malformed heads.
            .max_buf_size(config.header_bytes_max.max(BUFFER_BYTES_MIN));
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(u32::try_from(config.header_bytes_max).unwrap_or(u32::MAX))
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT);
        Self { http1, http2, patience: Patience::of(config), preface_timeout: config.header_timeout }
    }

    /// Serves one connection until it ends, the client tries our patience, or the drain is done with it.
    pub(super) async fn serve<S, B>(self: Arc<Self>, mut stream: ClientStream, service: S, shutdown: Shutdown)
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: Body<Data = Bytes> + Unpin + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let preface = timeout(self.preface_timeout, speaks_http2(stream.tcp()));
        let speaks_http2 = tokio::select! {
            spoken = preface => match spoken {
                Ok(Ok(speaks_http2)) => speaks_http2,
                Ok(Err(_)) | Err(_) => return,
            },
            // Nothing was asked of us yet.
            () = shutdown.triggered() => return,
        };
        if speaks_http2 {
            stream.carry_http2();
        }
        let activity = stream.activity();
        let watch = Watch { activity: stream.activity(), patience: self.patience, shutdown };
        // A closure, where a named future would have to be boxed for each request.
        let service = service_fn(move |request| {
            let owed = Owed::by_us(Arc::clone(&activity));
            let answer = service.call(request);
            async move { answer.await.map(|answer| answer.map(|body| Answer::new(body, owed))) }
        });
        let io = TokioIo::new(stream);
        if speaks_http2 {
            let connection = self.http2.serve_connection(io, service);
            watch.drive(connection, |it| it.graceful_shutdown()).await;
        } else {
            let connection = self.http1.serve_connection(io, service).with_upgrades();
            watch.drive(connection, |it| it.graceful_shutdown()).await;
        }
    }
}

/// Looks at the first bytes without taking them.
///
/// # Errors
/// The client left before it said anything.
async fn speaks_http2(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; PREFACE.len()];
    let mut pause = PEEK_PAUSE;
    loop {
        match stream.peek(&mut first).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            3 => return Ok(first == PREFACE),
            count if first[..count] != PREFACE[..count] => return Ok(false),
            // "P" may become POST or PRI. The socket stays readable, so only time can tell.
            _ => sleep(pause).await,
        }
        pause = (pause * 2).min(PEEK_PAUSE_MAX);
    }
}

/// What may end a connection before the client does.
struct Watch {
    activity: Arc<Activity>,
    patience: Patience,
    shutdown: Shutdown,
}

/// How a connection ended.
enum End {
    /// By itself, or by the client.
    Finished(Result<(), BoxError>),
    /// By us: the client took too long.
    TooSlow,
    /// By the drain, before anything was asked.
    Unused,
}

impl Watch {
    /// Drives the connection to its end; `finish` tells it to take no more requests.
    async fn drive<C, E>(self, connection: C, finish: impl FnOnce(Pin<&mut C>))
    where
        C: Future<Output = Result<(), E>>,
        E: Into<BoxError>,
    {
        let mut connection = pin!(connection);
        let mut stopping = pin!(self.shutdown.triggered());
        let mut timer = pin!(sleep(self.patience.idle));
        let mut finish = Some(finish);
        let end = poll_fn(|context| {
            let mut polled = connection.as_mut().poll(context);
            if polled.is_pending() && finish.is_some() && stopping.as_mut().poll(context).is_ready() {
                // hyper would wait for the first request of a connection that never made one.
                if self.activity.is_new() {
                    return Poll::Ready(End::Unused);
                }
                if let Some(finish) = finish.take() {
                    finish(connection.as_mut());
                }
                polled = connection.as_mut().poll(context);
            }
            match polled {
                Poll::Ready(ended) => Poll::Ready(End::Finished(ended.map_err(Into::into))),
                Poll::Pending => self.poll_patience(timer.as_mut(), context),
            }
        });
        log_end(end.await);
    }

    /// Moves the timer only when it would be late, so that requests as such cost nothing.
    fn poll_patience(&self, mut timer: Pin<&mut Sleep>, context: &mut Context<'_>) -> Poll<End> {
        let ends = self.activity.patience_ends(&self.patience);
        if let Some(ends) = ends.filter(|ends| *ends < timer.deadline()) {
            timer.as_mut().reset(ends);
        }
        while timer.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            let ends = ends.unwrap_or(now + self.patience.idle);
            if ends <= now {
                return Poll::Ready(End::TooSlow);
            }
            timer.as_mut().reset(ends);
        }
        Poll::Pending
    }
}

/// Clients that vanish, dawdle or talk nonsense are their own affair; operators see them on request.
fn log_end(end: End) {
    match end {
        End::Finished(Ok(())) | End::Unused => {}
        End::Finished(Err(error)) => tracing::debug!(error, "a connection broke off"),
        End::TooSlow => tracing::debug!("closed the connection of a client that is too slow"),
    }
}

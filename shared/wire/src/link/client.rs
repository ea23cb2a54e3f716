//! The calling side of a link.

use super::{PATH, PROTOCOL, Request, Response, frame};
use crate::answer::Answer;
use crate::operation::Call;
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, StatusCode, header};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

/// Calls that may wait for one connection's socket before new ones are refused.
const QUEUE_MAX: usize = 8_192;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const RECONNECT_AFTER: Duration = Duration::from_millis(100);
const RECONNECT_AFTER_MAX: Duration = Duration::from_secs(2);
const PING_AFTER: Duration = Duration::from_secs(1);
/// A peer that has been silent for this long, although it was pinged, is taken for dead.
const SILENCE_MAX: Duration = Duration::from_secs(4);

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The call was never sent: nothing has happened; it may be sent elsewhere.
    #[error("the call was not sent: the shard-node cannot be reached")]
    NotApplied,
    /// The call was sent, and the connection broke or the deadline passed. Ask again with the same key.
    #[error("the outcome is unknown: the shard-node did not answer")]
    Unknown,
}

/// A connection to one shard-node that is kept, and made again when it breaks. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Link {
    state: watch::Receiver<State>,
    // The connection's task ends when the last clone of the link is dropped.
    alive: Arc<watch::Sender<()>>,
}

#[derive(Debug, Clone)]
enum State {
    Down,
    Up(mpsc::Sender<Outgoing>),
}

#[derive(Debug)]
struct Outgoing {
    call: Box<Call>,
    answer: oneshot::Sender<Answer>,
}

impl Link {
    /// Starts connecting in the background, within a tokio runtime. `user_agent` names the caller to whoever looks at
    /// its connections (RFC 9110, section 10.1.5).
    pub fn open(address: String, secret: &str, user_agent: &str) -> Link {
        let (up, state) = watch::channel(State::Down);
        let (alive, closed) = watch::channel(());
        let opening = Opening { address, authorization: format!("Bearer {secret}"), user_agent: user_agent.to_owned() };
        tokio::spawn(keep_connected(opening, up, closed));
        Link { state, alive: Arc::new(alive) }
    }

    /// Whether it is the same link.
    pub fn is(&self, other: &Link) -> bool {
        Arc::ptr_eq(&self.alive, &other.alive)
    }

    /// Whether calls can be sent right now.
    pub fn is_up(&self) -> bool {
        matches!(&*self.state.borrow(), State::Up(_))
    }

    /// Waits until calls can be sent.
    pub async fn up(&self) {
        let mut state = self.state.clone();
        // An error means that the connection's task has ended, and it ends only with the link.
        drop(state.wait_for(|state| matches!(state, State::Up(_))).await);
    }

    /// Sends the call and waits for its answer for as long as the call says.
    pub async fn call(&self, call: Call) -> Result<Answer, CallError> {
        let State::Up(queue) = self.state.borrow().clone() else {
            return Err(CallError::NotApplied);
        };
        let deadline = Duration::from_millis(u64::from(call.context.remaining_ms));
        let (answer, answered) = oneshot::channel();
        queue.try_send(Outgoing { call: Box::new(call), answer }).map_err(|_| CallError::NotApplied)?;
        match tokio::time::timeout(deadline, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(CallError::Unknown),
        }
    }
}

/// What a connection is opened with.
struct Opening {
    address: String,
    authorization: String,
    user_agent: String,
}

async fn keep_connected(opening: Opening, up: watch::Sender<State>, mut closed: watch::Receiver<()>) {
    let mut pause = RECONNECT_AFTER;
    loop {
        let started = Instant::now();
        tokio::select! {
            () = connection(&opening, &up) => {}
            _ = closed.changed() => return,
        }
        up.send_replace(State::Down);
        pause = match started.elapsed() > Duration::from_secs(5) {
            true => RECONNECT_AFTER,
            false => (pause * 2).min(RECONNECT_AFTER_MAX),
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = closed.changed() => return,
        }
    }
}

/// One connection's whole life.
async fn connection(opening: &Opening, up: &watch::Sender<State>) {
    let address = opening.address.as_str();
    let io = match tokio::time::timeout(CONNECT_TIMEOUT, upgrade(opening)).await {
        Ok(Ok(io)) => io,
        Ok(Err(error)) => return tracing::debug!(address, %error, "link not made"),
        Err(_) => return tracing::debug!(address, "link not made in time"),
    };
    tracing::debug!(address, "link made");
    let (reader, writer) = tokio::io::split(io);
    let (queue, waiting) = mpsc::channel(QUEUE_MAX);
    let flight = Flight::default();
    up.send_replace(State::Up(queue));
    tokio::select! {
        () = write_calls(writer, waiting, flight.clone()) => {}
        () = take_answers(reader, flight.clone(), up) => {}
    }
    // Whoever still waits learns that the outcome is unknown.
    flight.lock().waiting.clear();
    tracing::debug!(address, "link ended");
}

#[derive(Debug, thiserror::Error)]
enum UpgradeError {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("{0}")]
    Request(#[from] http::Error),
    #[error("the node answered {0} instead of upgrading")]
    Refused(StatusCode),
}

async fn upgrade(opening: &Opening) -> Result<impl AsyncRead + AsyncWrite + use<>, UpgradeError> {
    let Opening { address, authorization, user_agent } = opening;
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driving = tokio::spawn(connection.with_upgrades());
    let request = http::Request::get(PATH)
        .header(header::HOST, address)
        .header(header::CONNECTION, HeaderValue::from_static("upgrade"))
        .header(header::UPGRADE, HeaderValue::from_static(PROTOCOL))
        .header(header::AUTHORIZATION, authorization)
        .header(header::USER_AGENT, user_agent)
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        driving.abort();
        return Err(UpgradeError::Refused(response.status()));
    }
    Ok(TokioIo::new(hyper::upgrade::on(response).await?))
}

/// The calls that were sent and wait for their answers.
#[derive(Debug, Clone, Default)]
struct Flight(Arc<Mutex<InFlight>>);

/// A number is not given again before all others were: an answer that comes twice, or late, must find nobody rather
/// than another call.
#[derive(Debug, Default)]
struct InFlight {
    next: u32,
    waiting: HashMap<u32, oneshot::Sender<Answer>>,
}

impl Flight {
    fn lock(&self) -> MutexGuard<'_, InFlight> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_empty(&self) -> bool {
        self.lock().waiting.is_empty()
    }

    fn register(&self, answer: oneshot::Sender<Answer>) -> u32 {
        let mut flight = self.lock();
        while flight.waiting.contains_key(&flight.next) {
            flight.next = flight.next.wrapping_add(1);
        }
        let number = flight.next;
        flight.next = number.wrapping_add(1);
        flight.waiting.insert(number, answer);
        number
    }

    fn complete(&self, number: u32, answer: Answer) {
        let waiting = self.lock().waiting.remove(&number);
        if let Some(waiting) = waiting {
            // A caller that has given up meanwhile does not need it.
            drop(waiting.send(answer));
        }
    }
}

async fn write_calls(mut writer: impl AsyncWrite + Unpin, mut waiting: mpsc::Receiver<Outgoing>, flight: Flight) {
    let (mut batch, mut buffer) = (Vec::with_capacity(256), BytesMut::with_capacity(64 * 1024));
    let mut ping = tokio::time::interval(PING_AFTER);
    // Told to go away, nobody sends any more, but what is in flight is still waited for.
    let mut open = true;
    loop {
        tokio::select! {
            received = waiting.recv_many(&mut batch, 256), if open => open = received > 0,
            _ = ping.tick() => {}
        }
        if batch.is_empty()
            && let Err(error) = frame::encode(&Request::Ping, &mut buffer)
        {
            return tracing::error!(%error, "a ping was not encoded");
        }
        for Outgoing { call, answer } in batch.drain(..) {
            let number = flight.register(answer);
            if let Err(error) = frame::encode(&Request::Call(number, call), &mut buffer) {
                // Its caller's trouble alone: the link goes on.
                tracing::error!(%error, "a call was not encoded");
                flight.complete(number, Answer::Internal);
            }
        }
        if writer.write_all(&buffer).await.is_err() {
            return;
        }
        buffer.clear();
    }
}

async fn take_answers(mut reader: impl AsyncRead + Unpin, flight: Flight, up: &watch::Sender<State>) {
    let mut buffer = BytesMut::with_capacity(64 * 1024);
    let mut going_away = false;
    loop {
        buffer.reserve(16 * 1024);
        match tokio::time::timeout(SILENCE_MAX, reader.read_buf(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => return,
            Err(_) => return tracing::warn!("a shard-node fell silent; its link is cut"),
            Ok(Ok(_)) => {}
        }
        loop {
            match frame::decode::<Response>(&mut buffer) {
                Ok(Some(Response::Answer(number, answer))) => flight.complete(number, *answer),
                Ok(Some(Response::Pong)) => {}
                Ok(Some(Response::GoAway)) => {
                    going_away = true;
                    up.send_replace(State::Down);
                }
                Ok(None) => break,
                Err(error) => return tracing::error!(%error, "an answer was not decoded"),
            }
        }
        if going_away && flight.is_empty() {
            return;
        }
    }
}

//! The answering side of a link.

use super::{FrameError, Request, Response, frame};
use crate::answer::Answer;
use crate::operation::Call;
use bytes::BytesMut;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, watch};

/// A caller pings every second; one that has been silent for this long is gone, however its host went.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// Answers calls. Must not block; it may answer at once or hand the replier on.
pub trait Handler: Send + Sync + 'static {
    /// Takes over one call.
    fn handle(&self, call: Call, replier: Replier);
}

/// The way back for one call. Dropped without an answer, it answers `Unavailable`: a caller never
/// waits for a reply that nobody will send.
#[derive(Debug)]
pub struct Replier {
    number: u32,
    answers: mpsc::UnboundedSender<Response>,
    in_flight: Arc<AtomicUsize>,
    done: bool,
}

impl Replier {
    /// Sends the answer. A caller that has gone away is no error: it will ask again with the same key.
    pub fn reply(mut self, answer: Answer) {
        self.send(answer);
    }

    /// Whether the connection of the caller is gone: nobody will hear the answer.
    pub fn is_gone(&self) -> bool {
        self.answers.is_closed()
    }

    fn send(&mut self, answer: Answer) {
        if !std::mem::replace(&mut self.done, true) {
            self.in_flight.fetch_sub(1, Ordering::Relaxed);
            // The receiver is gone only when the connection is; there is nobody left to tell.
            drop(self.answers.send(Response::Answer(self.number, Box::new(answer))));
        }
    }
}

impl Drop for Replier {
    fn drop(&mut self) {
        self.send(Answer::Unavailable);
    }
}

/// Serves one upgraded connection until the peer closes it, or until it is drained: on `draining` the
/// peer is told to send nothing new, and the connection ends when all in flight is answered.
///
/// At most `in_flight_max` calls are taken at once; more are answered `Overloaded`.
pub async fn accept<IO>(
    io: IO,
    handler: Arc<dyn Handler>,
    in_flight_max: usize,
    draining: watch::Receiver<bool>,
) -> Result<(), FrameError>
where
    IO: AsyncRead + AsyncWrite + Send + 'static,
{
    let (reader, writer) = tokio::io::split(io);
    let (answers, outgoing) = mpsc::unbounded_channel();
    let in_flight = Arc::new(AtomicUsize::new(0));
    let taking = take_calls(reader, handler, in_flight_max, answers, in_flight.clone());
    let writing = write_answers(writer, outgoing, in_flight, draining);
    tokio::select! {
        taken = taking => taken,
        () = writing => Ok(()),
    }
}

async fn take_calls(
    mut reader: impl AsyncRead + Unpin,
    handler: Arc<dyn Handler>,
    in_flight_max: usize,
    answers: mpsc::UnboundedSender<Response>,
    in_flight: Arc<AtomicUsize>,
) -> Result<(), FrameError> {
    let mut buffer = BytesMut::with_capacity(64 * 1024);
    loop {
        buffer.reserve(16 * 1024);
        // A broken connection ends the same way as a closed one: the peer finds out what happened.
        match tokio::time::timeout(SILENCE_MAX, reader.read_buf(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) | Err(_) => return Ok(()),
            Ok(Ok(_)) => {}
        }
        while let Some(request) = frame::decode::<Request>(&mut buffer)? {
            match request {
                Request::Ping => drop(answers.send(Response::Pong)),
                Request::Call(number, call) => {
                    let waiting = in_flight.fetch_add(1, Ordering::Relaxed);
                    let (answers, in_flight) = (answers.clone(), in_flight.clone());
                    let replier = Replier { number, answers, in_flight, done: false };
                    match waiting < in_flight_max {
                        true => handler.handle(*call, replier),
                        false => replier.reply(Answer::Overloaded { retry_after_ms: 1_000 }),
                    }
                }
            }
        }
    }
}

/// An answer that does not fit a frame is its caller's trouble alone: the link goes on.
fn write_or_excuse(response: &Response, buffer: &mut BytesMut) -> Result<(), FrameError> {
    let Err(error) = frame::encode(response, buffer) else {
        return Ok(());
    };
    tracing::error!(error = &error as &dyn std::error::Error, "an answer was not encoded");
    match response {
        Response::Answer(number, _) => frame::encode(&Response::Answer(*number, Box::new(Answer::Internal)), buffer),
        Response::Pong | Response::GoAway => Err(error),
    }
}

async fn write_answers(
    mut writer: impl AsyncWrite + Unpin,
    mut outgoing: mpsc::UnboundedReceiver<Response>,
    in_flight: Arc<AtomicUsize>,
    mut draining: watch::Receiver<bool>,
) {
    let (mut batch, mut buffer) = (Vec::with_capacity(256), BytesMut::with_capacity(64 * 1024));
    let mut told = false;
    loop {
        let draining_now = *draining.borrow_and_update();
        if draining_now && !told {
            told = true;
            batch.push(Response::GoAway);
        } else if told && in_flight.load(Ordering::Relaxed) == 0 && outgoing.is_empty() {
            return;
        } else {
            tokio::select! {
                received = outgoing.recv_many(&mut batch, 256) => if received == 0 { return },
                changed = draining.changed(), if !told => if changed.is_err() { told = true },
            }
        }
        for response in batch.drain(..) {
            if write_or_excuse(&response, &mut buffer).is_err() {
                return;
            }
        }
        if writer.write_all(&buffer).await.is_err() {
            return;
        }
        buffer.clear();
    }
}

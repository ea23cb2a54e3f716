//! Serving HTTP/1.1 and HTTP/2 on one listener, with a bound on whatever a client can make us hold,
//! and an end that lets requests in flight finish.

mod activity;
mod answer;
mod connection;
mod refuse;
mod room;
mod stream;
mod unread;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::service::Service;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};

use crate::config::ServeConfig;
use crate::in_flight::InFlight;
use crate::shutdown::Shutdown;
use connection::Protocols;
use refuse::Refusals;
use room::Room;
pub use stream::ClientStream;
use unread::Unread;

/// Connections that the kernel holds ready while we are busy.
const BACKLOG: i32 = 1024;

/// The pause after the system refused us a connection (no file descriptors left), lest we spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What an error of a service or a body must turn into.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Listens on the configured address.
///
/// # Errors
/// The address is taken or not ours.
pub fn bind(config: &ServeConfig) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(config.bind), Type::STREAM, Some(Protocol::TCP))?;
    // A restarted process must not wait for the connections of the former one to be forgotten.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(config.reuse_port)?;
    socket.set_nonblocking(true)?;
    socket.bind(&config.bind.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Serves `service`, cloned for each connection, until `shutdown`, and then drains: no more connections
/// are taken, requests in flight finish, and what is left after `drain_timeout` is dropped.
///
/// HTTP/2 is told by its preface (prior knowledge). HTTP/1.1 upgrades work; an upgraded connection
/// belongs to the service, is not waited for by the drain, and counts among `connections_max` until it
/// is dropped. Its `Upgraded` holds a `TokioIo<ClientStream>`.
pub async fn serve<S, B>(
    listener: TcpListener,
    service: S,
    config: &ServeConfig,
    shutdown: Shutdown,
    drain_timeout: Duration,
) where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<BoxError>,
{
    let protocols = Arc::new(Protocols::new(config));
    let open = InFlight::new(config.connections_max);
    let mut room = Room::new(config.connections_max);
    let unread = Arc::<Unread>::default();
    let mut refusals = Refusals::new();
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            stream = accept(&listener) => {
                room.make(open.count());
                match open.enter() {
                    Some(place) => {
                        let stream = ClientStream::new(stream, place, Arc::clone(&unread));
                        let activity = stream.activity();
                        let protocols = Arc::clone(&protocols);
                        let task = tasks.spawn(protocols.serve(stream, service.clone(), shutdown.clone()));
                        room.note(task, &activity);
                    }
                    None => refusals.refuse(stream, &mut tasks),
                }
            },
            Some(ended) = tasks.join_next() => log_panic(ended),
            () = unread.too_much() => room.relieve(),
            () = shutdown.triggered() => break,
        }
    }
    drop(listener);
    drain(tasks, drain_timeout).await;
}

/// The next connection. The system's refusals are waited out, for they pass (`EMFILE`, `ECONNABORTED`).
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await.and_then(|(stream, _)| {
            // Answers are written in one go; waiting to fill a packet would only delay them.
            stream.set_nodelay(true)?;
            Ok(stream)
        }) {
            Ok(stream) => return stream,
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn drain(mut tasks: JoinSet<()>, timeout: Duration) {
    let finish = async {
        while let Some(ended) = tasks.join_next().await {
            log_panic(ended);
        }
    };
    if tokio::time::timeout(timeout, finish).await.is_err() {
        tracing::warn!(connections = tasks.len(), "dropping what did not finish in time");
        tasks.shutdown().await;
    }
}

/// A defect in one connection's task must not end the others, but must be seen.
fn log_panic(ended: Result<(), JoinError>) {
    let panicked = ended.err().filter(JoinError::is_panic);
    if let Some(error) = panicked.map(|error| error.to_string()) {
        tracing::error!(error, "a connection's task broke off");
    }
}

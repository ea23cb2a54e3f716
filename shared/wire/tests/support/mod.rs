//! A node whose calls are answered by the test.

#![allow(dead_code)]

use http::{Request, Response, StatusCode, header};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use wire::link::{self, Handler, PROTOCOL, Replier};
use wire::operation::Call;

/// Hands every call to the test.
struct Receiver(mpsc::UnboundedSender<(Call, Replier)>);

impl Handler for Receiver {
    fn handle(&self, call: Call, replier: Replier) {
        self.0.send((call, replier)).expect("the test listens");
    }
}

/// Somebody at the other end of a link.
pub struct Node {
    pub address: String,
    pub calls: mpsc::UnboundedReceiver<(Call, Replier)>,
    pub draining: watch::Sender<bool>,
    pub connections: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

/// A node that upgrades connections to links.
pub async fn node(in_flight_max: usize) -> Node {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("has an address").to_string();
    let (sender, calls) = mpsc::unbounded_channel();
    let handler: Arc<dyn Handler> = Arc::new(Receiver(sender));
    let (draining, watching) = watch::channel(false);
    let connections = Arc::new(Mutex::new(Vec::new()));
    let kept = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (handler, watching, kept) = (handler.clone(), watching.clone(), kept.clone());
            let inner = kept.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let (handler, watching) = (handler.clone(), watching.clone());
                let serving = tokio::spawn(async move {
                    let io = hyper::upgrade::on(request).await.expect("upgrades");
                    link::accept(TokioIo::new(io), handler, in_flight_max, watching)
                        .await
                        .expect("speaks the protocol");
                });
                inner.lock().expect("lock").push(serving);
                let upgrade = Response::builder()
                    .status(StatusCode::SWITCHING_PROTOCOLS)
                    .header(header::CONNECTION, "upgrade")
                    .header(header::UPGRADE, PROTOCOL)
                    .body(Empty::<bytes::Bytes>::new());
                async move { Ok::<_, Infallible>(upgrade.expect("is valid")) }
            });
            let serving = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            tokio::spawn(async move { serving.await.expect("serves") });
        }
    });
    Node { address, calls, draining, connections }
}

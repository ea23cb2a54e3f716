//! One connection through a proxy.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::BytesMut;
use local_cluster::ProcessName;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::Targets;
use super::relay::{Framing, Relay};
use super::way::{Way, Ways};

/// The longest head of a request for a link.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// Takes connections to one process for as long as the runtime lives.
pub(super) async fn accept(server: ProcessName, listener: TcpListener, ways: Arc<Ways>, targets: Targets) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return eprintln!("no proxy for {server}: {error}"),
    };
    let turns = Arc::new(AtomicU32::new(0));
    loop {
        // Out of descriptors, say: the next one may do better.
        let Ok((client, _)) = listener.accept().await else { continue };
        let turn = turns.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(serve(server.clone(), client, turn, ways.clone(), targets.clone()));
    }
}

/// Passes on one connection until either side closes it. Whatever goes wrong with it is what a client must bear.
async fn serve(server: ProcessName, mut client: TcpStream, turn: u32, ways: Arc<Ways>, targets: Targets) {
    let mut begun = BytesMut::new();
    let (name, framing) = match &server {
        ProcessName::Postgres { shard, .. } => {
            (Some(ProcessName::ShardNode { shard: *shard, replica: 0 }), Framing::Bytes)
        }
        ProcessName::Redis { region } => {
            (Some(ProcessName::Router { region: region.clone(), replica: 0 }), Framing::Bytes)
        }
        ProcessName::ShardNode { .. } | ProcessName::Router { .. } => {
            (caller(&mut client, &mut begun).await, Framing::LinkHead)
        }
    };
    let Some(name) = name else { return };
    let passage = |way| ways.passage(way);
    let (requests, answers) = (passage(Way::requests(&name, &server)), passage(Way::answers(&name, &server)));
    // A packet that asks for a connection is lost like any other.
    let open = requests.manner.subscribe().wait_for(|manner| !manner.is_blocked).await.is_ok();
    let Some(target) = targets.get().and_then(|targets| targets.get(&server)).filter(|_| open) else { return };
    let Ok(behind) = TcpStream::connect(target).await else { return };
    if client.set_nodelay(true).and(behind.set_nodelay(true)).is_err() {
        return;
    }
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), behind.into_split());
    // Connections to be cut end within a request and within an answer in turn.
    let cut_requests = turn.is_multiple_of(2);
    let there = Relay::new(from_client, to_server, requests, framing, cut_requests);
    let back = Relay::new(from_server, to_client, answers, framing, !cut_requests);
    tokio::select! {
        () = there.run(begun) => {}
        () = back.run(BytesMut::new()) => {}
    }
}

/// Reads the head of a request for a link, up to where it names who asks.
async fn caller(client: &mut TcpStream, head: &mut BytesMut) -> Option<ProcessName> {
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        if head.len() > HEAD_BYTES_MAX || client.read_buf(head).await.ok()? == 0 {
            return None;
        }
    }
    named_in(std::str::from_utf8(head).ok()?)
}

/// The process that a `User-Agent` such as `wallet-shard-node/0.1.0 (shard-1.0)` names.
fn named_in(head: &str) -> Option<ProcessName> {
    let agent = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("user-agent").then_some(value)
    })?;
    let (_, comment) = agent.split_once('(')?;
    let (name, _) = comment.split_once(')')?;
    match name.strip_prefix("shard-") {
        Some(node) => {
            let (shard, replica) = node.split_once('.')?;
            Some(ProcessName::ShardNode { shard: shard.parse().ok()?, replica: replica.parse().ok()? })
        }
        None => Some(ProcessName::Router { region: name.strip_prefix("router-")?.to_owned(), replica: 0 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caller_is_named_by_its_user_agent() {
        let name = |agent: &str| named_in(&format!("GET / HTTP/1.1\r\nhost: x\r\nuser-agent: {agent}\r\n\r\n"));
        assert_eq!(name("wallet-shard-node/0.1.0 (shard-2.0)"), "shard-node-2".parse().ok());
        assert_eq!(name("wallet-router/0.1.0 (router-eu)"), "router-eu".parse().ok());
        assert_eq!(name("curl/8"), None);
        assert_eq!(named_in("GET / HTTP/1.1\r\n\r\n"), None);
    }
}

//! The link over real sockets.

mod support;

use bytes::BytesMut;
use std::time::Duration;
use support::{Node, node};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use wire::answer::Answer;
use wire::link::{self, CallError, Link, frame};
use wire::operation::{Call, CallContext, Operation, Read};
use wire::trace::TraceContext;

fn call(remaining_ms: u32) -> Call {
    let context = CallContext { request_id: 7, trace: TraceContext::begin(1, 2), remaining_ms };
    Call { context, operation: Operation::Read(Read::Map { known_version: 0, wait_ms: 0 }) }
}

async fn open(node: &Node) -> Link {
    let link = Link::open(node.address.clone(), "secret", "test/1 (test)");
    link.up().await;
    link
}

/// A way to the node on which every frame that matters arrives twice, in both directions.
async fn doubling(node: &Node) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let (address, behind) = (listener.local_addr().expect("has an address").to_string(), node.address.clone());
    tokio::spawn(async move {
        let (client, _) = listener.accept().await.expect("accepts");
        let server = TcpStream::connect(behind).await.expect("connects");
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        tokio::spawn(double(from_client, to_server));
        double(from_server, to_client).await;
    });
    address
}

/// Passes on the head of a request or answer as it is, and then each frame, twice if it matters.
async fn double(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let (mut buffer, mut in_head) = (BytesMut::new(), true);
    while from.read_buf(&mut buffer).await.is_ok_and(|read| read > 0) {
        if in_head {
            let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            to.write_all(&buffer.split_to(end + 4)).await.expect("writes");
            in_head = false;
        }
        while let Some(length) = frame::next(&buffer).expect("frames") {
            let frame = buffer.split_to(length);
            for _ in 0..if frame::matters(&frame) { 2 } else { 1 } {
                to.write_all(&frame).await.expect("writes");
            }
        }
    }
}

#[tokio::test]
async fn what_arrives_twice_answers_no_other_call() {
    let mut node = node(100).await;
    let link = Link::open(doubling(&node).await, "secret", "test/1 (test)");
    link.up().await;
    for number in 0..50 {
        let called = tokio::spawn({
            let link = link.clone();
            async move { link.call(call(5_000)).await }
        });
        // Both are answered, each answer arrives twice, and the next call is on its way before the last of the four.
        for _ in 0..2 {
            let (_, replier) = node.calls.recv().await.expect("arrives");
            replier.reply(Answer::Overloaded { retry_after_ms: number });
        }
        assert_eq!(called.await.expect("runs"), Ok(Answer::Overloaded { retry_after_ms: number }));
    }
    assert!(link.is_up());
}

#[tokio::test]
async fn answers_reach_their_callers_in_any_order() {
    let mut node = node(100).await;
    let link = open(&node).await;
    let calls: Vec<_> = (0..3)
        .map(|_| {
            tokio::spawn({
                let link = link.clone();
                async move { link.call(call(5_000)).await }
            })
        })
        .collect();
    let mut received = Vec::new();
    for _ in 0..3 {
        received.push(node.calls.recv().await.expect("arrives").1);
    }
    for (wait, replier) in received.into_iter().enumerate().rev() {
        replier.reply(Answer::Overloaded { retry_after_ms: u32::try_from(wait).expect("small") });
    }
    for (wait, called) in calls.into_iter().enumerate() {
        let retry_after_ms = u32::try_from(wait).expect("small");
        assert_eq!(called.await.expect("runs"), Ok(Answer::Overloaded { retry_after_ms }));
    }
}

#[tokio::test]
async fn a_forgotten_call_is_answered_unavailable() {
    let mut node = node(100).await;
    let link = open(&node).await;
    let called = tokio::spawn(async move { link.call(call(5_000)).await });
    drop(node.calls.recv().await.expect("arrives"));
    assert_eq!(called.await.expect("runs"), Ok(Answer::Unavailable));
}

#[tokio::test]
async fn calls_over_the_limit_are_overloaded_at_once() {
    let mut node = node(1).await;
    let link = open(&node).await;
    let first = tokio::spawn({
        let link = link.clone();
        async move { link.call(call(5_000)).await }
    });
    let (_, held) = node.calls.recv().await.expect("arrives");
    assert!(matches!(link.call(call(5_000)).await, Ok(Answer::Overloaded { .. })));
    held.reply(Answer::NotFound);
    assert_eq!(first.await.expect("runs"), Ok(Answer::NotFound));
}

#[tokio::test]
async fn a_broken_connection_leaves_the_outcome_unknown() {
    let mut node = node(100).await;
    let link = open(&node).await;
    let called = tokio::spawn(async move { link.call(call(5_000)).await });
    let _held = node.calls.recv().await.expect("arrives");
    for serving in node.connections.lock().expect("lock").drain(..) {
        serving.abort();
    }
    assert_eq!(called.await.expect("runs"), Err(CallError::Unknown));
}

#[tokio::test]
async fn a_call_whose_time_is_up_is_unknown() {
    let mut node = node(100).await;
    let link = open(&node).await;
    let called = tokio::spawn(async move { link.call(call(20)).await });
    let _held = node.calls.recv().await.expect("arrives");
    assert_eq!(called.await.expect("runs"), Err(CallError::Unknown));
}

#[tokio::test]
async fn nothing_is_sent_to_a_node_that_is_not_there() {
    let nowhere = { TcpListener::bind("127.0.0.1:0").await.expect("binds").local_addr().expect("has an address") };
    let link = Link::open(nowhere.to_string(), "secret", "test/1 (test)");
    assert_eq!(link.call(call(5_000)).await, Err(CallError::NotApplied));
}

#[tokio::test]
async fn a_draining_node_answers_what_it_has_and_gets_nothing_new() {
    let mut node = node(100).await;
    let link = open(&node).await;
    let first = tokio::spawn({
        let link = link.clone();
        async move { link.call(call(5_000)).await }
    });
    let (_, held) = node.calls.recv().await.expect("arrives");
    node.draining.send_replace(true);
    while link.is_up() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(link.call(call(5_000)).await, Err(CallError::NotApplied));
    held.reply(Answer::NotFound);
    assert_eq!(first.await.expect("runs"), Ok(Answer::NotFound));
}

#[tokio::test]
async fn an_answer_too_long_for_a_frame_is_its_callers_trouble_alone() {
    let mut node = node(100).await;
    let link = open(&node).await;
    let call_once = || {
        let link = link.clone();
        tokio::spawn(async move { link.call(call(5_000)).await })
    };
    let (long, other) = (call_once(), call_once());
    let (_, first) = node.calls.recv().await.expect("arrives");
    let (_, second) = node.calls.recv().await.expect("arrives");
    first.reply(Answer::Invalid("x".repeat(link::FRAME_BYTES_MAX)));
    second.reply(Answer::NotFound);
    assert_eq!(long.await.expect("runs"), Ok(Answer::Internal));
    assert_eq!(other.await.expect("runs"), Ok(Answer::NotFound), "the link goes on");
}

//! A link: one TCP connection that carries many calls at once.
//!
//! `GET /internal/v1/link` with `Upgrade: wallet-link/2` turns an HTTP/1.1 connection (RFC 9110, section
//! 7.8) into two streams of frames: calls one way, answers the other, in any order, matched by number.
//! A frame is a little-endian `u32` length and that many bytes of postcard. Whatever is waiting when
//! the socket is free goes out in one write, so frames are batched exactly when there is load.
//!
//! Compared with one HTTP request per batch, a call that takes long (a saga between regions) holds up
//! nothing, and there is no limit of batches in flight to choose.

mod client;
pub mod frame;
mod server;

pub use client::{CallError, Link};
pub use frame::{FRAME_BYTES_MAX, FrameError};
pub use server::{Handler, Replier, accept};

/// The path that is upgraded.
pub const PATH: &str = "/internal/v1/link";
/// The protocol and its version; a node that speaks another one answers 426.
pub const PROTOCOL: &str = "wallet-link/2";

use serde::{Deserialize, Serialize};

/// From the calling side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Request {
    Call(u32, Box<crate::operation::Call>),
    Ping,
}

/// From the answering side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Response {
    Answer(u32, Box<crate::answer::Answer>),
    Pong,
    /// Send nothing new: this node is draining. What is in flight will be answered.
    GoAway,
}

//! The client's TCP stream, which notes when bytes come and when the client does not take ours.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::activity::Activity;
use super::unread::Unread;
use crate::in_flight::Place;

/// A client's connection: a `TcpStream` that holds its place among the open connections.
///
/// A service gets it by downcasting an `Upgraded` to `TokioIo<ClientStream>`.
#[derive(Debug)]
pub struct ClientStream {
    tcp: TcpStream,
    activity: Arc<Activity>,
    /// HTTP/2 pings come and go on an idle connection, so bytes say nothing about requests there.
    notes_bytes: bool,
    _place: Place,
}

impl ClientStream {
    pub(super) fn new(tcp: TcpStream, place: Place, unread: Arc<Unread>) -> Self {
        Self { tcp, activity: Arc::new(Activity::new(unread)), notes_bytes: true, _place: place }
    }

    /// From here on, bytes do not tell requests apart: the connection speaks HTTP/2.
    pub(super) fn carry_http2(&mut self) {
        self.notes_bytes = false;
    }

    pub(super) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    fn note_write(&self, blocked: bool) {
        if blocked {
            self.activity.write_blocked();
        } else {
            self.activity.write_went_on(self.notes_bytes);
        }
    }

    pub(super) fn activity(&self) -> Arc<Activity> {
        Arc::clone(&self.activity)
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let filled = buffer.filled().len();
        let polled = Pin::new(&mut this.tcp).poll_read(context, buffer);
        if this.notes_bytes && buffer.filled().len() > filled {
            this.activity.bytes_came();
        }
        polled
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.tcp).poll_write(context, bytes);
        this.note_write(polled.is_pending());
        polled
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.tcp).poll_write_vectored(context, slices);
        this.note_write(polled.is_pending());
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(context)
    }
}

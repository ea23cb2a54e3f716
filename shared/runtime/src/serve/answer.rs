//! One request, from its head until the client has taken the answer.

use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use hyper::body::{Body, Frame, SizeHint};

use super::activity::Activity;
use super::unread::Part;

/// hyper gets so much of a body at a time. For HTTP/1 it copies what it gets into a buffer that never shrinks; and a
/// client that takes a long answer slowly has its time for each of these.
const PIECE_BYTES: usize = 16_384;

/// Somebody owes something: we an answer, or the client to take it. Dropped when that is done, or the client has left.
pub(super) struct Owed {
    activity: Arc<Activity>,
    /// What the client owes; `None` while we do.
    part: Option<Part>,
}

impl Owed {
    /// A request's head is complete.
    pub(super) fn by_us(activity: Arc<Activity>) -> Self {
        activity.request_began();
        Self { activity, part: None }
    }

    fn answered(&mut self, bytes: usize) {
        self.part = Some(self.activity.answered(bytes));
    }

    /// Takes so many bytes out. For the rest the client has its time anew.
    fn split(&mut self, bytes: usize) -> Self {
        let rest = self.part.take().map_or(0, |part| {
            self.activity.taken(&part);
            part.bytes.saturating_sub(bytes)
        });
        self.part = Some(self.activity.waits(rest));
        Self { activity: Arc::clone(&self.activity), part: Some(self.activity.waits(bytes)) }
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        match &self.part {
            Some(part) => self.activity.taken(part),
            None => self.activity.request_ended(),
        }
    }
}

/// The body of an answer, in pieces.
pub(super) struct Answer<B> {
    body: B,
    /// What of the body's last frame hyper did not get yet.
    rest: Bytes,
    /// Goes with the last piece.
    owed: Option<Owed>,
}

impl<B: Body> Answer<B> {
    /// The request is answered.
    pub(super) fn new(body: B, mut owed: Owed) -> Self {
        // A body that is in memory has a length that fits.
        owed.answered(usize::try_from(body.size_hint().lower()).unwrap_or_default());
        Self { body, rest: Bytes::new(), owed: Some(owed) }
    }

    fn is_over(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn next_piece(&mut self) -> Piece {
        let bytes = self.rest.split_to(self.rest.len().min(PIECE_BYTES));
        let owed =
            if self.is_over() { self.owed.take() } else { self.owed.as_mut().map(|owed| owed.split(bytes.len())) };
        Piece { bytes, _owed: owed }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Answer<B> {
    type Data = Piece;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.get_mut();
        if !this.rest.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(this.next_piece()))));
        }
        let frame = ready!(Pin::new(&mut this.body).poll_frame(context));
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| {
                frame.map_data(|data| {
                    this.rest = data;
                    this.next_piece()
                })
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        let (body, rest) = (self.body.size_hint(), u64::try_from(self.rest.len()).unwrap_or(u64::MAX));
        let mut both = SizeHint::new();
        if let Some(upper) = body.upper() {
            both.set_upper(upper + rest);
        }
        both.set_lower(body.lower() + rest);
        both
    }
}

/// Bytes that hyper drops once they are written.
pub(super) struct Piece {
    bytes: Bytes,
    _owed: Option<Owed>,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.bytes.chunks_vectored(slices)
    }
}

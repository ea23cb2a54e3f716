//! One direction of one connection.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use wire::link::frame;

use super::way::{Manner, Passage};

/// Pieces that may be delayed at once; then no more is read, as when the buffers of a network are full.
const DELAYED_MAX: usize = 10_000;
const READ_BYTES: usize = 64 * 1024;

/// PostgreSQL's `CommandComplete` of a commit.
const COMMITTED: &[u8] = b"C\0\0\0\x0bCOMMIT\0";

/// What is known of the bytes that pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// The head of HTTP before a link's frames.
    LinkHead,
    /// A link's frames.
    Link,
    /// Nothing: whatever comes at once is taken for a message.
    Bytes,
}

/// Carries bytes from one socket to another, in the manner of its way.
pub(super) struct Relay {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    passage: Arc<Passage>,
    changes: watch::Receiver<Manner>,
    manner: Manner,
    framing: Framing,
    /// Whether it is this direction in which the connection ends, if it is to end within a message.
    is_cut_here: bool,
    /// Messages so far that matter, and commits among them.
    messages: u32,
    commits: u32,
    delayed: VecDeque<(Instant, Bytes)>,
}

/// The connection is to end: closed, broken or cut.
struct Ended;

impl From<io::Error> for Ended {
    fn from(_: io::Error) -> Self {
        Self
    }
}

impl Relay {
    pub(super) fn new(
        from: OwnedReadHalf,
        to: OwnedWriteHalf,
        passage: Arc<Passage>,
        framing: Framing,
        is_cut_here: bool,
    ) -> Self {
        let mut changes = passage.manner.subscribe();
        let manner = *changes.borrow_and_update();
        let delayed = VecDeque::new();
        Self { from, to, passage, changes, manner, framing, is_cut_here, messages: 0, commits: 0, delayed }
    }

    /// Carries on until the connection ends. `read` has come already.
    pub(super) async fn run(mut self, read: BytesMut) {
        // Either socket is closed in the end, whatever the reason.
        let Err(Ended) = self.carry(read).await;
    }

    async fn carry(&mut self, mut buffer: BytesMut) -> Result<std::convert::Infallible, Ended> {
        let (cuts, mut is_closed) = (self.manner.cuts, false);
        loop {
            if !self.manner.is_blocked {
                self.take(&mut buffer).await?;
                self.write_due().await?;
                if is_closed && self.delayed.is_empty() {
                    return Err(Ended);
                }
            }
            let may_read = !self.manner.is_blocked && !is_closed && self.delayed.len() < DELAYED_MAX;
            let due = self.next_due().filter(|_| !self.manner.is_blocked);
            buffer.reserve(READ_BYTES);
            tokio::select! {
                biased;
                changed = self.changes.changed() => {
                    changed.map_err(|_| Ended)?;
                    self.manner = *self.changes.borrow_and_update();
                    if self.manner.cuts != cuts {
                        return Err(Ended);
                    }
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                read = self.from.read_buf(&mut buffer), if may_read => is_closed = read.unwrap_or(0) == 0,
            }
        }
    }

    /// Takes what is complete off the front of the buffer and lets it pass.
    async fn take(&mut self, buffer: &mut BytesMut) -> Result<(), Ended> {
        if self.framing == Framing::LinkHead {
            let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(()) };
            self.pass(buffer.split_to(end + 4).freeze()).await?;
            self.framing = Framing::Link;
        }
        match self.framing {
            Framing::Link if self.manner.spares_messages() => {
                let whole = frame::whole(buffer).map_err(|_| Ended)?;
                self.pass(buffer.split_to(whole).freeze()).await
            }
            Framing::Link => {
                while let Some(length) = frame::next(buffer).map_err(|_| Ended)? {
                    self.pass_message(buffer.split_to(length).freeze()).await?;
                }
                Ok(())
            }
            Framing::Bytes | Framing::LinkHead if buffer.is_empty() => Ok(()),
            Framing::Bytes | Framing::LinkHead => self.pass_bytes(buffer.split().freeze()).await,
        }
    }

    /// Lets one frame pass: not at all, once, twice, once more later, or half.
    async fn pass_message(&mut self, message: Bytes) -> Result<(), Ended> {
        if !frame::matters(&message) {
            return self.pass(message).await;
        }
        self.messages = self.messages.wrapping_add(1);
        let is_turn = |every: Option<u32>| every.is_some_and(|every| self.messages.is_multiple_of(every.max(1)));
        let (dropped, doubled) = (is_turn(self.manner.drop_every), is_turn(self.manner.duplicate_every));
        let replayed = self.manner.replay.filter(|replay| is_turn(Some(replay.every)));
        if self.is_cut_here && self.manner.cut_within.is_some_and(|at| self.messages >= at) {
            return self.cut_within(&message, message.len() / 2).await;
        }
        if dropped || doubled || replayed.is_some() {
            self.passage.hit();
        }
        if dropped {
            return Ok(());
        }
        if let Some(replay) = replayed {
            // Under a number of its own: what comes from an older connection must answer no call of this one.
            let again = frame::renumbered(&message, u32::MAX - self.messages);
            let due = Instant::now() + replay.after;
            again.into_iter().for_each(|again| self.passage.again().push_back((due, again)));
        }
        if doubled {
            self.pass(message.clone()).await?;
        }
        self.pass(message).await
    }

    async fn pass_bytes(&mut self, bytes: Bytes) -> Result<(), Ended> {
        self.messages = self.messages.wrapping_add(1);
        if let Some(at) = self.manner.cut_within_commit {
            for (commit, _) in bytes.windows(COMMITTED.len()).enumerate().filter(|(_, window)| *window == COMMITTED) {
                self.commits = self.commits.wrapping_add(1);
                if self.commits >= at {
                    return self.cut_within(&bytes, commit + COMMITTED.len() / 2).await;
                }
            }
        }
        if self.is_cut_here && self.manner.cut_within.is_some_and(|at| self.messages >= at) {
            return self.cut_within(&bytes, bytes.len() / 2).await;
        }
        self.pass(bytes).await
    }

    async fn cut_within(&mut self, message: &Bytes, length: usize) -> Result<(), Ended> {
        self.passage.hit();
        self.to.write_all(&message[..length]).await?;
        Err(Ended)
    }

    async fn pass(&mut self, bytes: Bytes) -> Result<(), Ended> {
        if bytes.is_empty() {
            return Ok(());
        }
        if self.manner.delay.is_zero() && self.delayed.is_empty() {
            return Ok(self.to.write_all(&bytes).await?);
        }
        self.passage.hit();
        self.delayed.push_back((Instant::now() + self.manner.delay, bytes));
        Ok(())
    }

    /// When something is to be written that is not read first.
    fn next_due(&self) -> Option<Instant> {
        let delayed = self.delayed.front().map(|(due, _)| *due);
        let again =
            if self.framing == Framing::Link { self.passage.again().front().map(|(due, _)| *due) } else { None };
        [delayed, again].into_iter().flatten().min()
    }

    async fn write_due(&mut self) -> Result<(), Ended> {
        let now = Instant::now();
        // A delay that was taken back keeps nothing waiting.
        while let Some((_, bytes)) = self.delayed.pop_front_if(|(due, _)| *due <= now || self.manner.delay.is_zero()) {
            self.to.write_all(&bytes).await?;
        }
        if self.framing != Framing::Link {
            return Ok(());
        }
        loop {
            let again = self.passage.again().pop_front_if(|(due, _)| *due <= now);
            let Some((_, message)) = again else { return Ok(()) };
            self.pass(message).await?;
        }
    }
}

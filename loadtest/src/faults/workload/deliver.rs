//! Sending a request, and sending it again until it is decided.

use std::time::Duration;

use anyhow::Result;

use crate::client::{Call, Client};
use crate::faults::history::{Answer, Attempt, How, Loss, RequestId};
use crate::faults::world::World;

/// A connection to one router that is made anew after the router was struck.
pub struct Line {
    client: Client,
    router: usize,
    life: u32,
    wait: Duration,
}

impl Line {
    /// A line on which every answer is waited for this long.
    pub fn new(world: &World, router: usize, wait: Duration) -> Self {
        Self { client: world.connect(router, wait), router, life: world.lives[router].get(), wait }
    }

    /// The client, without a connection of before the router's last misfortune: that one would break, and say nothing
    /// of the router.
    pub fn fresh(&mut self, world: &World) -> &mut Client {
        let life = world.lives[self.router].get();
        if self.life != life {
            *self = Self::new(world, self.router, self.wait);
        }
        &mut self.client
    }

    /// Forgets the connection.
    pub fn hang_up(&mut self, world: &World) {
        *self = Self::new(world, self.router, self.wait);
    }

    /// Its router, as a place.
    pub fn router(&self) -> usize {
        self.router
    }
}

/// Sends a call once and notes what came of it.
pub async fn attempt(
    world: &World,
    line: &mut Line,
    id: RequestId,
    how: How,
    call: &Call,
    hang_up_ms: Option<u64>,
) -> Answer {
    let kind = match how {
        How::Asked => world.kind(world.history.borrow().get(id).want),
        How::Altered => "altered repeat",
        How::Looked => "read of a transfer",
    };
    let router = u8::try_from(line.router()).unwrap_or(u8::MAX);
    let sent = world.clock.now();
    let client = line.fresh(world);
    let reply = match hang_up_ms {
        None => Some(client.send(call).await),
        Some(limit_ms) => tokio::time::timeout(Duration::from_millis(limit_ms), client.send(call)).await.ok(),
    };
    if reply.is_none() {
        line.hang_up(world);
    }
    let answer = reply.as_ref().map_or(Answer::Lost(Loss::HungUp), Answer::of);
    let is_replay = matches!(&reply, Some(Ok(reply)) if reply.is_replay);
    let attempt = Attempt { how, router, sent, answered: world.clock.now(), answer, is_replay };
    world.history.borrow_mut().record(id, kind, attempt);
    answer
}

/// Sends a request with its key once more.
///
/// # Errors
/// The call cannot be written.
pub async fn ask(world: &World, line: &mut Line, id: RequestId) -> Result<Option<Answer>> {
    let Some(call) = world.call(id)? else { return Ok(None) };
    Ok(Some(attempt(world, line, id, How::Asked, &call, None).await))
}

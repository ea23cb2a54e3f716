//! Sends a request until its outcome is known.

use std::time::Duration;

use tokio::time::Instant;

use crate::api;
use crate::client::{Call, Client, Reply};

const BACKOFF_MIN: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Sends `call`, again and again with the same key, until an answer decides what became of it. Each answer or failure
/// that does not is told to `on_failure` by its code. `None`: `give_up` came first, so the outcome is unknown.
///
/// This is what the contract asks of a client: a timeout, a broken connection and a 5xx say nothing.
pub async fn send(
    client: &mut Client,
    call: &Call,
    give_up: Instant,
    mut on_failure: impl FnMut(&str),
) -> Option<Reply> {
    let mut pause = BACKOFF_MIN;
    loop {
        match client.send(call).await {
            Ok(reply) if !api::is_open(&reply) => return Some(reply),
            Ok(reply) => on_failure(&api::code(&reply)),
            Err(failure) => on_failure(failure.code()),
        }
        if Instant::now() + pause >= give_up {
            return None;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(BACKOFF_MAX);
    }
}

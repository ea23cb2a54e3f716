//! Mistakes of the edge.

use crate::app::App;
use ledger::{Command, KeyHash};
use runtime::bug;
use std::time::Duration;
use wire::directory::Routed;
use wire::link::CallError;
use wire::operation::{CallContext, Operation};

/// Longer than any request may take.
const NO_DEADLINE: Duration = Duration::from_secs(60);
/// What one more attempt gets, in milliseconds.
const ONCE_MORE_MS: u32 = 1_000;

/// How long a shard is waited for.
pub fn patience(time: Duration) -> Duration {
    if bug!("bug::no_deadline") { NO_DEADLINE } else { time }
}

/// Sends a command once more whose outcome is unknown, under a key that nobody has used.
pub async fn retry_with_fresh_key(
    app: &App,
    context: CallContext,
    mut operation: Operation,
    routed: Result<Routed, CallError>,
) -> Result<Routed, CallError> {
    let Operation::Command { command, .. } = &mut operation else { return routed };
    let key = match command {
        Command::Transfer(transfer) => &mut transfer.key,
        Command::Reserve(reserve) => &mut reserve.transfer.key,
        _ => return routed,
    };
    match routed {
        Err(CallError::Unknown) if bug!("bug::retry_with_fresh_key") => {
            key.hash = KeyHash(rand::random());
            app.directory.call(CallContext { remaining_ms: ONCE_MORE_MS, ..context }, operation).await
        }
        routed => routed,
    }
}

/// What a key's hash begins with beside what belongs there: something that each process has for itself.
pub fn salt() -> Option<u32> {
    bug!("bug::key_hash_of_each_router").then(std::process::id)
}

//! Answers about two-step transfers that a batch could not give: they lie in the rows of terminal transfers.

use crate::lane::Origin;
use crate::node::{Node, TOO_MANY_READS};
use crate::store::{QUESTION_MAX, reading};
use ledger::{Command, Rejection, Transfer, TransferState, UserId};
use placement::TransferId;
use std::sync::Arc;
use wire::answer::Answer;

/// The first answer to a reserve, again.
pub fn answer_as_reserved(node: &Arc<Node>, origin: Origin, id: TransferId, replayed: bool) {
    answer_from_row(node, origin, id, move |transfer| Answer::Transfer { transfer: transfer.as_reserved(), replayed });
}

/// What has become of a transfer that could not be committed or released, because it is not held any more.
pub fn answer_not_reserved(node: &Arc<Node>, origin: Origin, id: TransferId, command: &Command) {
    let (caller, is_release) = match command {
        Command::Commit(commit) => (Some(commit.caller.clone()), false),
        Command::Release(release) => (Some(release.caller.clone()), true),
        _ => (None, false),
    };
    answer_from_row(node, origin, id, move |transfer| not_reserved(transfer, caller.as_ref(), is_release));
}

fn not_reserved(transfer: Transfer, caller: Option<&UserId>, is_release: bool) -> Answer {
    let is_released = transfer.state == TransferState::Released && transfer.reason == Some(Rejection::ReleasedByClient);
    match transfer.debit_user_id.as_ref() {
        // Whoever gets the money sees the transfer, but has no say in it.
        holder if holder.is_none() || holder != caller => Answer::NotFound,
        // To release is idempotent by nature.
        _ if is_release && is_released => Answer::Transfer { transfer, replayed: true },
        _ => Answer::NotReserved(transfer),
    }
}

fn answer_from_row(
    node: &Arc<Node>,
    origin: Origin,
    id: TransferId,
    answer: impl FnOnce(Transfer) -> Answer + Send + 'static,
) {
    let Some(place) = node.read_place() else { return origin.reply(TOO_MANY_READS) };
    let node = node.clone();
    tokio::spawn(async move {
        let _place = place;
        let reading = node.pool.lend(QUESTION_MAX, async |client| reading::transfer(client, id, node.shard).await);
        origin.reply(match reading.await {
            Ok(found) => found.map_or(Answer::NotFound, answer),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, transfer_id = %id, "a transfer was not read");
                Answer::Unavailable
            }
        });
    });
}

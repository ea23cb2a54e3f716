//! From outcomes to answers, once the batch is committed.

use super::queue::Origin;
use crate::node::Node;
use crate::reads;
use crate::saga::follow;
use ledger::{Command, Decided, Outcome, Transfer};
use std::sync::Arc;
use wire::answer::Answer;

/// Answers one command. `is_rerun`: the batch was run again after a broken connection, so what looks like a
/// repeat may be its own first run.
pub fn finish(node: &Arc<Node>, origin: Origin, command: &Command, outcome: Outcome, is_rerun: bool) {
    let replayed = !is_rerun;
    match outcome {
        Outcome::Decided(decided) => finish_decided(node, origin, decided),
        Outcome::ReplayedTransfer(id) => {
            node.metrics.replays.with_label_values(&["transfer"]).inc();
            follow(node, origin, id, None, replayed);
        }
        Outcome::ReplayedAccount(id) => {
            node.metrics.replays.with_label_values(&["account"]).inc();
            reads::replayed_account(node, origin, id, replayed);
        }
        Outcome::ReplayedRejection { rejection, transfer_id } => {
            node.metrics.replays.with_label_values(&["rejection"]).inc();
            origin.reply(Answer::Rejected { rejection, transfer_id, replayed });
        }
        Outcome::NotFound => origin.reply(Answer::NotFound),
        Outcome::Moved(slot) => origin.reply(node.moved(command.region(), slot)),
        Outcome::AccountNotEmpty => origin.reply(Answer::AccountNotEmpty),
        Outcome::AccountIsClosed => origin.reply(Answer::AccountIsClosed),
        Outcome::Contradiction => {
            node.metrics.violations.with_label_values(&["atomicity"]).inc();
            tracing::error!(?command, "two decisions about one transfer, or a key without a result");
            origin.reply(Answer::Internal);
        }
    }
}

fn finish_decided(node: &Arc<Node>, origin: Origin, decided: Decided) {
    match decided {
        Decided::Transfer(transfer) => {
            count(node, &transfer);
            if transfer.state.is_terminal() {
                node.waiters.tell(&transfer);
                origin.reply(Answer::Transfer { transfer, replayed: false });
            } else {
                follow(node, origin, transfer.id, Some(transfer), false);
            }
        }
        Decided::Rejected { rejection, transfer_id } => {
            node.metrics.transfers.with_label_values(&["transfer", "rejected", rejection.code()]).inc();
            origin.reply(Answer::Rejected { rejection, transfer_id, replayed: false });
        }
        Decided::Account(account) => origin.reply(Answer::Account { account, replayed: false }),
        Decided::Decision(decision) => origin.reply(Answer::Decision { decision, shard: node.shard }),
        Decided::AlreadySettled => {}
    }
}

fn count(node: &Node, transfer: &Transfer) {
    let reason = transfer.reason.map_or("", ledger::Rejection::code);
    let labels = [transfer.kind.as_str(), transfer.state.as_str(), reason];
    node.metrics.transfers.with_label_values(&labels).inc();
}

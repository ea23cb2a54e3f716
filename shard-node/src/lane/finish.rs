//! From outcomes to answers, once the batch is committed.

use super::queue::Origin;
use crate::node::Node;
use crate::reads;
use crate::saga::{answer_as_reserved, answer_not_reserved, follow};
use ledger::{Command, Decided, Outcome, Transfer, TransferKind, TransferState};
use std::sync::Arc;
use wire::answer::Answer;

/// Answers one command.
pub fn finish(node: &Arc<Node>, origin: Origin, command: &Command, outcome: Outcome) {
    let replayed = !origin.decided_before;
    tracing::debug!(
        request_id = %uuid::Uuid::from_u128(origin.context.request_id),
        trace_id = %format_args!("{:032x}", origin.context.trace.trace_id),
        shard = %node.shard,
        slot = %command.slot(),
        ?outcome,
        "decided"
    );
    match outcome {
        Outcome::Decided(decided) => finish_decided(node, origin, command, decided),
        Outcome::ReplayedTransfer(id) => {
            node.metrics.replays.with_label_values(&["transfer"]).inc();
            match command {
                Command::Reserve(_) => answer_as_reserved(node, origin, id, replayed),
                _ => follow(node, origin, id, None, replayed),
            }
        }
        Outcome::NotReserved(id) => answer_not_reserved(node, origin, id, command),
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
        Outcome::Unresolved => origin.reply(Answer::Unavailable),
        Outcome::AccountNotEmpty => origin.reply(Answer::AccountNotEmpty),
        Outcome::AccountIsClosed => origin.reply(Answer::AccountIsClosed),
        Outcome::Contradiction => {
            node.metrics.violations.with_label_values(&["atomicity"]).inc();
            tracing::error!(?command, "two decisions about one transfer, or a key without a result");
            origin.reply(Answer::Internal);
        }
    }
}

fn finish_decided(node: &Arc<Node>, origin: Origin, command: &Command, decided: Decided) {
    match decided {
        Decided::Transfer(transfer) => {
            count(node, &transfer);
            match transfer.state {
                #[cfg(feature = "faults")]
                TransferState::Pending if runtime::bug!("bug::reserved_told_as_posted") => {
                    origin.reply(Answer::Transfer { transfer: crate::faults::as_posted(transfer), replayed: false });
                }
                TransferState::Pending => follow(node, origin, transfer.id, Some(transfer), false),
                TransferState::Reserved => origin.reply(Answer::Transfer { transfer, replayed: false }),
                TransferState::Posted | TransferState::Released | TransferState::Rejected => {
                    runtime::crash!("crash::settle_committed", if matches!(command, Command::Settle(_)));
                    runtime::crash!("crash::expiry_committed", if matches!(command, Command::Expire(_)));
                    node.waiters.tell(&transfer);
                    origin.reply(Answer::Transfer { transfer, replayed: false });
                }
            }
        }
        Decided::Rejected { rejection, transfer_id } => {
            if let Some(kind) = kind_of(command) {
                node.metrics.transfers.with_label_values(&[kind.as_str(), "rejected", rejection.code()]).inc();
            }
            origin.reply(Answer::Rejected { rejection, transfer_id, replayed: false });
        }
        Decided::Account(account) => origin.reply(Answer::Account { account, replayed: false }),
        Decided::Decision(decision) => {
            runtime::crash!("crash::credit_committed");
            origin.reply(Answer::Decision { decision, shard: node.shard });
        }
        Decided::AlreadySettled => {}
    }
}

fn count(node: &Node, transfer: &Transfer) {
    let reason = transfer.reason.map_or("", ledger::Rejection::code);
    let labels = [transfer.kind.as_str(), transfer.state.as_str(), reason];
    node.metrics.transfers.with_label_values(&labels).inc();
}

/// The kind of transfer that a command would have become.
fn kind_of(command: &Command) -> Option<TransferKind> {
    match command {
        Command::Transfer(_) | Command::Reserve(_) => Some(TransferKind::Transfer),
        Command::Deposit(_) => Some(TransferKind::Deposit),
        Command::Withdraw(_) => Some(TransferKind::Withdrawal),
        Command::CreateAccount(_)
        | Command::SetStatus(_)
        | Command::Credit(_)
        | Command::Void(_)
        | Command::Settle(_)
        | Command::Commit(_)
        | Command::Release(_)
        | Command::Expire(_) => None,
    }
}

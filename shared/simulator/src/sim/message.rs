//! What crosses the simulated network.

use ledger::saga::Decision;
use ledger::{Command, Rejection, Transfer};
use placement::{ShardId, TransferId};

/// A command on its way to a node.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// Whoever asks, and knows the answer by.
    pub asker: Asker,
    /// The node asked.
    pub to: usize,
    /// What is asked.
    pub command: Command,
    /// Until when an answer is of use.
    pub deadline: i64,
    /// How long the node waits for a saga.
    pub wait_until: i64,
}

/// Where an answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asker {
    /// To a client, about one attempt of its request.
    Client { request: usize, attempt: u32 },
    /// To a node that delivers the message of a transfer.
    Node { node: usize, incarnation: u64, delivery: u64 },
}

/// An answer on its way.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    /// Where it goes.
    pub to: Asker,
    /// The node that gave it.
    pub from: usize,
    /// The answer.
    pub answer: Answer,
}

/// What a node says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    /// The transfer as it is, or as it was reserved.
    Transfer(Transfer),
    /// Refused under its key.
    Rejected(Rejection, Option<TransferId>),
    /// Not held any more; as it is.
    NotReserved(Transfer),
    /// Done, and nothing to be said of it.
    Done,
    /// The decision of the inbox.
    Decision(Decision, ShardId),
    /// There is no such thing.
    NotFound,
    /// The slot is another shard's.
    Moved,
    /// The node could not; ask again.
    Unavailable,
    /// The node would not; ask again.
    Overloaded,
    /// Two decisions about one transfer.
    Internal,
}

impl Answer {
    /// In a line, for the trace.
    pub fn text(&self) -> String {
        match self {
            Answer::Transfer(transfer) => format!("{} {}", transfer.state.as_str(), reason(transfer.reason)),
            Answer::Rejected(rejection, _) => format!("rejected {}", rejection.code()),
            Answer::NotReserved(transfer) => format!("not reserved but {}", transfer.state.as_str()),
            Answer::Decision(decision, _) => decision_text(decision),
            Answer::Done => "done".to_owned(),
            Answer::NotFound => "not found".to_owned(),
            Answer::Moved => "moved".to_owned(),
            Answer::Unavailable => "unavailable".to_owned(),
            Answer::Overloaded => "overloaded".to_owned(),
            Answer::Internal => "internal".to_owned(),
        }
    }
}

fn reason(reason: Option<Rejection>) -> &'static str {
    reason.map_or("", Rejection::code)
}

fn decision_text(decision: &Decision) -> String {
    match decision {
        Decision::Credited { .. } => "decided: credited".to_owned(),
        Decision::Refused(reason) => format!("decided: refused, {}", reason.code()),
        Decision::Voided => "decided: voided".to_owned(),
    }
}

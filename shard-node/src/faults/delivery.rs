//! Mistakes on the way to another shard and back, and in the expiry.

use crate::node::Node;
use ledger::Rejection;
use ledger::saga::Decision;
use placement::TransferId;
use runtime::bug;
use wire::answer::Answer;
use wire::directory::Routed;
use wire::link::CallError;

const OUTBOX_GONE: &str = "DELETE FROM outbox WHERE transfer_id = $1";
/// What a committed transfer still is until its other shard has decided: a reservation whose time is over.
const DUE_IN_ANY_STATE: &str = "SELECT transfer_id, debit_account, extract(epoch FROM now() - expires_at)::float8 \
     FROM reservations WHERE expires_at <= now() ORDER BY expires_at LIMIT $1";

const NEVER_DUE: &str = "SELECT transfer_id, debit_account, 0::float8 FROM reservations WHERE false LIMIT $1";

/// Takes a message for delivered before there is an answer.
pub async fn forget_message(node: &Node, id: TransferId) {
    if !bug!("bug::outbox_row_deleted_early") {
        return;
    }
    let gone = async {
        let client = node.pool.get().await.map_err(|error| error.to_string())?;
        client.execute(OUTBOX_GONE, &[&id.uuid()]).await.map_err(|error| error.to_string())
    };
    if let Err(error) = gone.await {
        tracing::warn!(error, "a message was not forgotten");
    }
}

/// Takes for a decision what is none, or loses one.
pub fn misunderstand(node: &Node, called: Result<Routed, CallError>) -> Result<Routed, CallError> {
    let decided = |decision| {
        let answer = Answer::Decision { decision, shard: node.shard };
        Ok(Routed { answer, shard: node.shard, bounces: 0 })
    };
    match called {
        Err(_) if bug!("bug::released_without_asking") => decided(Decision::Voided),
        Ok(Routed { answer: Answer::Unavailable | Answer::Overloaded { .. } | Answer::Moved { .. }, .. })
            if bug!("bug::no_answer_is_a_refusal") =>
        {
            decided(Decision::Refused(Rejection::CreditAccountNotFound))
        }
        Ok(Routed { answer: Answer::Decision { .. }, .. }) if bug!("bug::decision_dropped") => Err(CallError::Unknown),
        called => called,
    }
}

/// What the sweep of the expiry asks for.
pub fn due(statement: &'static str) -> &'static str {
    match () {
        () if bug!("bug::expiry_ignores_state") => DUE_IN_ANY_STATE,
        () if bug!("bug::nothing_expires") => NEVER_DUE,
        () => statement,
    }
}

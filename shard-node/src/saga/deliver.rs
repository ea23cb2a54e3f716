//! Sending a message to the credit shard and bringing its decision back into a lane. Whatever fails here is
//! tried again by the sweep, from the outbox.

use crate::lane::Task;
use crate::node::Node;
use ledger::saga::{DebitState, Decision};
use ledger::{Command, Reservation, Settle, VoidMessage};
use placement::ShardId;
use std::sync::Arc;
use std::time::Instant;
use wire::answer::Answer;
use wire::link::CallError;
use wire::operation::{CallContext, Operation};
use wire::trace::TraceContext;

/// Sends in the background; too many at once are left to the sweep.
pub fn deliver(node: &Arc<Node>, reservation: Reservation, trace: TraceContext) {
    let Some(place) = node.delivery_to(reservation.credit.credit_account_id.region()) else {
        return;
    };
    let node = node.clone();
    tokio::spawn(async move {
        let _place = place;
        attempt(&node, reservation, trace).await;
    });
}

async fn attempt(node: &Arc<Node>, reservation: Reservation, trace: TraceContext) {
    let id = reservation.credit.transfer_id;
    let lease_ms = u32::try_from(node.saga.lease.as_millis()).unwrap_or(u32::MAX);
    let context = CallContext { request_id: id.uuid().as_u128(), trace, remaining_ms: lease_ms };
    let debit_account_id = reservation.credit.debit_account_id;
    let operation = Operation::Command { command: message(reservation), wait_ms: 0 };
    #[cfg(feature = "faults")]
    crate::faults::forget_message(node, id).await;
    let started = Instant::now();
    // With nobody there to take it, the outbox waits better than a task does.
    let called = match operation.place().is_some_and(|(region, slot)| node.directory.reaches(region, slot)) {
        true => runtime::crash!("crash::credit_sent", during node.directory.call(context, operation)).await,
        false => Err(CallError::NotApplied),
    };
    #[cfg(feature = "faults")]
    let called = crate::faults::misunderstand(node, called);
    let error = match called {
        Ok(routed) => match routed.answer {
            Answer::Decision { decision, shard } => {
                node.metrics.delivered(shard, "decided", started.elapsed());
                let settle = Settle { transfer_id: id, debit_account_id, credit_shard: shard, decision };
                log_decision(&settle, trace, shard);
                runtime::crash!("crash::answer_received");
                let task = Task::new(Command::Settle(settle), context, 0, None);
                // A lane that cannot take it now has not lost it: the outbox row is still there.
                if node.lanes.submit(task).is_ok() {
                    return;
                }
                "the lane could not take the decision".to_owned()
            }
            // Only a typed decision decides; anything else means: ask again.
            other => {
                node.metrics.delivered(routed.shard, "undecided", started.elapsed());
                format!("shard {} answered {}", routed.shard, name_of(&other))
            }
        },
        Err(error) => {
            node.metrics.undelivered();
            error.to_string()
        }
    };
    tracing::debug!(transfer_id = %id, trace_id = %format_args!("{:032x}", trace.trace_id), error, "a message will be sent again");
    node.note_failure(id, error);
}

fn message(reservation: Reservation) -> Command {
    match reservation.state {
        DebitState::Crediting => Command::Credit(reservation.credit),
        // Neither has a terminal saga a reservation, nor a held one a message; to void is always safe, for the inbox
        // decides.
        DebitState::Voiding | DebitState::Held | DebitState::Committed | DebitState::Released(_) => {
            Command::Void(VoidMessage {
                transfer_id: reservation.credit.transfer_id,
                debit_shard: reservation.credit.debit_shard,
                credit_account_id: reservation.credit.credit_account_id,
            })
        }
    }
}

fn log_decision(settle: &Settle, trace: TraceContext, shard: ShardId) {
    let decided = match &settle.decision {
        Decision::Credited { .. } => "credited",
        Decision::Refused(reason) => reason.code(),
        Decision::Voided => "voided",
    };
    let trace_id = format_args!("{:032x}", trace.trace_id);
    tracing::debug!(transfer_id = %settle.transfer_id, %trace_id, %shard, decided, "saga decided");
}

fn name_of(answer: &Answer) -> &'static str {
    match answer {
        Answer::Overloaded { .. } => "overloaded",
        Answer::Unavailable => "unavailable",
        Answer::Moved { .. } => "moved",
        Answer::Invalid(_) => "invalid",
        Answer::Internal => "internal",
        _ => "something that is no decision",
    }
}

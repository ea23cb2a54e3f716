//! A line for each request that failed by our fault, and for a sample of the others: a line costs as much as
//! a good part of a request, and more than refusing one for overload.

use crate::exchange::Exchange;
use crate::metrics::Ending;
use crate::reply::Outcome;
use crate::route::Call;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use wire::api::ErrorCode;

/// Of so many requests without a fault of ours one is logged; all of them at the level `debug`.
const SAMPLE: u64 = 1_000;

static REQUESTS: AtomicU64 = AtomicU64::new(0);

macro_rules! line {
    ($level:ident, $exchange:ident, $call:ident, $outcome:ident, $ending:ident, $took:ident) => {{
        let (shard, slot) = $exchange.place().unzip();
        let transfer_id = match $outcome {
            Ok(reply) => reply.transfer_id,
            Err(refusal) => refusal.transfer_id,
        };
        tracing::$level!(
            request_id = %$exchange.request_id,
            trace_id = format_args!("{:032x}", $exchange.trace.trace_id),
            route = $call.map_or("none", |call| call.spec().name),
            status = $ending.status(),
            code = $ending.code(),
            detail = $outcome.as_ref().err().map(|refusal| refusal.detail.as_ref()),
            shard = shard.map(|shard| shard.get()),
            slot = slot.map(|slot| slot.get()),
            transfer_id = transfer_id.map(tracing::field::display),
            took_us = u64::try_from($took.as_micros()).unwrap_or(u64::MAX),
            "answered"
        )
    }};
}

/// Logs a request, if it is to be logged.
pub fn note(exchange: &Exchange<'_>, call: Option<Call>, outcome: &Outcome, ending: Ending, took: Duration) {
    let sampled = REQUESTS.fetch_add(1, Ordering::Relaxed).is_multiple_of(SAMPLE);
    match ending.status() {
        503 if ending.code() == ErrorCode::Overloaded.as_str() => match sampled {
            true => line!(warn, exchange, call, outcome, ending, took),
            false => line!(debug, exchange, call, outcome, ending, took),
        },
        500 => line!(error, exchange, call, outcome, ending, took),
        501.. => line!(warn, exchange, call, outcome, ending, took),
        _ if sampled => line!(info, exchange, call, outcome, ending, took),
        _ => line!(debug, exchange, call, outcome, ending, took),
    }
}

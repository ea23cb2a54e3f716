//! The retry path of messages to other shards.

use super::codes::{self, Unreadable};
use super::fence;
use super::load;
use super::reading::ReadError;
use crate::config::SagaConfig;
use ledger::Reservation;
use ledger::saga::{self, DebitEvent, DebitState, Effect, Event, State};
use placement::{ShardId, TransferId};
use tokio_postgres::Row;
use uuid::Uuid;
use wire::trace::TraceContext;

/// Takes what is due, and puts its next attempt off by a pause that doubles, with jitter, so that peers that
/// come back are not met by everything at once. Several nodes may claim at the same time. What would be due later than
/// any pause is long was put off by a clock that was wrong, and is due as well.
pub(super) const CLAIM: &str = "WITH in_time AS ( \
         SELECT transfer_id FROM outbox WHERE next_attempt_at <= now() ORDER BY next_attempt_at LIMIT $1 \
         FOR UPDATE SKIP LOCKED), \
     put_off AS ( \
         SELECT transfer_id FROM outbox WHERE next_attempt_at > now() + make_interval(secs => $4) \
         ORDER BY next_attempt_at LIMIT $1 FOR UPDATE SKIP LOCKED), \
     due AS (SELECT * FROM in_time UNION ALL SELECT * FROM put_off) \
     UPDATE outbox SET attempts = attempts + 1, next_attempt_at = now() + interval '1 microsecond' \
         * (least($3::float8, $2::float8 * 2 ^ least(attempts, 30)) * (0.5 + random() / 2)) \
     FROM due JOIN reservations USING (transfer_id) WHERE outbox.transfer_id = due.transfer_id \
     RETURNING reservations.transfer_id, state, debit_account, debit_user, credit_account, amount, \
         currency, message, reference, created_at, amount_reserved, expires_at, void_after <= now(), trace_id, \
         parent_id, attempts";
pub(super) const VOID: &str = "UPDATE reservations SET state = $2 WHERE transfer_id = ANY($1) AND state = $3";
pub(super) const NOTE_FAILURES: &str = "UPDATE outbox SET last_error = failed.error \
     FROM unnest($1::uuid[], $2::text[]) AS failed (transfer_id, error) \
     WHERE outbox.transfer_id = failed.transfer_id";

/// A message to be sent again.
#[derive(Debug, Clone)]
pub struct Due {
    /// The transfer, its reservation and how far it has come.
    pub reservation: Reservation,
    /// The trace of the request that began it.
    pub trace: TraceContext,
    /// How often it has been claimed.
    pub attempts: i32,
}

/// Claims up to `count` messages. Those that have been tried for too long are voiding from now on.
pub async fn claim(
    client: &mut deadpool_postgres::Client,
    count: i64,
    shard: ShardId,
    config: &SagaConfig,
) -> Result<Vec<Due>, ReadError> {
    let statement = client.prepare_cached(CLAIM).await?;
    let (pause, longest) = (config.retry_min.as_secs_f64() * 1e6, config.retry_max.as_secs_f64() * 1e6);
    // The first attempt is due after the lease.
    let beyond = 2.0 * config.retry_max.max(config.lease).as_secs_f64();
    let rows = client.query(&statement, &[&count, &pause, &longest, &beyond]).await?;
    let mut due = rows.iter().map(|row| one(row, shard)).collect::<Result<Vec<_>, _>>()?;
    let mut given_up = Vec::new();
    for (row, due) in rows.iter().zip(&mut due) {
        let (state, event) = (State::Debit(due.reservation.state), Event::Debit(DebitEvent::GiveUp));
        let next = saga::next(state, event).map_err(Unreadable::because)?;
        if let (true, (State::Debit(state), Effect::SendVoid)) = (row.get(12), next) {
            due.reservation.state = state;
            given_up.push(due.reservation.credit.transfer_id.uuid());
        }
    }
    if !given_up.is_empty() {
        begin_to_void(client, &given_up).await?;
    }
    Ok(due)
}

fn one(row: &Row, shard: ShardId) -> Result<Due, Unreadable> {
    let (trace_id, parent_id): (Uuid, i64) = (row.get(13), row.get(14));
    Ok(Due {
        reservation: load::reservation(row, shard)?,
        trace: TraceContext::begin(trace_id.as_u128(), parent_id.cast_unsigned()),
        attempts: row.get(15),
    })
}

async fn begin_to_void(client: &mut deadpool_postgres::Client, ids: &[Uuid]) -> Result<(), ReadError> {
    let transaction = fence::begin(client).await?;
    let (voiding, crediting) = (DebitState::Voiding, DebitState::Crediting);
    let (voiding, crediting) = (codes::debit_state_code(voiding), codes::debit_state_code(crediting));
    transaction.execute(VOID, &[&ids, &voiding, &crediting]).await?;
    Ok(transaction.commit().await?)
}

/// Notes what went wrong last with messages, for operators to see.
pub async fn note_failures(
    client: &deadpool_postgres::Client,
    failures: &[(TransferId, String)],
) -> Result<(), ReadError> {
    let ids: Vec<Uuid> = failures.iter().map(|(id, _)| id.uuid()).collect();
    let errors: Vec<&str> = failures.iter().map(|(_, error)| error.as_str()).collect();
    let statement = client.prepare_cached(NOTE_FAILURES).await?;
    client.execute(&statement, &[&ids, &errors]).await?;
    Ok(())
}

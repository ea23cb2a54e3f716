//! What one shard has recorded of a transfer.

use anyhow::Result;
use jiff::Timestamp;
use ledger::Rejection;
use placement::TransferId;
use serde::Serialize;
use tokio_postgres::{Client, Row};

const OPEN: &str = "SELECT open.created_at, open.slot, open.state, open.debit_account, open.debit_user, \
     open.credit_account, open.amount, open.currency, open.void_after, \
     outbox.next_attempt_at, outbox.attempts, outbox.last_error, outbox.trace_id, open.expires_at, open.committed_at \
     FROM reservations AS open LEFT JOIN outbox USING (transfer_id) WHERE open.transfer_id = $1";
/// The state of a reservation that waits for its client.
const HELD: i16 = 2;
const DECISION: &str = "SELECT decided_at, slot, decision, reason, credit_user, debit_shard \
     FROM inbox WHERE transfer_id = $1";
const TERMINAL: &str = "SELECT created_at, decided_at, debit_slot, credit_slot, state, reason, amount, currency, \
     debit_account, debit_entry, debit_balance, credit_account, credit_entry, credit_balance, kind, \
     amount_reserved \
     FROM transfers WHERE id = $1";
/// A key lies in the slot that the transfer's id names, so that not all have to be read.
const KEY: &str = "SELECT recorded_at, slot, rejection FROM idempotency WHERE slot = $2 AND transfer_id = $1";

/// Something that happened to a transfer.
#[derive(Debug, Serialize)]
pub(super) struct Event {
    pub time: Timestamp,
    pub slot: Option<u16>,
    #[serde(rename = "event")]
    pub what: &'static str,
    pub details: String,
}

/// All that the shard has; the order is that within a transaction.
pub(super) async fn events(client: &Client, id: TransferId) -> Result<Vec<Event>> {
    let (uuid, slot) = (id.uuid(), id.slot().get().cast_signed());
    let open = client.query(OPEN, &[&uuid]).await?;
    let decision = client.query(DECISION, &[&uuid]).await?;
    let terminal = client.query(TERMINAL, &[&uuid]).await?;
    let keys = client.query(KEY, &[&uuid, &slot]).await?;
    let mut events: Vec<Event> = open.iter().flat_map(reserved).collect();
    events.extend(decision.iter().map(decided));
    events.extend(terminal.iter().flat_map(ended));
    events.extend(keys.iter().map(key));
    Ok(events)
}

fn event(time: Timestamp, slot: Option<i16>, what: &'static str, details: String) -> Event {
    Event { time, slot: slot.and_then(|slot| u16::try_from(slot).ok()), what, details }
}

fn reserved(row: &Row) -> Vec<Event> {
    let slot = row.get(1);
    let (debit, user, credit): (i64, &str, i64) = (row.get(3), row.get(4), row.get(5));
    let (amount, currency, void_after): (i64, &str, Timestamp) = (row.get(6), row.get(7), row.get(8));
    let details = format!("{amount} {currency} of account {debit} ({user}) for account {credit}");
    let mut events = vec![event(row.get(0), slot, "reserved", details)];
    let state: i16 = row.get(2);
    let message = if state == 0 { "credit" } else { "void" };
    if let Some(next) = row.get::<_, Option<Timestamp>>(9) {
        let (attempts, error): (i32, Option<&str>) = (row.get(10), row.get(11));
        let error = error.map_or(String::new(), |error| format!(", last error: {error}"));
        let trace: uuid::Uuid = row.get(12);
        let details = format!("attempt {} to send {message}{error}; trace {}", attempts + 1, trace.simple());
        events.push(event(next, slot, "due", details));
    }
    if let Some(committed) = row.get(14) {
        events.push(event(committed, slot, "committed", "by its client".to_owned()));
    }
    match row.get::<_, Option<Timestamp>>(13).filter(|_| state == HELD) {
        Some(expires) => events.push(event(expires, slot, "expires", "unless it is committed or released".to_owned())),
        None => {
            let gives_up = "sends void if there is no decision by then";
            events.push(event(void_after, slot, "gives up", gives_up.to_owned()));
        }
    }
    events
}

fn decided(row: &Row) -> Event {
    let debit_shard: i32 = row.get(5);
    let decision = match row.get::<_, i16>(2) {
        0 => format!("credited to {}", row.get::<_, Option<&str>>(4).unwrap_or("nobody")),
        1 => format!("refused: {}", reason(row.get(3))),
        2 => "voided".to_owned(),
        other => format!("decision {other}"),
    };
    event(row.get(0), row.get(1), "decided", format!("{decision}, asked by shard {debit_shard}"))
}

fn ended(row: &Row) -> Vec<Event> {
    let created: Option<Timestamp> = row.get(0);
    let (decided, debit_slot, credit_slot): (Timestamp, Option<i16>, Option<i16>) =
        (row.get(1), row.get(2), row.get(3));
    let (amount, currency): (i64, &str) = (row.get(6), row.get(7));
    let (debit, credit) = (side(row, 8), side(row, 11));
    let name = |account: Option<i64>| account.map_or("external".to_owned(), |account| format!("account {account}"));
    let (from, to) = (name(row.get(8)), name(row.get(11)));
    let money = format!("{amount} {currency} from {from} to {to}");
    let mut events = Vec::new();
    // The debit account's shard has set the amount aside first; the other one only knows when that was.
    if let (Some(created), true) = (created, credit.is_none() || row.get::<_, Option<i64>>(15).is_some()) {
        let held =
            row.get::<_, Option<i64>>(15).map_or(String::new(), |held| format!("; {held} set aside by its client"));
        events.push(event(created, debit_slot, "reserved", format!("{money}{held}")));
    }
    let end = match row.get::<_, i16>(4) {
        2 => None,
        3 => Some(("released", debit_slot)),
        4 => Some(("rejected", debit_slot.or(credit_slot))),
        _ => Some(("unknown state", debit_slot.or(credit_slot))),
    };
    if let Some((what, slot)) = end {
        events.push(event(decided, slot, what, format!("{money}: {}", reason(row.get(5)))));
    }
    let posted = [("debit posted", debit, debit_slot), ("credit posted", credit, credit_slot)];
    for (what, side, slot) in posted {
        if let Some(side) = side {
            events.push(event(decided, slot, what, format!("{money}; {side}")));
        }
    }
    events
}

/// A side's entry: account, number and balance, from the column of the account on.
fn side(row: &Row, first: usize) -> Option<String> {
    let (entry, balance): (Option<i64>, Option<i64>) = (row.get(first + 1), row.get(first + 2));
    Some(format!("entry {}, balance {}", entry?, balance?))
}

fn key(row: &Row) -> Event {
    let rejection: Option<i16> = row.get(2);
    let details = rejection.map_or(String::new(), |rejection| format!("answers {}", reason(Some(rejection))));
    event(row.get(0), row.get(1), "key recorded", details)
}

fn reason(number: Option<i16>) -> String {
    match number.map(|number| (number, Rejection::try_from(number))) {
        None => "no reason".to_owned(),
        Some((_, Ok(rejection))) => rejection.code().to_owned(),
        Some((number, Err(_))) => format!("reason {number}"),
    }
}

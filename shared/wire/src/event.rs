//! What other services are told of terminal transfers: the entries of the streams `events:<shard>` in the Redis of the
//! shard's region.
//!
//! An entry of a stream has one field, [`FIELD`], whose value is an [`Event`] as JSON:
//!
//! ```json
//! {"id": "019acb2e-5f00-8041-8000-00c0ffee0007:debit", "type": "transfer.posted",
//!  "transfer": {"id": "019acb2e-5f00-8041-8000-00c0ffee0007", "kind": "transfer", "state": "posted", ...},
//!  "entries": [{"side": "debit", "account_id": 140737488420864, "user_id": "yunus", "number": 12,
//!               "balance_after": 750}]}
//! ```
//!
//! `transfer` is what `GET /v1/transfers/{id}` answers. `entries` has the sides of the accounts that this shard owns: both
//! if it owns both, none if nothing moved. Of a transfer between two shards, each tells its own side, in its own stream;
//! that of the debit side comes last and means that both are posted.
//!
//! An event may come more than once, then always with the same `id`; drop those seen before. What is left has the entries
//! of each account in the order of their numbers, 1, 2, 3 ... without a gap. New fields may be added; readers pass over
//! those they do not know.

use crate::api::{Transfer, TransferState};
use placement::{AccountId, ShardId, TransferId};
use serde::{Deserialize, Serialize};

/// The field of a stream's entry that holds the event.
pub const FIELD: &str = "event";

/// The key of a shard's stream.
pub fn stream_of(shard: ShardId) -> String {
    format!("events:{shard}")
}

/// A transfer has become terminal on this shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The same whenever this event is repeated, and of no other event: the transfer's id and the sides told of.
    pub id: String,
    /// What has happened.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// The transfer as the API shows it.
    pub transfer: Transfer,
    /// The debit side first.
    pub entries: Vec<EntryMade>,
}

/// What has happened to a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EventType {
    /// The money has moved.
    #[serde(rename = "transfer.posted")]
    Posted,
    /// The amount was set aside and given back.
    #[serde(rename = "transfer.released")]
    Released,
    /// Refused; nothing was set aside.
    #[serde(rename = "transfer.rejected")]
    Rejected,
}

/// A side of a posting as its account sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryMade {
    /// Which one.
    pub side: Side,
    /// The account.
    pub account_id: AccountId,
    /// Its holder, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The entry's number: 1, 2, 3 ... for each account.
    pub number: i64,
    /// The account's balance once the entry is made.
    pub balance_after: i64,
}

/// A side of a posting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Money left the account.
    Debit,
    /// Money came to it.
    Credit,
}

impl Event {
    /// The event of a transfer; `None` while the transfer is open.
    pub fn of(transfer: Transfer, entries: Vec<EntryMade>) -> Option<Event> {
        let event_type = match transfer.state {
            TransferState::Posted => EventType::Posted,
            TransferState::Released => EventType::Released,
            TransferState::Rejected => EventType::Rejected,
            TransferState::Pending | TransferState::Reserved => return None,
        };
        let has = |side| entries.iter().any(|entry| entry.side == side);
        let id = event_id(transfer.id, has(Side::Debit), has(Side::Credit));
        Some(Event { id, event_type, transfer, entries })
    }
}

/// The id of the event of a transfer, given the sides that the shard owns.
pub fn event_id(transfer: TransferId, has_debit: bool, has_credit: bool) -> String {
    let sides = match (has_debit, has_credit) {
        (true, true) => "both",
        (true, false) => "debit",
        (false, true) => "credit",
        (false, false) => "none",
    };
    format!("{transfer}:{sides}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The form that others rely upon.
    const AN_EVENT: &str = r#"{"id":"019acb2e-5f00-8041-8000-00c0ffee0007:debit","type":"transfer.posted","transfer":{"id":"019acb2e-5f00-8041-8000-00c0ffee0007","kind":"transfer","state":"posted","debit_account_id":140737488420864,"credit_account_id":281474976841728,"amount":250,"currency":"SGD","created_at":"2026-11-22T09:30:00.123456Z","decided_at":"2026-11-22T09:30:00.223456Z"},"entries":[{"side":"debit","account_id":140737488420864,"user_id":"yunus","number":12,"balance_after":750}]}"#;

    #[test]
    fn form_stays_as_documented() {
        let event: Event = serde_json::from_str(AN_EVENT).unwrap();
        assert_eq!(Event::of(event.transfer.clone(), event.entries.clone()).unwrap(), event);
        assert_eq!(serde_json::to_string(&event).unwrap(), AN_EVENT);
    }

    #[test]
    fn what_shards_tell_of_one_transfer_differs_in_its_id() {
        let event: Event = serde_json::from_str(AN_EVENT).unwrap();
        let ids = [(true, true), (true, false), (false, true), (false, false)];
        let ids: std::collections::HashSet<String> =
            ids.into_iter().map(|(debit, credit)| event_id(event.transfer.id, debit, credit)).collect();
        assert_eq!(ids.len(), 4);
    }

    #[test]
    fn open_transfer_is_no_event() {
        let event: Event = serde_json::from_str(AN_EVENT).unwrap();
        for state in [TransferState::Pending, TransferState::Reserved] {
            assert_eq!(Event::of(Transfer { state, ..event.transfer.clone() }, vec![]), None);
        }
    }
}

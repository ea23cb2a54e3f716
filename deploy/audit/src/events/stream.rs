//! Reading a shard's stream.

use std::collections::HashMap;
use std::time::Duration;

use placement::ShardId;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError, Value};
use wire::api::TransferState;
use wire::event::{Event, FIELD, Side, stream_of};

use super::EventsTarget;
use super::judge::{Ended, Entry, Told};
use crate::AuditError;

/// Entries read at a time.
const PAGE: u32 = 1_000;
const TIMEOUT: Duration = Duration::from_secs(5);

/// An entry of a stream: its id there, and its fields.
type Fields = (String, HashMap<String, String>);

/// A shard's stream.
pub(super) struct Stream {
    shard: ShardId,
    key: String,
    redis: MultiplexedConnection,
}

impl Stream {
    pub async fn open(target: &EventsTarget) -> Result<Self, AuditError> {
        let shard = target.shard.shard;
        let failed = |source| AuditError::Redis { shard, source };
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(TIMEOUT));
        let config = config.set_response_timeout(Some(TIMEOUT));
        let client = redis::Client::open(target.redis.as_str()).map_err(failed)?;
        let redis = client.get_multiplexed_async_connection_with_config(&config).await.map_err(failed)?;
        Ok(Stream { shard, key: stream_of(shard), redis })
    }

    /// Whether the oldest entries have gone, as far as Redis can tell: from version 7 on it counts them.
    pub async fn is_cut(&mut self) -> Result<bool, AuditError> {
        let failed = |source: RedisError| AuditError::Redis { shard: self.shard, source };
        if redis::cmd("EXISTS").arg(&self.key).query_async::<u64>(&mut self.redis).await.map_err(failed)? == 0 {
            return Ok(false);
        }
        let info = redis::cmd("XINFO").arg("STREAM").arg(&self.key).query_async(&mut self.redis).await;
        let info: HashMap<String, Value> = info.map_err(failed)?;
        let number = |name: &str| match info.get(name) {
            Some(Value::Int(number)) => Some(*number),
            _ => None,
        };
        Ok(number("entries-added").zip(number("length")).is_none_or(|(added, length)| added > length))
    }

    /// The time of the first transfer that it still tells of.
    pub async fn first_decided_at(&mut self) -> Result<Option<i64>, AuditError> {
        let first = self.page("-", 1).await?;
        Ok(first.iter().map(|entry| self.told(entry)).next().transpose()?.map(|told| told.decided_at))
    }

    /// All of it, in its order.
    pub async fn read(&mut self) -> Result<Vec<Told>, AuditError> {
        let (mut all, mut from) = (Vec::new(), "-".to_owned());
        loop {
            let page = self.page(&from, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(all) };
            from = format!("({last}");
            for entry in &page {
                all.push(self.told(entry)?);
            }
        }
    }

    async fn page(&mut self, from: &str, count: u32) -> Result<Vec<Fields>, AuditError> {
        let range = redis::cmd("XRANGE").arg(&self.key).arg(from).arg("+").arg("COUNT").arg(count).to_owned();
        let page = range.query_async(&mut self.redis).await;
        page.map_err(|source| AuditError::Redis { shard: self.shard, source })
    }

    fn told(&self, (id, fields): &Fields) -> Result<Told, AuditError> {
        let unreadable = |why: String| AuditError::unreadable(self.shard, format_args!("the event {id}: {why}"));
        let text = fields.get(FIELD).ok_or_else(|| unreadable(format!("no field {FIELD}")))?;
        let event: Event = serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))?;
        Ok(told(event))
    }
}

fn told(event: Event) -> Told {
    let side = |side: Side| {
        let entry = event.entries.iter().find(|entry| entry.side == side)?;
        Some(Entry { account: entry.account_id.as_i64(), number: entry.number, balance: entry.balance_after })
    };
    let state = match event.transfer.state {
        TransferState::Pending => 0,
        TransferState::Reserved => 1,
        TransferState::Posted => 2,
        TransferState::Released => 3,
        TransferState::Rejected => 4,
    };
    let (debit, credit) = (side(Side::Debit), side(Side::Credit));
    let (transfer, amount) = (event.transfer.id.uuid(), event.transfer.amount);
    let decided_at = event.transfer.decided_at.map_or(0, |time| time.as_microseconds());
    Told { ended: Ended { transfer, state, amount, debit, credit }, decided_at, id: event.id }
}

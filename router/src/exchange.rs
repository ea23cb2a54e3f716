//! One request on its way: its ids, its deadline, and asking shards on its behalf.

use crate::app::App;
use crate::doors::Group;
use crate::refusal::Refusal;
use crate::session::Session;
use crate::user_places::UserPlace;
use http::HeaderMap;
use placement::{AccountId, RegionCode, ShardId, Slot, Topology};
use rand::Rng;
use runtime::in_flight::Place;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use uuid::Uuid;
use wire::answer::Answer;
use wire::api::ErrorCode;
use wire::link::CallError;
use wire::operation::{CallContext, Operation};
use wire::trace::TraceContext;

/// What the contract lets an account id be; fewer can exist.
pub const ACCOUNT_NUMBERS: RangeInclusive<u64> = 1..=(1 << 53) - 1;

/// What is known of a request from its first moment on.
#[derive(Debug)]
pub struct Exchange<'a> {
    /// What every request needs.
    pub app: &'a App,
    /// The `X-Request-Id` of the answer.
    pub request_id: Uuid,
    /// The trace it belongs to.
    pub trace: TraceContext,
    /// When its head was complete.
    pub started: Instant,
    /// When the answer is due, in milliseconds after `started`.
    due_ms: AtomicU64,
    /// The first place that was asked, for the log.
    place: OnceLock<(ShardId, Slot)>,
    /// The place of a request that waits because its client wishes it.
    waiting: OnceLock<UserPlace<'a>>,
}

/// How long a transfer may stay undecided before it is answered as pending.
const USUAL_WAIT: Duration = Duration::from_secs(2);

impl<'a> Exchange<'a> {
    /// Begins with a new request id, and the trace of `traceparent` or a new one.
    pub fn begin(app: &'a App, headers: &HeaderMap) -> Self {
        let mut random = [0; 34];
        rand::rng().fill_bytes(&mut random);
        let due_ms = u64::try_from(app.request_timeout.as_millis()).unwrap_or(u64::MAX);
        Self {
            app,
            request_id: request_id(&random),
            trace: trace(headers, &random),
            started: Instant::now(),
            due_ms: AtomicU64::new(due_ms),
            place: OnceLock::new(),
            waiting: OnceLock::new(),
        }
    }

    /// The wait that a client wishes for; `None` where it is longer than usual and too many wait already, so that the
    /// answer is as without the wish (RFC 7240, section 2: a preference may be ignored).
    pub fn granted(&self, caller: &Session, wish: Option<Duration>) -> Option<Duration> {
        let wish = wish?;
        (wish <= USUAL_WAIT || self.may_wait(caller)).then_some(wish)
    }

    /// Whether the request may wait because its client wishes it.
    pub fn may_wait(&self, caller: &Session) -> bool {
        let place = self.app.waits.enter(caller.rate_key);
        place.is_ok_and(|place| self.waiting.set(place).is_ok())
    }

    /// The client has asked to wait: the answer is due that much later.
    pub fn wait_longer(&self, wait: Duration) {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.due_ms.fetch_add(wait_ms, Ordering::Relaxed);
    }

    /// Waits for a transfer's decision as long as the client prefers, or as is usual; in milliseconds, for the shard.
    pub fn wait_for_decision(&self, preferred: Option<Duration>) -> u32 {
        let wait = preferred.unwrap_or(USUAL_WAIT);
        self.wait_longer(wait);
        // At most 30 s.
        u32::try_from(wait.as_millis()).unwrap_or(u32::MAX)
    }

    /// The time left until the answer is due.
    pub fn remaining(&self) -> Duration {
        let due = Duration::from_millis(self.due_ms.load(Ordering::Relaxed));
        due.saturating_sub(self.started.elapsed())
    }

    /// The shard and slot that were asked first.
    pub fn place(&self) -> Option<(ShardId, Slot)> {
        self.place.get().copied()
    }

    /// Asks the owner of the operation's account, until the answer is due.
    ///
    /// # Errors
    /// [`ErrorCode::Unavailable`]: nobody answered.
    pub async fn ask(&self, operation: Operation) -> Result<Answer, Box<Refusal>> {
        self.ask_within(self.remaining(), operation).await
    }

    /// As [`Exchange::ask`], with a time of its own.
    ///
    /// # Errors
    /// [`ErrorCode::Unavailable`]: nobody answered in that time.
    /// [`ErrorCode::IdempotencyInFlight`]: the same, and the first request with the same key was in flight.
    /// [`ErrorCode::Overloaded`]: the shard has more to do than it can; it was not asked.
    pub async fn ask_within(&self, time: Duration, operation: Operation) -> Result<Answer, Box<Refusal>> {
        #[cfg(feature = "faults")]
        let (time, again) = (crate::faults::patience(time), operation.clone());
        let remaining_ms = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        let context = CallContext { request_id: self.request_id.as_u128(), trace: self.trace, remaining_ms };
        let (name, place) = (operation.name(), operation.place());
        let (group, _place) = self.admitted(&operation)?;
        let key = match &operation {
            Operation::Command { command, .. } => command.key().map(|key| self.app.keys_in_flight.enter(key.hash)),
            Operation::Read(_) => None,
        };
        let began = Instant::now();
        let calling = self.app.directory.call(context, operation);
        let routed = runtime::crash!("crash::request_forwarded", during calling).await;
        #[cfg(feature = "faults")]
        let routed = crate::faults::retry_with_fresh_key(self.app, context, again, routed).await;
        runtime::crash!("crash::answer_not_passed_on");
        let routed = routed.map_err(|error| match error {
            CallError::Unknown if key.as_ref().is_some_and(|key| key.is_repeat) => {
                Refusal::new(ErrorCode::IdempotencyInFlight)
            }
            CallError::Unknown | CallError::NotApplied => error.into(),
        })?;
        if let Some(group) = group {
            self.app.doors.note(group, matches!(routed.answer, Answer::Overloaded { .. }));
        }
        self.app.metrics.backend_answered(routed.shard, name, routed.bounces, began.elapsed());
        if let Some((_, slot)) = place {
            self.place.get_or_init(|| (routed.shard, slot));
        }
        Ok(routed.answer)
    }

    /// What of the owner's queues the operation goes to, if the owner is known and not overloaded, and a place for it.
    fn admitted(&self, operation: &Operation) -> Result<(Option<Group>, Option<Place>), Box<Refusal>> {
        let Some((region, slot)) = operation.place() else { return Ok((None, None)) };
        let owner = self.app.directory.view().ownership.owner(region, slot);
        let is_read = matches!(operation, Operation::Read(_));
        let Some((shard, _)) = owner else { return Ok((None, None)) };
        let group = Group::new(shard, slot, is_read);
        if !self.app.doors.second(group, rand::random()) {
            self.app.metrics.refused_at_door();
            return Err(Refusal::new(ErrorCode::Overloaded));
        }
        let Some(place) = self.app.shard_places.enter(shard) else {
            self.app.metrics.refused_for_shard();
            return Err(Refusal::with_detail(
                ErrorCode::Overloaded,
                "too many requests wait for that shard; nothing was done",
            ));
        };
        Ok((Some(group), Some(place)))
    }

    /// What is known of the regions.
    ///
    /// # Errors
    /// [`ErrorCode::Unavailable`]: no shard-node has answered yet.
    pub fn topology(&self) -> Result<Arc<Topology>, Box<Refusal>> {
        let topology = self.app.directory.view().topology.clone();
        topology.ok_or_else(|| Refusal::unavailable("no shard can be reached yet"))
    }

    /// The account that a number can stand for; `None` when no region has such accounts.
    ///
    /// # Errors
    /// [`ErrorCode::Unavailable`]: no shard-node has answered yet.
    pub fn account_id(&self, number: u64) -> Result<Option<AccountId>, Box<Refusal>> {
        let Ok(id) = AccountId::try_from(number) else { return Ok(None) };
        Ok(self.knows_region(id.region())?.then_some(id))
    }

    /// The account of a path's `{id}`.
    ///
    /// # Errors
    /// [`ErrorCode::MalformedRequest`]: it is no account id at all.
    /// [`ErrorCode::NotFound`]: no region has such accounts. Otherwise as [`Exchange::account_id`].
    pub fn account_in_path(&self, text: &str) -> Result<AccountId, Box<Refusal>> {
        let plain = !text.is_empty() && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| plain && ACCOUNT_NUMBERS.contains(number));
        let number = number.ok_or_else(|| {
            Refusal::with_detail(
                ErrorCode::MalformedRequest,
                "the path's account id must be an integer from 1 to 2^53 - 1",
            )
        })?;
        self.account_id(number)?.ok_or_else(Refusal::not_found)
    }

    /// Whether the topology has a region.
    ///
    /// # Errors
    /// As [`Exchange::account_id`].
    pub fn knows_region(&self, region: RegionCode) -> Result<bool, Box<Refusal>> {
        Ok(self.topology()?.region_coded(region).is_some())
    }
}

/// A UUID of version 7 (RFC 9562, section 5.7).
fn request_id(random: &[u8; 34]) -> Uuid {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut counter = [0; 10];
    counter.copy_from_slice(&random[..10]);
    uuid::Builder::from_unix_timestamp_millis(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), &counter).into_uuid()
}

fn trace(headers: &HeaderMap, random: &[u8; 34]) -> TraceContext {
    let (mut trace_id, mut span) = ([0; 16], [0; 8]);
    trace_id.copy_from_slice(&random[10..26]);
    span.copy_from_slice(&random[26..]);
    let span = u64::from_ne_bytes(span);
    let mut parents = headers.get_all("traceparent").iter();
    // A repeated header is malformed: the specification wants a new trace then.
    let parent = match (parents.next(), parents.next()) {
        (Some(parent), None) => parent.to_str().ok().and_then(|text| text.trim().parse::<TraceContext>().ok()),
        _ => None,
    };
    match parent {
        Some(parent) => parent.child(span),
        None => TraceContext::begin(u128::from_ne_bytes(trace_id), span),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_is_taken_over_and_otherwise_begun() {
        let mut headers = HeaderMap::new();
        let begun = trace(&headers, &[7; 34]);
        assert_ne!(begun.trace_id, 0);
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        headers.append("traceparent", parent.parse().expect("a header value"));
        let taken = trace(&headers, &[7; 34]);
        assert_eq!(taken.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_ne!(taken.parent_id, 0x00f0_67aa_0ba9_02b7, "a span of its own");
        headers.append("traceparent", parent.parse().expect("a header value"));
        assert_eq!(trace(&headers, &[7; 34]), begun);
    }

    #[test]
    fn request_id_is_of_version_7() {
        assert_eq!(request_id(&[7; 34]).get_version_num(), 7);
    }
}

//! Finds the owner of a slot and calls it.
//!
//! The directory starts from a few configured addresses, learns the topology and each shard's slots from
//! the shard-nodes themselves by long poll, and is set right at once by a `Moved` answer. It is a map
//! for finding owners; it never makes anyone an owner.

use crate::answer::{Answer, ShardMap};
use crate::link::{CallError, Link};
use crate::operation::{Call, CallContext, Operation, Read};
use crate::trace::TraceContext;
use arc_swap::ArcSwap;
use placement::{OwnershipMap, RegionCode, ShardId, Slot, Topology};
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long a shard-node may hold a question for its map, in milliseconds.
const MAP_WAIT_MS: u32 = 2_000;
const RETRY_AFTER: Duration = Duration::from_millis(20);
/// While a slot changes hands, both sides may for a moment point at each other.
const MOVED_RETRY_AFTER: Duration = Duration::from_millis(5);

/// What is known of the cluster at one moment.
#[derive(Debug, Default)]
pub struct View {
    /// The newest topology seen; `None` until the first shard-node has answered.
    pub topology: Option<Arc<Topology>>,
    /// Slot -> owner, merged from what each shard says of itself.
    pub ownership: OwnershipMap,
    links: HashMap<ShardId, Vec<Link>>,
}

/// Cloning shares it.
#[derive(Debug, Clone)]
pub struct Directory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    secret: String,
    user_agent: String,
    view: ArcSwap<View>,
    // Links by address; held while the view is replaced, so that two maps do not undo each other.
    links: Mutex<HashMap<String, Link>>,
    changes: watch::Sender<u64>,
    turn: AtomicUsize,
    started: Instant,
    refreshed_ms: AtomicI64,
}

/// An answer, and how it was come by.
#[derive(Debug)]
pub struct Routed {
    /// The answer.
    pub answer: Answer,
    /// Who gave it.
    pub shard: ShardId,
    /// How many shards said before that they were not the owner.
    pub bounces: u32,
}

impl Directory {
    /// Starts learning from the addresses given, within a tokio runtime. `user_agent` names the caller to whoever looks
    /// at its connections.
    pub fn start(seeds: &[String], secret: &str, user_agent: &str) -> Directory {
        let directory = Directory(Arc::new(Inner {
            secret: secret.to_owned(),
            user_agent: user_agent.to_owned(),
            view: ArcSwap::from_pointee(View::default()),
            links: Mutex::new(HashMap::new()),
            changes: watch::channel(0).0,
            turn: AtomicUsize::new(0),
            started: Instant::now(),
            refreshed_ms: AtomicI64::new(-1),
        }));
        let mut links = directory.0.links.lock().unwrap_or_else(PoisonError::into_inner);
        for address in seeds {
            directory.link_to(&mut links, address);
        }
        drop(links);
        directory
    }

    /// What is known now.
    pub fn view(&self) -> Arc<View> {
        self.0.view.load_full()
    }

    /// The age of the newest answer about the topology; `None` before the first.
    pub fn age(&self) -> Option<Duration> {
        let refreshed_ms = u64::try_from(self.0.refreshed_ms.load(Ordering::Relaxed)).ok()?;
        Some(self.0.started.elapsed().saturating_sub(Duration::from_millis(refreshed_ms)))
    }

    /// Whether every slot of every region has a known owner that can be called.
    pub fn is_complete(&self) -> bool {
        let view = self.0.view.load();
        let Some(topology) = &view.topology else { return false };
        topology
            .regions
            .iter()
            .all(|region| view.ownership.slots_known(region.code) == usize::from(placement::SLOT_COUNT))
    }

    /// Whether some shard-node of every shard of the region can be called.
    pub fn reaches_region(&self, region: RegionCode) -> bool {
        let view = self.0.view.load();
        let Some(topology) = &view.topology else { return false };
        topology
            .shards_of(region)
            .all(|shard| view.links.get(&shard.id).is_some_and(|links| links.iter().any(Link::is_up)))
    }

    /// Whether the owner of the slot can be called right now.
    pub fn reaches(&self, region: RegionCode, slot: Slot) -> bool {
        self.owner_link(region, slot, &[]).is_some()
    }

    /// Asks the owner of the operation's slot, following the slot if it has moved and sending again what
    /// may be sent again, until the call's time is up. A shard-node that cannot help now may be one of several over its
    /// database, and the only one that cannot reach it: the others are asked too, each once.
    ///
    /// # Errors
    /// [`CallError::NotApplied`]: nothing has happened. [`CallError::Unknown`]: it may have; ask again with
    /// the same key.
    pub async fn call(&self, context: CallContext, operation: Operation) -> Result<Routed, CallError> {
        let Some((region, slot)) = operation.place() else {
            return Err(CallError::NotApplied);
        };
        let deadline = Instant::now() + Duration::from_millis(u64::from(context.remaining_ms));
        let mut asking = Asking::new(operation);
        loop {
            let remaining = deadline.saturating_duration_since(Instant::now());
            let remaining_ms = u32::try_from(remaining.as_millis()).unwrap_or(u32::MAX);
            if remaining_ms == 0 {
                return Err(asking.failure);
            }
            let next = match self.owner_link(region, slot, &asking.unable) {
                None => asking.found_nobody(),
                Some((shard, link)) => {
                    let Some(operation) = asking.operation.clone() else { return Err(asking.failure) };
                    let context = CallContext { remaining_ms, ..context };
                    let answered = link.call(Call { context, operation }).await;
                    if let Ok(Answer::Moved { slot, owner: Some(owner), epoch }) = &answered {
                        self.correct(region, *slot, *owner, *epoch);
                    }
                    asking.answered(shard, link, answered)
                }
            };
            match next {
                ControlFlow::Break(end) => return end,
                ControlFlow::Continue(pause) => tokio::time::sleep(pause.min(remaining)).await,
            }
        }
    }

    /// A link that is up to a shard-node of the slot's owner, taking turns among replicas; but not to those who could not
    /// help.
    fn owner_link(&self, region: RegionCode, slot: Slot, unable: &[Link]) -> Option<(ShardId, Link)> {
        let view = self.0.view.load();
        let (shard, _) = view.ownership.owner(region, slot)?;
        let links = view.links.get(&shard)?;
        let turn = self.0.turn.fetch_add(1, Ordering::Relaxed);
        let mut candidates = (0..links.len()).map(|step| &links[(turn + step) % links.len()]);
        let can_help = |link: &&Link| link.is_up() && !unable.iter().any(|unable| unable.is(link));
        candidates.find(can_help).map(|link| (shard, link.clone()))
    }

    fn correct(&self, region: RegionCode, slot: Slot, owner: ShardId, epoch: placement::Epoch) {
        let _links = self.0.links.lock().unwrap_or_else(PoisonError::into_inner);
        let view = self.0.view.load_full();
        let mut ownership = view.ownership.clone();
        if ownership.correct(region, slot, owner, epoch) {
            self.replace(View { topology: view.topology.clone(), ownership, links: view.links.clone() });
        }
    }

    fn replace(&self, view: View) {
        self.0.view.store(Arc::new(view));
        self.0.changes.send_modify(|count| *count += 1);
    }

    /// The link to an address, opened and asked for its map from the first time on.
    fn link_to(&self, links: &mut HashMap<String, Link>, address: &str) -> Link {
        if let Some(link) = links.get(address) {
            return link.clone();
        }
        let link = Link::open(address.to_owned(), &self.0.secret, &self.0.user_agent);
        links.insert(address.to_owned(), link.clone());
        tokio::spawn(watch_map(Arc::downgrade(&self.0), link.clone()));
        link
    }

    fn merge(&self, map: &ShardMap) -> Result<(), serde_json::Error> {
        let said: Topology = serde_json::from_str(&map.topology)?;
        let mut links = self.0.links.lock().unwrap_or_else(PoisonError::into_inner);
        let view = self.0.view.load_full();
        let topology = match &view.topology {
            Some(known) if known.version >= said.version => known.clone(),
            Some(_) | None => Arc::new(said),
        };
        let mut ownership = view.ownership.clone();
        if let Some(region) = topology.region_of(map.shard) {
            ownership.merge(region.code, map.shard, &map.claims);
        }
        let shard_links = topology.shards.iter().map(|shard| {
            let addresses = shard.addresses.iter();
            (shard.id, addresses.map(|address| self.link_to(&mut links, address)).collect())
        });
        let shard_links = shard_links.collect();
        let now_ms = i64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.0.refreshed_ms.store(now_ms, Ordering::Relaxed);
        self.replace(View { topology: Some(topology), ownership, links: shard_links });
        Ok(())
    }

    /// Waits until the condition holds for what is known.
    pub async fn until(&self, condition: impl Fn(&Directory) -> bool) {
        let mut changes = self.0.changes.subscribe();
        while !condition(self) {
            // The sender lives as long as the directory.
            drop(changes.changed().await);
        }
    }
}

/// A call on its way to its answer.
struct Asking {
    /// `None` once it may not be sent again.
    operation: Option<Operation>,
    bounces: u32,
    /// What is known if no answer comes any more.
    failure: CallError,
    /// Those who could not help, and the last one's answer.
    unable: Vec<Link>,
    unavailable: Option<Routed>,
}

/// The end, or how long until the next attempt.
type Next = ControlFlow<Result<Routed, CallError>, Duration>;

impl Asking {
    fn new(operation: Operation) -> Asking {
        let failure = CallError::NotApplied;
        Asking { operation: Some(operation), bounces: 0, failure, unable: Vec::new(), unavailable: None }
    }

    fn answered(&mut self, shard: ShardId, link: Link, answered: Result<Answer, CallError>) -> Next {
        let bounces = self.bounces;
        match answered {
            Ok(Answer::Moved { .. }) => {
                self.bounces += 1;
                ControlFlow::Continue(MOVED_RETRY_AFTER)
            }
            Ok(answer @ Answer::Unavailable) if self.operation.as_ref().is_some_and(Operation::is_repeatable) => {
                self.unable.push(link);
                self.unavailable = Some(Routed { answer, shard, bounces });
                ControlFlow::Continue(Duration::ZERO)
            }
            // That is of this attempt; the one before may have been applied.
            Ok(Answer::Overloaded { .. } | Answer::Unavailable) if self.failure == CallError::Unknown => {
                ControlFlow::Break(Err(self.failure))
            }
            Ok(answer) => ControlFlow::Break(Ok(Routed { answer, shard, bounces })),
            Err(CallError::NotApplied) => ControlFlow::Continue(RETRY_AFTER),
            Err(CallError::Unknown) => {
                self.failure = CallError::Unknown;
                self.operation.take_if(|operation| !operation.is_repeatable());
                ControlFlow::Continue(RETRY_AFTER)
            }
        }
    }

    /// Those who cannot help are not asked again and again: whoever waits should know.
    fn found_nobody(&mut self) -> Next {
        match self.unavailable.take() {
            None => ControlFlow::Continue(RETRY_AFTER),
            Some(_) if self.failure == CallError::Unknown => ControlFlow::Break(Err(self.failure)),
            Some(routed) => ControlFlow::Break(Ok(routed)),
        }
    }
}

/// Keeps asking one shard-node for its map, for as long as the directory lives.
async fn watch_map(directory: std::sync::Weak<Inner>, link: Link) {
    let mut known_version = 0;
    loop {
        link.up().await;
        let trace = TraceContext::begin(rand_bits().into(), rand_bits());
        let context = CallContext { request_id: 0, trace, remaining_ms: MAP_WAIT_MS * 2 };
        let operation = Operation::Read(Read::Map { known_version, wait_ms: MAP_WAIT_MS });
        let answer = link.call(Call { context, operation }).await;
        let Some(inner) = directory.upgrade() else { return };
        match answer {
            Ok(Answer::Map(map)) => match Directory(inner).merge(&map) {
                Ok(()) => known_version = map.version,
                Err(error) => tracing::error!(%error, "a shard-node sent a topology that cannot be read"),
            },
            Ok(other) => {
                tracing::debug!(?other, "a shard-node has no map yet");
                tokio::time::sleep(RETRY_AFTER).await;
            }
            Err(error) => {
                tracing::debug!(%error, "a shard-node was not asked for its map");
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
}

/// Identifies a poll in the logs; not secret, need not be random beyond that.
fn rand_bits() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

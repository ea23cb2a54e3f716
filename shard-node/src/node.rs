//! What all parts of a running shard-node share.

use crate::config::{Config, SagaConfig};
use crate::gate::Gate;
use crate::lane::Lanes;
use crate::metrics::NodeMetrics;
use crate::reconcile::Recent;
use crate::saga::Waiters;
use crate::store::{self, Pool, QUESTION_MAX, ReadError, Standing};
use arc_swap::ArcSwap;
use placement::{RegionCode, ShardId, Slot};
use runtime::shutdown::Shutdown;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use wire::answer::{Answer, ShardMap};
use wire::directory::Directory;

/// One shard-node.
pub struct Node {
    /// The shard.
    pub shard: ShardId,
    /// Connections for everything that is not a lane.
    pub pool: Pool,
    /// One connection for the outbox alone: no crowd of questions may keep open sagas waiting.
    pub outbox_pool: Pool,
    /// Connections for comparing with other shards, one to ask and one to answer: no two shards wait for each other.
    pub reconcile_pool: Pool,
    /// What was read last to compare, or to answer one who does.
    pub recent: Recent,
    /// What the shard is and owns.
    pub standing: ArcSwap<Standing>,
    /// The same, as told to others.
    pub map: watch::Sender<Arc<ShardMap>>,
    /// Where other shards are.
    pub directory: Directory,
    /// The writers.
    pub lanes: Lanes,
    /// Whether they may write.
    pub gate: Gate,
    /// Who waits for which saga.
    pub waiters: Waiters,
    /// Bounds the messages that are on their way at once to each region, so that one that is cut off takes nothing
    /// from the others.
    pub deliveries: Mutex<HashMap<RegionCode, Arc<Semaphore>>>,
    /// Whether the reader of accounts has its connection.
    pub reader_is_up: AtomicBool,
    renewals: AtomicU64,
    renewed_at: Mutex<Option<Instant>>,
    /// Bounds the reads at work at once.
    pub reads: Arc<Semaphore>,
    /// What went wrong last with messages, until it is noted in the outbox.
    pub failures: Mutex<Vec<(placement::TransferId, String)>>,
    /// Settings of the saga.
    pub saga: SagaConfig,
    /// Counters.
    pub metrics: NodeMetrics,
    /// The signal to stop.
    pub shutdown: Shutdown,
}

/// Messages on their way at once to one region.
const DELIVERIES_MAX: usize = 4_096;
/// Reads at work at once, beyond those of single accounts, which are batched.
const READS_MAX: usize = 256;

/// What is said where too many reads are at work.
pub const TOO_MANY_READS: Answer = Answer::Overloaded { retry_after_ms: 1_000 };

impl Node {
    /// Puts the parts together.
    pub fn new(
        config: &Config,
        (pool, outbox_pool, reconcile_pool): (Pool, Pool, Pool),
        standing: Standing,
        lanes: Lanes,
        metrics: NodeMetrics,
        shutdown: Shutdown,
    ) -> Arc<Node> {
        let (version, shard, replica) = (env!("CARGO_PKG_VERSION"), config.shard, config.replica);
        let user_agent = format!("wallet-shard-node/{version} (shard-{shard}.{replica})");
        let peers: Vec<String> = standing.topology.shards.iter().flat_map(|shard| shard.addresses.clone()).collect();
        Arc::new(Node {
            shard: config.shard,
            pool,
            outbox_pool,
            reconcile_pool,
            recent: Recent::new(&config.reconcile),
            map: watch::Sender::new(Arc::new(map_of(&standing))),
            standing: ArcSwap::from_pointee(standing),
            directory: Directory::start(&peers, config.cluster_secret.expose(), &user_agent),
            lanes,
            gate: Gate::new(metrics.read_only.clone()),
            waiters: Waiters::default(),
            deliveries: Mutex::default(),
            reader_is_up: AtomicBool::new(false),
            renewals: AtomicU64::new(0),
            renewed_at: Mutex::default(),
            reads: Arc::new(Semaphore::new(READS_MAX)),
            failures: Mutex::default(),
            saga: config.saga.clone(),
            metrics,
            shutdown,
        })
    }

    /// Reads the standing again, if the fence has moved on.
    ///
    /// # Errors
    /// The database cannot be asked; the old standing stays, and the fence keeps refusing it.
    pub async fn refresh_standing(&self) -> Result<(), RefreshError> {
        let reading = self.pool.lend(QUESTION_MAX, async |client| {
            store::read_standing(client, self.shard).await.map_err(RefreshError::from)
        });
        let standing = reading.await?;
        if standing.version != self.standing.load().version {
            tracing::info!(version = standing.version, slots = standing.claims.len(), "ownership read");
            self.map.send_replace(Arc::new(map_of(&standing)));
            self.standing.store(Arc::new(standing));
        }
        Ok(())
    }

    /// Closes every connection that is not a lane's, and tells those who keep one to do so: they may lead to another server
    /// than the lanes' do, or than they did before, and what that one has to say may be old.
    pub fn renew_connections(&self) {
        self.renewals.fetch_add(1, Ordering::Relaxed);
        *self.renewed_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        [&self.pool, &self.outbox_pool, &self.reconcile_pool].iter().for_each(|pool| pool.renew());
    }

    /// How often that was done: a connection made at another number is not to be believed any more.
    pub fn renewals(&self) -> u64 {
        self.renewals.load(Ordering::Relaxed)
    }

    /// Whether that was done within this time: the server may be another one, with another clock.
    pub fn renewed_within(&self, time: Duration) -> bool {
        let renewed_at = *self.renewed_at.lock().unwrap_or_else(PoisonError::into_inner);
        renewed_at.is_some_and(|renewed_at| renewed_at.elapsed() <= time)
    }

    /// The answer to whoever asks for a slot that is not owned here.
    pub fn moved(&self, region: RegionCode, slot: Slot) -> Answer {
        let known = self.directory.view().ownership.owner(region, slot);
        let owner = known.map(|(shard, _)| shard).filter(|owner| *owner != self.shard);
        let epoch = known.map_or(placement::Epoch::FIRST, |(_, epoch)| epoch);
        Answer::Moved { slot, owner, epoch }
    }

    /// All shards but this one.
    pub fn peers(&self) -> Vec<ShardId> {
        let standing = self.standing.load();
        standing.topology.shards.iter().map(|shard| shard.id).filter(|id| *id != self.shard).collect()
    }

    /// A place for one message to the region, if there is one.
    pub fn delivery_to(&self, region: RegionCode) -> Option<OwnedSemaphorePermit> {
        let mut deliveries = self.deliveries.lock().unwrap_or_else(PoisonError::into_inner);
        let places = deliveries.entry(region).or_insert_with(|| Arc::new(Semaphore::new(DELIVERIES_MAX)));
        places.clone().try_acquire_owned().ok()
    }

    /// A place for one read at work; `None`: the answer is [`TOO_MANY_READS`].
    pub fn read_place(&self) -> Option<OwnedSemaphorePermit> {
        let place = self.reads.clone().try_acquire_owned();
        place.inspect_err(|_| self.metrics.overloaded.with_label_values(&["reads"]).inc()).ok()
    }

    /// Keeps what went wrong with a message, for the outbox to note.
    pub fn note_failure(&self, id: placement::TransferId, error: String) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push((id, error));
    }
}

/// The standing could not be read again.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The database cannot be asked.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What it says cannot be used.
    #[error(transparent)]
    Standing(#[from] store::StandingError),
}

fn map_of(standing: &Standing) -> ShardMap {
    // A topology was read from JSON, so it can be written as JSON.
    let topology = serde_json::to_string(&standing.topology).unwrap_or_default();
    let version = standing.version.cast_unsigned();
    ShardMap { shard: standing.shard, version, topology, claims: standing.claims.clone() }
}

//! The reconciler: pairs this shard's open and recent transfers with those of its peers, and its clearing accounts with
//! theirs. It only reads. What it finds is a metric, an alert and a log line; `walletctl verify` looks at everything
//! there ever was.
//!
//! A process that has just been started takes no commands before it has compared ([`open`]): its database may have been
//! restored from a backup.

mod ask;
mod clearing;
mod config;
mod halves;
mod judge;
mod known;
mod look;
mod metrics;
mod open;
mod pass;
mod peers;
mod recent;
mod serve;
mod verdict;

pub use config::ReconcileConfig;
pub use metrics::ReconcileMetrics;
pub use open::open;
pub use recent::Recent;
pub use serve::answer;

use crate::node::Node;
use crate::serve::until;
use crate::store::{DUTY_MAX, ReadError, reconcile};
use pass::{Memory, Pass};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What is counted as a violation of.
const PAIRING: &str = "pairing";
const CLEARING: &str = "clearing";
const INVARIANTS: [&str; 2] = [PAIRING, CLEARING];
/// A pass that takes longer than this hangs.
const PASS_MAX: Duration = Duration::from_secs(45);
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// A pass in which a peer did not answer is made again after this long.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Compares at every interval, until the node stops. One replica of the shard does it; the others wait to take over.
pub async fn run(node: Arc<Node>, config: ReconcileConfig, metrics: ReconcileMetrics) {
    // From the start, so that the first one is seen as an increase.
    for invariant in INVARIANTS {
        node.metrics.violations.with_label_values(&[invariant]).inc_by(0);
    }
    // Until then the comparison before the first command needs its connection.
    node.gate.opened().await;
    let mut reconciler = Reconciler { node, config, metrics, leading: None, renewals: 0, memory: Memory::default() };
    let mut retries = false;
    while !reconciler.node.shutdown.is_triggered() {
        let next = Instant::now() + until_next(reconciler.config.interval);
        let turn = tokio::time::timeout(PASS_MAX, reconciler.turn()).await;
        let all_answered = matches!(turn, Ok(Ok(true)));
        let failed = match turn {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("it hangs".to_owned()),
        };
        if let Some(error) = failed {
            tracing::warn!(error, "a comparison with other shards broke off");
            reconciler.leave();
        }
        // Once more soon, but only once: who cannot answer is not to be asked all the time.
        retries = !all_answered && !retries;
        let pause = next.saturating_duration_since(Instant::now()).max(PAUSE_MIN);
        until(&reconciler.node.shutdown, if retries { pause.min(RETRY_AFTER) } else { pause }).await;
    }
    reconciler.leave();
}

/// All shards begin together, so that each reads its rows once for itself and for all who ask. By a clock that is wrong
/// it reads them more often.
fn until_next(interval: Duration) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let since = Duration::from_nanos((now.as_nanos() % interval.as_nanos()) as u64);
    interval - since
}

struct Reconciler {
    node: Arc<Node>,
    config: ReconcileConfig,
    metrics: ReconcileMetrics,
    /// The connection that has the lead.
    leading: Option<deadpool_postgres::Client>,
    /// What was counted when that was made.
    renewals: u64,
    memory: Memory,
}

impl Reconciler {
    /// Whether everybody answered who was asked.
    async fn turn(&mut self) -> Result<bool, ReadError> {
        if self.renewals != self.node.renewals() {
            self.renewals = self.node.renewals();
            self.leave();
        }
        if self.leading.is_none() {
            let leading = self.node.reconcile_pool.win(DUTY_MAX, async |client| reconcile::lead(client).await);
            self.leading = leading.await?;
        }
        let Some(client) = &mut self.leading else {
            self.memory = Memory::default();
            self.metrics.stand_by();
            return Ok(true);
        };
        let (node, config, metrics, memory) = (&*self.node, &self.config, &self.metrics, &mut self.memory);
        memory.begin_with(&node.peers(), metrics);
        Pass { node, config, metrics, client, renewals: self.renewals, memory }.run().await
    }

    /// The lead ends with the connection, which must not go back to the pool with it.
    fn leave(&mut self) {
        if let Some(client) = self.leading.take() {
            drop(deadpool_postgres::Client::take(client));
        }
    }
}

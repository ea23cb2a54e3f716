//! One comparison with all peers.

use super::ask::{self, Unasked};
use super::clearing::{self, Difference, books};
use super::config::ReconcileConfig;
use super::halves::Half;
use super::judge::{Part, drift};
use super::known::{Known, Suspect};
use super::metrics::ReconcileMetrics;
use super::peers::Peers;
use super::recent::{self, CLEARING_ONLY, COVERED_MIN, Snapshot};
use crate::node::Node;
use crate::serve::until;
use crate::store::ReadError;
use crate::store::reconcile::Wanted;
use futures_util::future::join_all;
use ledger::Timestamp;
use placement::ShardId;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;
use wire::pairing::{Halves, Settling};

/// A row may be visible so long after its time. Read again, so that none is missed; of one that is later still, the peer
/// has the other half.
const OVERLAP: Duration = Duration::from_secs(10);
/// Whoever compared before may have left so much out.
const COVERED_FIRST: Duration = Duration::from_secs(90);
/// A difference of clearing accounts counts if it is the same so many times, in the first look and later ones.
const LOOKS: u32 = 3;
const TRANSFERS_TOLD_MAX: usize = 10_000;

/// What outlives a pass.
#[derive(Debug, Default)]
pub struct Memory {
    /// What is wrong.
    pub known: Known,
    /// When the last reading began whose transfers were compared with a peer's.
    passed: HashMap<ShardId, Instant>,
    /// Whose last comparison is shown.
    shown: BTreeSet<ShardId>,
}

impl Memory {
    /// A peer counts as compared with when it is first to be: one that is never reached is then missed as soon as one that
    /// is not reached any more.
    pub fn begin_with(&mut self, peers: &[ShardId], metrics: &ReconcileMetrics) {
        for peer in peers {
            if self.shown.insert(*peer) {
                metrics.succeeded(*peer, jiff::Timestamp::now());
            }
        }
    }
}

/// What one pass works with.
pub struct Pass<'a> {
    /// The node.
    pub node: &'a Node,
    /// How much.
    pub config: &'a ReconcileConfig,
    /// What is shown.
    pub metrics: &'a ReconcileMetrics,
    /// The connection that has the lead.
    pub client: &'a mut deadpool_postgres::Client,
    /// What was counted when that was made.
    pub renewals: u64,
    /// What the passes before left.
    pub memory: &'a mut Memory,
}

/// What one peer's answers came to.
struct Compared {
    suspects: Vec<Suspect>,
    accounts: Accounts,
}

/// What the clearing accounts came to.
enum Accounts {
    Compared(Difference),
    /// Nothing follows from them for now.
    NotNow,
    /// The peer did not tell.
    NotTold,
}

impl Pass<'_> {
    /// Compares everything recent with every peer that can be reached, and looks again at what seems wrong. Whether all of
    /// them answered.
    ///
    /// # Errors
    /// This shard's own database cannot be read.
    pub async fn run(mut self) -> Result<bool, ReadError> {
        let peers = Peers::known_to(self.node);
        let began = Instant::now();
        let own = self.read(self.covered(&peers)).await?;
        let (compared, mut all_answered) = self.compare(&own, &peers).await;
        self.metrics.pass_seconds.observe(began.elapsed().as_secs_f64());
        let mut differences = BTreeMap::new();
        for (peer, compared) in compared {
            self.memory.known.suspect(compared.suspects);
            self.memory.passed.insert(peer, own.began);
            match compared.accounts {
                Accounts::Compared(difference) => {
                    differences.insert(peer, difference);
                    self.metrics.succeeded(peer, jiff::Timestamp::now());
                }
                Accounts::NotNow => {}
                Accounts::NotTold => all_answered = false,
            }
        }
        self.look_again(differences, &peers).await?;
        self.memory.known.show(&peers.others(), &self.node.standing.load().currencies, self.metrics);
        Ok(all_answered)
    }

    /// As far back as the last pass that reached every peer that can be reached now.
    fn covered(&self, peers: &Peers) -> Duration {
        let reached = peers.others().into_iter().filter(|peer| self.reaches(peers, *peer));
        let since = reached.map(|peer| self.memory.passed.get(&peer).map_or(COVERED_FIRST, Instant::elapsed)).max();
        (since.unwrap_or_default() + OVERLAP).max(COVERED_MIN).min(self.config.recent)
    }

    fn reaches(&self, peers: &Peers, peer: ShardId) -> bool {
        peers.place(peer).is_some_and(|(region, slot)| self.node.directory.reaches(region, slot))
    }

    /// Reads so far back; if that is too much at once, as little as will do: to compare nothing would not make it less.
    async fn read(&mut self, covered: Duration) -> Result<Arc<Snapshot>, ReadError> {
        let own = self.read_at_once(covered).await?;
        if own.reading.is_whole {
            return Ok(own);
        }
        let left_out = covered.saturating_sub(COVERED_MIN).as_secs();
        tracing::warn!(left_out, "more is open, or was decided since the last pass, than is compared at once");
        if covered > COVERED_MIN { self.read_at_once(COVERED_MIN).await } else { Ok(own) }
    }

    async fn read_at_once(&mut self, covered: Duration) -> Result<Arc<Snapshot>, ReadError> {
        let wanted = Wanted { covered, transfers: self.config.transfers_max, further: self.config.recent };
        let (node, renewals) = (self.node, self.renewals);
        node.recent.get(wanted, || renewals, async |wanted| Snapshot::read(self.client, wanted).await).await
    }

    /// And whether every peer that can be reached answered.
    async fn compare(&self, own: &Snapshot, peers: &Peers) -> (Vec<(ShardId, Compared)>, bool) {
        let mut by_peer: BTreeMap<ShardId, Vec<&Half>> = BTreeMap::new();
        for half in &own.halves {
            // An unknown owner is one that cannot be reached either.
            if let Some(peer) = peer_of(half, peers)
                && !(peer == self.node.shard && half.moved_nothing())
            {
                by_peer.entry(peer).or_default().push(half);
            }
        }
        for other in peers.others() {
            by_peer.entry(other).or_default();
        }
        let compared = by_peer.into_iter().map(|(peer, halves)| async move {
            match self.compare_with(peer, halves, own, peers).await {
                Ok(compared) => Ok((peer, compared)),
                Err(error) => {
                    tracing::info!(%peer, error = &error as &dyn std::error::Error, "a peer was not compared with");
                    Err(matches!(error, Unasked::Unreachable))
                }
            }
        });
        let compared = join_all(compared).await;
        let all_answered = compared.iter().all(|compared| !matches!(compared, Err(false)));
        (compared.into_iter().flatten().collect(), all_answered)
    }

    async fn compare_with(
        &self,
        peer: ShardId,
        halves: Vec<&Half>,
        own: &Snapshot,
        peers: &Peers,
    ) -> Result<Compared, Unasked> {
        // First, while this shard's reading is young.
        let accounts = match peer == self.node.shard {
            true => Accounts::NotNow,
            false => self.clearing_with(peer, own, peers).await?,
        };
        let ids: Vec<Uuid> = halves.iter().map(|half| half.id).collect();
        let others = ask::look_up(self.node, self.client, peers, peer, &ids).await?;
        self.metrics.compared(peer, ids.len());
        let wrong = halves.iter().zip(&others).filter(|(half, other)| judged(half.part, &half.halves, other).is_some());
        let suspects = wrong.map(|(half, _)| Suspect { id: half.id, peer, part: half.part });
        Ok(Compared { suspects: suspects.take(TRANSFERS_TOLD_MAX).collect(), accounts })
    }

    /// A peer that does not tell of its accounts may still tell of transfers.
    async fn clearing_with(&self, peer: ShardId, own: &Snapshot, peers: &Peers) -> Result<Accounts, Unasked> {
        let number = i32::from(peer.get());
        let as_of = Timestamp(own.reading.now.0 - micros(clearing::AGE));
        let mut mine = books(&own.reading, as_of, number, |account| peers.of_account(account) == Some(peer));
        mine.is_whole &= !self.node.renewed_within(clearing::SAME_SERVER);
        let asked = Instant::now();
        let theirs = match ask::clearing(self.node, peers, peer, own.began.elapsed()).await {
            Ok(theirs) => theirs,
            Err(Unasked::Unreachable) => return Err(Unasked::Unreachable),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::info!(%peer, error, "a peer's clearing account was not compared");
                return Ok(Accounts::NotTold);
            }
        };
        // How far apart the two moments are is not known better than this.
        if asked.elapsed() > clearing::SLACK || !mine.is_whole || !theirs.is_whole {
            tracing::info!(%peer, ours = mine.is_whole, theirs = theirs.is_whole, "clearing cannot be compared now");
            return Ok(Accounts::NotNow);
        }
        let there = credited(self.node, self.client, peer, &mine.settling, peers).await?;
        let here = credited_here(self.node, self.client, own, &theirs.settling, peers).await?;
        Ok(Accounts::Compared(clearing::difference(&mine, &theirs, &there, &here)))
    }

    /// A transfer that looks wrong twice is wrong, and a difference that is the same each time.
    async fn look_again(
        &mut self,
        mut differences: BTreeMap<ShardId, Difference>,
        peers: &Peers,
    ) -> Result<(), ReadError> {
        self.settle_certain(&mut differences);
        let suspects = self.memory.known.suspects();
        if !suspects.is_empty() || !differences.is_empty() {
            until(&self.node.shutdown, self.config.confirm_after).await;
        }
        self.judge_again(suspects, peers).await;
        for look in 1..LOOKS {
            if differences.is_empty() {
                return Ok(());
            }
            if look > 1 {
                until(&self.node.shutdown, self.config.confirm_after).await;
            }
            let own = Snapshot::read(self.client, CLEARING_ONLY).await?;
            for (peer, before) in std::mem::take(&mut differences) {
                match self.clearing_with(peer, &own, peers).await {
                    Ok(Accounts::Compared(now)) => {
                        let is_nothing = now.is_empty();
                        let same = now.into_iter().filter(|(currency, amount)| before.get(currency) == Some(amount));
                        let same: Difference = same.collect();
                        // One that changes from look to look is not certain; the next pass looks afresh.
                        if is_nothing || !same.is_empty() {
                            differences.insert(peer, same);
                        }
                    }
                    Ok(Accounts::NotNow | Accounts::NotTold) => {}
                    Err(error) => {
                        tracing::info!(%peer, error = &error as &dyn std::error::Error, "a peer was not asked again");
                    }
                }
            }
            self.settle_certain(&mut differences);
        }
        for (peer, difference) in &differences {
            self.memory.known.compared(*peer, difference, &self.node.metrics.violations);
        }
        Ok(())
    }

    /// No difference needs no second look, nor does one that was reported before.
    fn settle_certain(&mut self, differences: &mut BTreeMap<ShardId, Difference>) {
        differences.retain(|peer, difference| {
            let is_certain = difference.is_empty() || *difference == self.memory.known.clearing_with(*peer);
            if is_certain {
                self.memory.known.compared(*peer, difference, &self.node.metrics.violations);
            }
            !is_certain
        });
    }

    async fn judge_again(&mut self, suspects: BTreeSet<Suspect>, peers: &Peers) {
        let mut by_peer: BTreeMap<ShardId, Vec<Suspect>> = BTreeMap::new();
        for suspect in suspects {
            by_peer.entry(suspect.peer).or_default().push(suspect);
        }
        for (peer, suspects) in by_peer {
            let ids: Vec<Uuid> = suspects.iter().map(|suspect| suspect.id).collect();
            let found = async {
                let mine = ask::look_up(self.node, self.client, peers, self.node.shard, &ids).await?;
                let others = ask::look_up(self.node, self.client, peers, peer, &ids).await?;
                Ok::<_, Unasked>((mine, others))
            };
            match found.await {
                Ok((mine, others)) => {
                    for (suspect, (mine, other)) in suspects.into_iter().zip(mine.iter().zip(&others)) {
                        let wrong = judged(suspect.part, mine, other);
                        self.memory.known.judged(suspect, wrong, &self.node.metrics.violations);
                    }
                }
                Err(error) => {
                    tracing::warn!(%peer, error = &error as &dyn std::error::Error, "a suspicion was not looked at again");
                }
            }
        }
    }
}

/// When transfers were credited on a shard, as far as they were.
pub(super) async fn credited(
    node: &Node,
    client: &deadpool_postgres::Client,
    shard: ShardId,
    settling: &[Settling],
    peers: &Peers,
) -> Result<HashMap<Uuid, Timestamp>, Unasked> {
    let ids: Vec<Uuid> = settling.iter().map(|transfer| transfer.id).collect();
    let found = ask::look_up(node, client, peers, shard, &ids).await?;
    Ok(times_of_credit(&ids, &found))
}

/// When transfers were credited on this shard; the snapshot has most of them.
async fn credited_here(
    node: &Node,
    client: &deadpool_postgres::Client,
    own: &Snapshot,
    settling: &[Settling],
    peers: &Peers,
) -> Result<HashMap<Uuid, Timestamp>, Unasked> {
    let ids: Vec<Uuid> = settling.iter().map(|transfer| transfer.id).collect();
    let here = async |unknown: &[Uuid]| ask::look_up(node, client, peers, node.shard, unknown).await;
    let found = recent::look_up(Some(own), &ids, here).await?;
    Ok(times_of_credit(&ids, &found))
}

fn times_of_credit(ids: &[Uuid], found: &[Halves]) -> HashMap<Uuid, Timestamp> {
    ids.iter().zip(found).filter_map(|(id, halves)| Some((*id, credited_at(halves)?))).collect()
}

/// The shard that has the other half; `None` if it is unknown, or if there can be no other half.
pub(super) fn peer_of(half: &Half, peers: &Peers) -> Option<ShardId> {
    let named = peers.of_account(half.other_account());
    match half.part {
        Part::Debit => named,
        // A decision alone names no account, but its transfer's id tells where the debit account is.
        Part::Credit => named.or_else(|| peers.of_transfer(half.id)),
    }
}

/// This shard's halves were read before the other's.
fn judged(part: Part, mine: &Halves, other: &Halves) -> Option<String> {
    match part {
        Part::Debit => drift(part, mine, other),
        Part::Credit => drift(part, other, mine),
    }
}

fn credited_at(halves: &Halves) -> Option<Timestamp> {
    let decided = halves.decision.filter(|decision| decision.is_credited).map(|decision| decision.decided_at);
    decided.or_else(|| halves.terminal.as_ref().filter(|ended| ended.has_credit).map(|ended| ended.decided_at))
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

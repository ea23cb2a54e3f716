//! What is done to messages, by the proxies.

use std::sync::Arc;
use std::time::Duration;

use local_cluster::ProcessName;

use super::cluster::{HarmedCluster, locked, node};
use super::kinds::Harm;
use super::proxy::{Manner, Replay, Way, Ways};

impl HarmedCluster {
    /// Does a harm to the network; any other harm is none here.
    pub(super) fn disturb(&self, harm: &Harm) {
        match harm {
            Harm::Partition { one, other } => self.both_ways(one, other, |manner| manner.is_blocked = true),
            Harm::OneWayPartition { from, to } => self.one_way(from, to, |manner| manner.is_blocked = true),
            Harm::FlappingPartition { one, other, period_ms } => {
                let ways: Vec<Way> =
                    [Way::packets(one, other), Way::packets(other, one)].into_iter().flatten().collect();
                let flapping = flap(self.proxies.ways.clone(), ways, Duration::from_millis(*period_ms));
                locked(&self.marks.ongoing).spawn(flapping);
            }
            Harm::Delay { one, other, delay_ms } => self.delay(one, other, *delay_ms),
            Harm::SlowPostgres { shard, delay_ms } => {
                self.servers(*shard).iter().for_each(|server| self.delay(&node(*shard), server, *delay_ms));
            }
            Harm::LoseCommits { shard, every } => {
                let lose = |server| {
                    self.change(Way::answers(&node(*shard), server), |manner| {
                        manner.cut_within_commit = Some(*every);
                    })
                };
                self.servers(*shard).iter().for_each(lose);
            }
            Harm::CutMidMessage { from, to, every } => {
                for way in [Way::requests(from, to), Way::answers(from, to)] {
                    self.change(way, |manner| manner.cut_within = Some(*every));
                }
            }
            Harm::DuplicateRequests { from, to, every } => {
                self.change(Way::requests(from, to), |manner| manner.duplicate_every = Some(*every));
            }
            Harm::ReplayRequests { from, to, every, after_ms } => {
                let replay = Replay { every: *every, after: Duration::from_millis(*after_ms) };
                self.change(Way::requests(from, to), |manner| manner.replay = Some(replay));
            }
            Harm::DropAnswers { from, to, every } => {
                self.change(Way::answers(from, to), |manner| manner.drop_every = Some(*every));
            }
            Harm::Kill { .. }
            | Harm::Freeze { .. }
            | Harm::RollingRestart
            | Harm::WrongClock { .. }
            | Harm::DiskFull { .. }
            | Harm::ConnectionsExhausted { .. }
            | Harm::Failover { .. } => {}
        }
    }

    /// The PostgreSQL servers of a shard.
    pub(super) fn servers(&self, shard: u16) -> Vec<ProcessName> {
        self.layout().postgres.iter().filter(|server| server.shard() == Some(shard)).cloned().collect()
    }

    fn delay(&self, one: &ProcessName, other: &ProcessName, delay_ms: u64) {
        self.both_ways(one, other, |manner| manner.delay = Duration::from_millis(delay_ms));
    }

    fn both_ways(&self, one: &ProcessName, other: &ProcessName, change: impl Fn(&mut Manner)) {
        self.one_way(one, other, &change);
        self.one_way(other, one, &change);
    }

    fn one_way(&self, from: &ProcessName, to: &ProcessName, change: impl Fn(&mut Manner)) {
        Way::packets(from, to).into_iter().for_each(|way| self.change(way, &change));
    }

    fn change(&self, way: Way, change: impl FnOnce(&mut Manner)) {
        self.proxies.ways.change(way, change);
    }
}

/// Closes and opens ways in turns.
async fn flap(ways: Arc<Ways>, flapping: Vec<Way>, period: Duration) {
    let mut turns = tokio::time::interval(period);
    let mut is_blocked = false;
    loop {
        turns.tick().await;
        is_blocked = !is_blocked;
        flapping.iter().for_each(|way| ways.change(way.clone(), |manner| manner.is_blocked = is_blocked));
    }
}

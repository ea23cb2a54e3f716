//! Drawing harms from a seeded generator.

use local_cluster::ProcessName;
use rand::{Rng, RngExt};

use super::kinds::{Harm, HarmClass};

/// What there is to be hurt. Two clusters of one layout get the same harms from the same seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// All routers.
    pub routers: Vec<ProcessName>,
    /// All shard-nodes.
    pub shard_nodes: Vec<ProcessName>,
    /// All PostgreSQL servers.
    pub postgres: Vec<ProcessName>,
    /// All Redis servers.
    pub redis: Vec<ProcessName>,
    /// The shards whose PostgreSQL has a disk that can be filled.
    pub limited_disks: Vec<u16>,
    /// The shards with a synchronous standby.
    pub standbys: Vec<u16>,
    /// Whether clocks can be set wrong.
    pub clocks: bool,
}

/// An hour, which is what clocks are off by.
const CLOCK_OFF_SECONDS: i64 = 3_600;

impl Layout {
    /// The classes of harm that can be done here.
    pub fn classes(&self) -> Vec<HarmClass> {
        let possible = |class: &HarmClass| match class {
            HarmClass::DiskFull => !self.limited_disks.is_empty(),
            HarmClass::Failover => !self.standbys.is_empty(),
            HarmClass::WrongClock => self.clocks,
            _ => true,
        };
        HarmClass::ALL.into_iter().filter(possible).collect()
    }

    fn shards(&self) -> Vec<u16> {
        self.shard_nodes.iter().filter_map(ProcessName::shard).collect()
    }

    fn processes(&self) -> Vec<ProcessName> {
        [&self.routers, &self.shard_nodes, &self.postgres].into_iter().flatten().cloned().collect()
    }
}

/// Draws a harm of one class. The same state of the generator and the same layout give the same harm.
///
/// # Panics
/// The layout has nothing that could be hurt in this way: see [`Layout::classes`].
pub fn draw_of(rng: &mut impl Rng, layout: &Layout, class: HarmClass) -> Harm {
    match class {
        HarmClass::KillRouter => kill(rng, &layout.routers),
        HarmClass::KillShardNode => kill(rng, &layout.shard_nodes),
        HarmClass::KillPostgres => kill(rng, &layout.postgres),
        HarmClass::KillRedis => kill(rng, &layout.redis),
        HarmClass::FreezeRouter => freeze(rng, &layout.routers),
        HarmClass::FreezeShardNode => freeze(rng, &layout.shard_nodes),
        HarmClass::FreezePostgres => freeze(rng, &layout.postgres),
        HarmClass::FreezeRedis => freeze(rng, &layout.redis),
        HarmClass::RollingRestart => Harm::RollingRestart,
        HarmClass::WrongClock => {
            let process = pick(rng, &layout.processes());
            let ahead_seconds = if rng.random() { CLOCK_OFF_SECONDS } else { -CLOCK_OFF_SECONDS };
            Harm::WrongClock { process, ahead_seconds }
        }
        HarmClass::SlowPostgres => {
            Harm::SlowPostgres { shard: pick(rng, &layout.shards()), delay_ms: rng.random_range(10..=100) }
        }
        HarmClass::LoseCommits => {
            Harm::LoseCommits { shard: pick(rng, &layout.shards()), every: rng.random_range(1..=20) }
        }
        HarmClass::DiskFull => Harm::DiskFull { shard: pick(rng, &layout.limited_disks) },
        HarmClass::ConnectionsExhausted => Harm::ConnectionsExhausted { shard: pick(rng, &layout.shards()) },
        HarmClass::Failover => Harm::Failover { shard: pick(rng, &layout.standbys) },
        HarmClass::Partition
        | HarmClass::OneWayPartition
        | HarmClass::FlappingPartition
        | HarmClass::Delay
        | HarmClass::CutMidMessage
        | HarmClass::DuplicateRequests
        | HarmClass::ReplayRequests
        | HarmClass::DropAnswers => on_a_link(rng, layout, class),
    }
}

/// What is done to messages: between a router and a shard-node or two shard-nodes, or with PostgreSQL or Redis.
fn on_a_link(rng: &mut impl Rng, layout: &Layout, class: HarmClass) -> Harm {
    let only_links = [HarmClass::DuplicateRequests, HarmClass::ReplayRequests, HarmClass::DropAnswers];
    let with_server = !only_links.contains(&class) && rng.random_bool(0.2);
    let (from, to) = if with_server { ends_at_a_server(rng, layout) } else { ends(rng, layout) };
    match class {
        HarmClass::Partition => Harm::Partition { one: from, other: to },
        HarmClass::OneWayPartition if rng.random() => Harm::OneWayPartition { from: to, to: from },
        HarmClass::OneWayPartition => Harm::OneWayPartition { from, to },
        HarmClass::FlappingPartition => {
            Harm::FlappingPartition { one: from, other: to, period_ms: rng.random_range(50..=1_500) }
        }
        HarmClass::Delay => Harm::Delay { one: from, other: to, delay_ms: rng.random_range(20..=1_500) },
        HarmClass::CutMidMessage => Harm::CutMidMessage { from, to, every: rng.random_range(2..=40) },
        HarmClass::DuplicateRequests => Harm::DuplicateRequests { from, to, every: rng.random_range(1..=4) },
        HarmClass::ReplayRequests => {
            let (every, after_ms) = (rng.random_range(1..=4), rng.random_range(1..=2_000));
            Harm::ReplayRequests { from, to, every, after_ms }
        }
        _ => Harm::DropAnswers { from, to, every: rng.random_range(1..=4) },
    }
}

/// Who calls whom: a router or another shard's node, and a shard-node.
fn ends(rng: &mut impl Rng, layout: &Layout) -> (ProcessName, ProcessName) {
    let to = pick(rng, &layout.shard_nodes);
    let callers = layout.routers.iter().chain(&layout.shard_nodes);
    let callers: Vec<ProcessName> =
        callers.filter(|caller| caller.shard().is_none() || caller.shard() != to.shard()).cloned().collect();
    (pick(rng, &callers), to)
}

/// A PostgreSQL or Redis, and who calls it.
fn ends_at_a_server(rng: &mut impl Rng, layout: &Layout) -> (ProcessName, ProcessName) {
    let servers: Vec<ProcessName> = layout.postgres.iter().chain(&layout.redis).cloned().collect();
    let to = pick(rng, &servers);
    let from = match &to {
        ProcessName::Redis { region } => ProcessName::Router { region: region.clone(), replica: 0 },
        other => ProcessName::ShardNode { shard: other.shard().unwrap_or_default(), replica: 0 },
    };
    (from, to)
}

fn kill(rng: &mut impl Rng, processes: &[ProcessName]) -> Harm {
    Harm::Kill { process: pick(rng, processes), pause_ms: rng.random_range(0..=3_000) }
}

fn freeze(rng: &mut impl Rng, processes: &[ProcessName]) -> Harm {
    Harm::Freeze { process: pick(rng, processes), pause_ms: rng.random_range(100..=6_000) }
}

fn pick<T: Clone>(rng: &mut impl Rng, from: &[T]) -> T {
    from[rng.random_range(0..from.len())].clone()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::*;

    fn layout() -> Layout {
        let names = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
        Layout {
            routers: names(&["router-sg", "router-eu"]),
            shard_nodes: names(&["shard-node-1", "shard-node-2", "shard-node-3", "shard-node-4"]),
            postgres: names(&["postgres-1", "postgres-2", "postgres-3", "postgres-4"]),
            redis: names(&["redis-sg", "redis-eu"]),
            limited_disks: vec![2],
            standbys: vec![3],
            clocks: true,
        }
    }

    fn drawn(seed: u64, layout: &Layout) -> Vec<Harm> {
        let mut rng = SmallRng::seed_from_u64(seed);
        let classes = layout.classes();
        let drawn = |_| {
            let class = pick(&mut rng, &classes);
            draw_of(&mut rng, layout, class)
        };
        (0..400).map(drawn).collect()
    }

    #[test]
    fn same_seed_draws_the_same_harms() {
        assert_eq!(drawn(7, &layout()), drawn(7, &layout()));
        assert_ne!(drawn(7, &layout()), drawn(8, &layout()));
    }

    #[test]
    fn every_class_is_drawn() {
        let classes: BTreeSet<HarmClass> = drawn(7, &layout()).iter().map(Harm::class).collect();
        assert_eq!(classes, HarmClass::ALL.into());
    }

    #[test]
    fn harm_that_cannot_be_done_is_not_drawn() {
        let poor = Layout { limited_disks: vec![], standbys: vec![], clocks: false, ..layout() };
        let classes: BTreeSet<HarmClass> = drawn(7, &poor).iter().map(Harm::class).collect();
        assert_eq!(classes, poor.classes().into_iter().collect());
        assert_eq!(classes.len(), HarmClass::ALL.len() - 3);
    }

    #[test]
    fn nobody_is_parted_from_itself() {
        for harm in drawn(7, &layout()) {
            if let Harm::Partition { one, other } = harm {
                let is_own_server = other.role() == local_cluster::Role::Postgres;
                assert!(one != other && (one.shard().is_none() || is_own_server || one.shard() != other.shard()));
            }
        }
    }

    #[test]
    fn harm_reads_as_one_line() {
        for harm in drawn(7, &layout()) {
            let line = harm.to_string();
            assert!(!line.contains('\n') && line.len() < 120, "{line}");
            serde_json::to_string(&harm).unwrap();
        }
    }
}

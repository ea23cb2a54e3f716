//! What can be done to a cluster.

use std::fmt;

use local_cluster::ProcessName;
use serde::Serialize;

/// One fault, with everything that was drawn for it: the same value does the same harm again.
///
/// Processes on a network are named like processes of the cluster. What a harm does to messages lasts until the
/// cluster is healed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "class", rename_all = "snake_case")]
pub enum Harm {
    /// `SIGKILL` (to a PostgreSQL: its postmaster, after which its back-ends end too), and a start after a pause.
    Kill {
        /// Who is killed.
        process: ProcessName,
        /// The time until it is started again, in milliseconds.
        pause_ms: u64,
    },
    /// `SIGSTOP`, to a PostgreSQL for its back-ends too, and `SIGCONT` after a pause.
    Freeze {
        /// Who is stopped.
        process: ProcessName,
        /// For how long, in milliseconds.
        pause_ms: u64,
    },
    /// Every process is stopped gracefully and started again, one after the other.
    RollingRestart,
    /// Nothing passes between two processes, either way.
    Partition {
        /// One of them.
        one: ProcessName,
        /// The other.
        other: ProcessName,
    },
    /// Nothing passes from one process to another; the other way is open.
    OneWayPartition {
        /// Whose packets are lost.
        from: ProcessName,
        /// Who does not get them.
        to: ProcessName,
    },
    /// A partition that comes and goes.
    FlappingPartition {
        /// One of them.
        one: ProcessName,
        /// The other.
        other: ProcessName,
        /// How long it is closed, and then open, in milliseconds.
        period_ms: u64,
    },
    /// Everything between two processes takes longer, each way.
    Delay {
        /// One of them.
        one: ProcessName,
        /// The other.
        other: ProcessName,
        /// How much longer each way, in milliseconds.
        delay_ms: u64,
    },
    /// Connections from one process to another are cut in the middle of a message, requests and answers in turn.
    CutMidMessage {
        /// Whose connections.
        from: ProcessName,
        /// Whom they lead to.
        to: ProcessName,
        /// Each connection ends at about this message of its.
        every: u32,
    },
    /// Requests arrive twice.
    DuplicateRequests {
        /// Who sends them.
        from: ProcessName,
        /// Who gets them twice.
        to: ProcessName,
        /// Every how many-th request; 1 means each.
        every: u32,
    },
    /// Requests arrive once more, after a while.
    ReplayRequests {
        /// Who sent them.
        from: ProcessName,
        /// Who gets them again.
        to: ProcessName,
        /// Every how many-th request; 1 means each.
        every: u32,
        /// How much later, in milliseconds.
        after_ms: u64,
    },
    /// Answers are lost after the request had its effect.
    DropAnswers {
        /// Who asked.
        from: ProcessName,
        /// Whose answers are lost.
        to: ProcessName,
        /// Every how many-th answer; 1 means each.
        every: u32,
    },
    /// A shard-node's words with its PostgreSQL take a hundred times as long.
    SlowPostgres {
        /// The shard.
        shard: u16,
        /// How much longer each way, in milliseconds.
        delay_ms: u64,
    },
    /// Connections to PostgreSQL are cut in the middle of the answer to a `COMMIT` that has been carried out.
    LoseCommits {
        /// The shard.
        shard: u16,
        /// Each connection ends at this commit of its.
        every: u32,
    },
    /// The wall clock of a process is off; it is restarted for that.
    WrongClock {
        /// Whose clock.
        process: ProcessName,
        /// How far it is ahead, in seconds; negative: behind.
        ahead_seconds: i64,
    },
    /// A PostgreSQL's disk has no free byte.
    DiskFull {
        /// The shard.
        shard: u16,
    },
    /// A PostgreSQL takes no more connections, and the shard-node has lost its own.
    ConnectionsExhausted {
        /// The shard.
        shard: u16,
    },
    /// The primary PostgreSQL is killed for good, and its synchronous standby promoted.
    Failover {
        /// The shard.
        shard: u16,
    },
}

/// The kinds of faults that a report counts: each is the harm of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HarmClass {
    KillRouter,
    KillShardNode,
    KillPostgres,
    KillRedis,
    FreezeRouter,
    FreezeShardNode,
    FreezePostgres,
    FreezeRedis,
    RollingRestart,
    Partition,
    OneWayPartition,
    FlappingPartition,
    Delay,
    CutMidMessage,
    DuplicateRequests,
    ReplayRequests,
    DropAnswers,
    SlowPostgres,
    LoseCommits,
    WrongClock,
    DiskFull,
    ConnectionsExhausted,
    Failover,
}

impl HarmClass {
    /// All of them.
    pub const ALL: [Self; 23] = [
        Self::KillRouter,
        Self::KillShardNode,
        Self::KillPostgres,
        Self::KillRedis,
        Self::FreezeRouter,
        Self::FreezeShardNode,
        Self::FreezePostgres,
        Self::FreezeRedis,
        Self::RollingRestart,
        Self::Partition,
        Self::OneWayPartition,
        Self::FlappingPartition,
        Self::Delay,
        Self::CutMidMessage,
        Self::DuplicateRequests,
        Self::ReplayRequests,
        Self::DropAnswers,
        Self::SlowPostgres,
        Self::LoseCommits,
        Self::WrongClock,
        Self::DiskFull,
        Self::ConnectionsExhausted,
        Self::Failover,
    ];
}

impl fmt::Display for HarmClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::KillRouter => "kill a router",
            Self::KillShardNode => "kill a shard-node",
            Self::KillPostgres => "kill a PostgreSQL",
            Self::KillRedis => "kill a Redis",
            Self::FreezeRouter => "freeze a router",
            Self::FreezeShardNode => "freeze a shard-node",
            Self::FreezePostgres => "freeze a PostgreSQL",
            Self::FreezeRedis => "freeze a Redis",
            Self::RollingRestart => "rolling restart",
            Self::Partition => "partition",
            Self::OneWayPartition => "one-way partition",
            Self::FlappingPartition => "flapping partition",
            Self::Delay => "delay",
            Self::CutMidMessage => "cut mid-message",
            Self::DuplicateRequests => "duplicated requests",
            Self::ReplayRequests => "replayed requests",
            Self::DropAnswers => "dropped answers",
            Self::SlowPostgres => "slow PostgreSQL",
            Self::LoseCommits => "lost COMMIT answers",
            Self::WrongClock => "wrong clock",
            Self::DiskFull => "disk full",
            Self::ConnectionsExhausted => "connections exhausted",
            Self::Failover => "failover",
        })
    }
}

impl Harm {
    /// Whether it is there until the heal; otherwise it is over by itself.
    pub fn lasts(&self) -> bool {
        match self {
            Self::Kill { .. } | Self::Freeze { .. } | Self::RollingRestart | Self::Failover { .. } => false,
            Self::Partition { .. }
            | Self::OneWayPartition { .. }
            | Self::FlappingPartition { .. }
            | Self::Delay { .. }
            | Self::CutMidMessage { .. }
            | Self::DuplicateRequests { .. }
            | Self::ReplayRequests { .. }
            | Self::DropAnswers { .. }
            | Self::SlowPostgres { .. }
            | Self::LoseCommits { .. }
            | Self::WrongClock { .. }
            | Self::DiskFull { .. }
            | Self::ConnectionsExhausted { .. } => true,
        }
    }

    /// What the report counts it as.
    pub fn class(&self) -> HarmClass {
        match self {
            Self::Kill { process, .. } => match process {
                ProcessName::Router { .. } => HarmClass::KillRouter,
                ProcessName::ShardNode { .. } => HarmClass::KillShardNode,
                ProcessName::Postgres { .. } => HarmClass::KillPostgres,
                ProcessName::Redis { .. } => HarmClass::KillRedis,
            },
            Self::Freeze { process, .. } => match process {
                ProcessName::Router { .. } => HarmClass::FreezeRouter,
                ProcessName::ShardNode { .. } => HarmClass::FreezeShardNode,
                ProcessName::Postgres { .. } => HarmClass::FreezePostgres,
                ProcessName::Redis { .. } => HarmClass::FreezeRedis,
            },
            Self::RollingRestart => HarmClass::RollingRestart,
            Self::Partition { .. } => HarmClass::Partition,
            Self::OneWayPartition { .. } => HarmClass::OneWayPartition,
            Self::FlappingPartition { .. } => HarmClass::FlappingPartition,
            Self::Delay { .. } => HarmClass::Delay,
            Self::CutMidMessage { .. } => HarmClass::CutMidMessage,
            Self::DuplicateRequests { .. } => HarmClass::DuplicateRequests,
            Self::ReplayRequests { .. } => HarmClass::ReplayRequests,
            Self::DropAnswers { .. } => HarmClass::DropAnswers,
            Self::SlowPostgres { .. } => HarmClass::SlowPostgres,
            Self::LoseCommits { .. } => HarmClass::LoseCommits,
            Self::WrongClock { .. } => HarmClass::WrongClock,
            Self::DiskFull { .. } => HarmClass::DiskFull,
            Self::ConnectionsExhausted { .. } => HarmClass::ConnectionsExhausted,
            Self::Failover { .. } => HarmClass::Failover,
        }
    }
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill { process, pause_ms } => write!(f, "kill -9 {process}, start it after {pause_ms} ms"),
            Self::Freeze { process, pause_ms } => write!(f, "stop {process} with SIGSTOP for {pause_ms} ms"),
            Self::RollingRestart => write!(f, "restart everything, one process after the other"),
            Self::Partition { one, other } => write!(f, "let nothing pass between {one} and {other}"),
            Self::OneWayPartition { from, to } => write!(f, "let nothing pass from {from} to {to}"),
            Self::FlappingPartition { one, other, period_ms } => {
                write!(f, "let nothing pass between {one} and {other}, in turns of {period_ms} ms")
            }
            Self::Delay { one, other, delay_ms } => write!(f, "delay all between {one} and {other} by {delay_ms} ms"),
            Self::CutMidMessage { from, to, every } => {
                write!(f, "cut each connection from {from} to {to} within its message {every}")
            }
            Self::DuplicateRequests { from, to, every } => {
                write!(f, "send each {every}. request from {from} to {to} twice")
            }
            Self::ReplayRequests { from, to, every, after_ms } => {
                write!(f, "send each {every}. request from {from} to {to} again after {after_ms} ms")
            }
            Self::DropAnswers { from, to, every } => write!(f, "drop each {every}. answer of {to} to {from}"),
            Self::SlowPostgres { shard, delay_ms } => {
                write!(f, "delay all between shard-node and PostgreSQL of shard {shard} by {delay_ms} ms")
            }
            Self::LoseCommits { shard, every } => {
                write!(f, "cut each connection to PostgreSQL of shard {shard} within the answer to its commit {every}")
            }
            Self::WrongClock { process, ahead_seconds } => {
                let side = if *ahead_seconds < 0 { "behind" } else { "ahead" };
                write!(f, "set the clock of {process} {} s {side}", ahead_seconds.unsigned_abs())
            }
            Self::DiskFull { shard } => write!(f, "fill the disk of PostgreSQL of shard {shard}"),
            Self::ConnectionsExhausted { shard } => write!(f, "take all connections of PostgreSQL of shard {shard}"),
            Self::Failover { shard } => write!(f, "kill the primary PostgreSQL of shard {shard}, promote its standby"),
        }
    }
}

//! What a process of the cluster is called, and what is known of it.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::identity::ProcessIdentity;

/// The name of one process of the cluster, such as `postgres-1`, `redis-sg`, `shard-node-1` or `router-sg`.
/// A replica beyond the first carries its number: `shard-node-1.1`, `router-sg.1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum ProcessName {
    /// A PostgreSQL of a shard.
    Postgres {
        /// The shard's id.
        shard: u16,
        /// 0 for the first primary, 1 for the server that begins as its standby.
        replica: u16,
    },
    /// The Redis of a region.
    Redis {
        /// The region's name.
        region: String,
    },
    /// A shard-node.
    ShardNode {
        /// The shard's id.
        shard: u16,
        /// 0 for the first shard-node of the shard.
        replica: u16,
    },
    /// A router.
    Router {
        /// The region's name.
        region: String,
        /// 0 for the first router of the region.
        replica: u16,
    },
}

/// The kind of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The durable truth of one shard.
    Postgres,
    /// The sessions of one region.
    Redis,
    /// The only writer of its PostgreSQL.
    ShardNode,
    /// The edge that clients talk to.
    Router,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::ShardNode => "shard-node",
            Self::Router => "router",
        })
    }
}

impl ProcessName {
    /// The kind of process this names.
    pub fn role(&self) -> Role {
        match self {
            Self::Postgres { .. } => Role::Postgres,
            Self::Redis { .. } => Role::Redis,
            Self::ShardNode { .. } => Role::ShardNode,
            Self::Router { .. } => Role::Router,
        }
    }

    /// The shard it serves; `None` for what belongs to a whole region.
    pub fn shard(&self) -> Option<u16> {
        match self {
            Self::Postgres { shard, .. } | Self::ShardNode { shard, .. } => Some(*shard),
            Self::Redis { .. } | Self::Router { .. } => None,
        }
    }

    /// 0 for the first of its kind; the others run beside it.
    pub fn replica(&self) -> u16 {
        match self {
            Self::Postgres { replica, .. } | Self::ShardNode { replica, .. } | Self::Router { replica, .. } => *replica,
            Self::Redis { .. } => 0,
        }
    }
}

impl fmt::Display for ProcessName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = self.role();
        match self {
            Self::Postgres { shard, .. } => write!(f, "{role}-{shard}")?,
            Self::Redis { region } => write!(f, "{role}-{region}")?,
            Self::ShardNode { shard, .. } => write!(f, "{role}-{shard}")?,
            Self::Router { region, .. } => write!(f, "{role}-{region}")?,
        }
        match self.replica() {
            0 => Ok(()),
            replica => write!(f, ".{replica}"),
        }
    }
}

impl From<ProcessName> for String {
    fn from(name: ProcessName) -> Self {
        name.to_string()
    }
}

/// A text that names no process of a cluster.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownProcessName(String);

impl fmt::Display for UnknownProcessName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} names no process; names look like postgres-1, redis-sg, shard-node-1, router-sg", self.0)
    }
}

impl std::error::Error for UnknownProcessName {}

impl TryFrom<String> for ProcessName {
    type Error = UnknownProcessName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        parse(&text).ok_or(UnknownProcessName(text))
    }
}

impl FromStr for ProcessName {
    type Err = UnknownProcessName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

fn parse(text: &str) -> Option<ProcessName> {
    let (name, replica) = match text.split_once('.') {
        Some((name, replica)) => (name, replica.parse().ok().filter(|replica| *replica > 0)?),
        None => (text, 0),
    };
    let found = if let Some(shard) = name.strip_prefix("postgres-") {
        ProcessName::Postgres { shard: shard.parse().ok()?, replica }
    } else if let Some(region) = name.strip_prefix("redis-") {
        ProcessName::Redis { region: region.to_owned() }
    } else if let Some(shard) = name.strip_prefix("shard-node-") {
        ProcessName::ShardNode { shard: shard.parse().ok()?, replica }
    } else {
        ProcessName::Router { region: name.strip_prefix("router-")?.to_owned(), replica }
    };
    (found.replica() == replica).then_some(found)
}

/// One process of the cluster, as the state file has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// What it is called.
    pub name: ProcessName,
    /// The region it stands in.
    pub region: String,
    /// Where it serves: HTTP for a router, the link for a shard-node, their own protocols for the servers.
    pub address: SocketAddr,
    /// Where `/healthz`, `/readyz` and `/metrics` are; only routers and shard-nodes have it.
    pub admin_address: Option<SocketAddr>,
    /// The running process; `None` before its start and after its stop.
    pub identity: Option<ProcessIdentity>,
}

impl Process {
    /// Whether the process that was started under this name still runs.
    pub fn is_alive(&self) -> bool {
        self.identity.as_ref().is_some_and(ProcessIdentity::is_alive)
    }

    /// The process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.identity.as_ref().filter(|identity| identity.is_alive()).map(|identity| identity.pid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_their_text_form() {
        for text in [
            "postgres-1",
            "postgres-1.1",
            "redis-eu-west",
            "shard-node-12",
            "shard-node-12.1",
            "router-sg",
            "router-sg.2",
        ] {
            let name: ProcessName = text.parse().unwrap();
            assert_eq!(name.to_string(), text);
        }
    }

    #[test]
    fn other_texts_name_no_process() {
        for text in
            ["", "postgres", "postgres-x", "postgres-1.0", "redis-sg.1", "router-sg.0", "shard-node-1.x", "web-1"]
        {
            assert!(text.parse::<ProcessName>().is_err(), "{text}");
        }
    }
}

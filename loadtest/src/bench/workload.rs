//! What is sent in a bench.

use clap::ValueEnum;
use serde::Serialize;

use crate::mix::Shares;

/// What is sent. Plain PostgreSQL has one shard, so there a transfer across shards is like any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// Transfers between any two accounts of one shard
    Transfers,
    /// Reads of balances
    Reads,
    /// Ten reads for each transfer
    Mixed,
    /// Transfers between two shards
    CrossShard,
    /// Transfers from all accounts to a single one
    HotAccount,
}

impl Workload {
    /// The shares of requests to the wallet.
    pub fn shares(self) -> Shares {
        let reads = match self {
            Self::Transfers | Self::CrossShard | Self::HotAccount => 0.0,
            Self::Mixed => 10.0 / 11.0,
            Self::Reads => 1.0,
        };
        let cross_shard = if self == Self::CrossShard { 1.0 } else { 0.0 };
        Shares { reads, cross_shard, cross_region: None, doomed: 0.0 }
    }

    /// How many shards the wallet has.
    pub fn shards(self) -> u16 {
        if self == Self::CrossShard { 2 } else { 1 }
    }

    /// The scripts for pgbench: name, text, weight.
    pub fn scripts(self) -> Vec<(&'static str, &'static str, u32)> {
        const TRANSFERS: &str = include_str!("sql/transfers.pgbench");
        const READS: &str = include_str!("sql/reads.pgbench");
        match self {
            Self::Transfers | Self::CrossShard => vec![("transfers", TRANSFERS, 1)],
            Self::Reads => vec![("reads", READS, 1)],
            Self::Mixed => vec![("reads", READS, 10), ("transfers", TRANSFERS, 1)],
            Self::HotAccount => vec![("transfers", include_str!("sql/hot-account.pgbench"), 1)],
        }
    }
}

//! Heads that were found earlier and kept elsewhere.

use placement::ShardId;
use serde::Deserialize;

use super::{ChainHead, Since};

/// What was kept of one shard: a part of [`super::ShardChains`], so that its JSON can be read again.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct KeptChains {
    /// The shard.
    pub shard: ShardId,
    /// The starts of its chains.
    #[serde(flatten)]
    pub since: Since,
    /// The ends of its chains, as they were.
    pub heads: Vec<ChainHead>,
}

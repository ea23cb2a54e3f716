//! Which shard has the other half.

use crate::node::Node;
use placement::{AccountId, RegionCode, ShardId, Slot, TransferId};
use std::sync::Arc;
use uuid::Uuid;
use wire::directory::View;

/// The owners as they are known at one moment.
pub struct Peers {
    view: Arc<View>,
    own: ShardId,
}

impl Peers {
    /// As the node knows them now.
    pub fn known_to(node: &Node) -> Self {
        Peers { view: node.directory.view(), own: node.shard }
    }

    /// All shards of the topology but this one.
    pub fn others(&self) -> Vec<ShardId> {
        let shards = self.view.topology.iter().flat_map(|topology| &topology.shards);
        shards.map(|shard| shard.id).filter(|id| *id != self.own).collect()
    }

    /// The owner of an account, if there can be such an account and its owner is known.
    pub fn of_account(&self, account: Option<i64>) -> Option<ShardId> {
        let account = AccountId::try_from(account?).ok()?;
        self.owner(account.region(), account.slot())
    }

    /// The owner of a transfer's debit account.
    pub fn of_transfer(&self, id: Uuid) -> Option<ShardId> {
        let id = TransferId::try_from(id).ok()?;
        self.owner(id.region(), id.slot())
    }

    /// A slot of the shard, as a way to it.
    pub fn place(&self, shard: ShardId) -> Option<(RegionCode, Slot)> {
        let region = self.view.topology.as_ref()?.region_of(shard)?.code;
        let slot = Slot::all().find(|slot| self.owner(region, *slot) == Some(shard))?;
        Some((region, slot))
    }

    fn owner(&self, region: RegionCode, slot: Slot) -> Option<ShardId> {
        self.view.ownership.owner(region, slot).map(|(shard, _)| shard)
    }
}

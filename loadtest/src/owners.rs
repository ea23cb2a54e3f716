//! Which shard owns an account, from what the wallet tells of its topology.

use anyhow::{Context, Result};
use placement::topology::{CurrencySpec, Region, Shard};
use placement::{AccountId, Ring, ShardId, Topology, founding_slots};
use wire::api::TopologyView;

/// The shard of every account, by the rings of its regions.
pub struct Owners {
    topology: Topology,
    rings: Vec<(placement::RegionCode, Ring)>,
}

impl Owners {
    /// Builds the rings of a topology.
    pub fn new(view: &TopologyView) -> Self {
        let topology = topology(view);
        let rings = topology.regions.iter().map(|region| (region.code, Ring::of_region(&topology, region.code)));
        Self { rings: rings.collect(), topology }
    }

    /// The shard that owns an account.
    ///
    /// # Errors
    /// The id is not one that this wallet can have given.
    pub fn owner(&self, account_id: u64) -> Result<ShardId> {
        let id = AccountId::try_from(account_id)?;
        let ring = self.rings.iter().find(|(code, _)| *code == id.region()).map(|(_, ring)| ring);
        let owner = ring.and_then(|ring| ring.owner(id.slot()));
        owner.with_context(|| format!("account {id} is in a region without shards"))
    }

    /// Whether the shards own just the slots that the rings propose, as far as their numbers tell. After slots have
    /// moved, the shares of cross-shard transfers are only about right.
    pub fn match_slots(&self, view: &TopologyView) -> bool {
        view.shards.iter().all(|shard| founding_slots(&self.topology, shard.id).len() == shard.slots)
    }

    /// The names of the regions that own accounts.
    pub fn regions(&self) -> Vec<String> {
        let with_shards =
            self.topology.regions.iter().filter(|region| self.topology.shards_of(region.code).count() > 0);
        with_shards.map(|region| region.name.clone()).collect()
    }
}

fn topology(view: &TopologyView) -> Topology {
    let currencies = view.currencies.iter().map(|currency| CurrencySpec {
        code: currency.code.clone(),
        exponent: currency.exponent,
        transfer_amount_max: currency.transfer_amount_max,
    });
    let regions = view.regions.iter().map(|region| Region { name: region.name.clone(), code: region.code });
    let shards = view.shards.iter().map(|shard| Shard {
        id: shard.id,
        region: shard.region.clone(),
        weight: shard.weight,
        state: shard.state,
        addresses: shard.addresses.clone(),
    });
    Topology {
        version: view.version,
        currencies: currencies.collect(),
        regions: regions.collect(),
        shards: shards.collect(),
    }
}

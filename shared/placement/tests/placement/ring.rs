//! The ring: pinned owners, and what a change of shards moves.

use placement::topology::ShardState;
use placement::{Ring, Slot, Topology, founding_slots};
use proptest::prelude::*;

use super::{region, shard, slot, topology_of};

fn owners(topology: &Topology) -> Vec<Option<u16>> {
    let ring = Ring::of_region(topology, region(1));
    Slot::all().map(|slot| ring.owner(slot).map(|shard| shard.get())).collect()
}

/// One number for the owners of all 4,096 slots.
fn fingerprint(topology: &Topology) -> u64 {
    let weighted = |(number, owner): (u64, &Option<u16>)| number * u64::from(owner.unwrap());
    (0..).zip(&owners(topology)).map(weighted).sum()
}

/// The expected values come from a second implementation of the hash and of the ring.
#[test]
fn owners_stay_as_they_were_proposed() {
    let ring = Ring::of_region(&topology_of([1, 2, 3, 4]), region(1));
    let found = [0, 1, 2, 3, 1000, 2048, 4095].map(|number| ring.owner(slot(number)).unwrap().get());
    assert_eq!(found, [3, 1, 2, 3, 3, 2, 3]);
    assert_eq!(fingerprint(&topology_of([1, 2])), 12_894_022);
    assert_eq!(fingerprint(&topology_of([1, 2, 3, 4])), 21_533_089);
    assert_eq!(fingerprint(&topology_of(1..=64)), 274_850_744);
}

#[test]
fn owners_do_not_depend_on_the_order_of_the_shards() {
    assert_eq!(owners(&topology_of([1, 2, 3, 4])), owners(&topology_of([4, 2, 1, 3])));
}

#[test]
fn no_shard_of_four_is_far_from_its_share() {
    let owners = owners(&topology_of([1, 2, 3, 4]));
    for id in 1..=4 {
        let slots = owners.iter().filter(|owner| **owner == Some(id)).count();
        assert!((768..=1280).contains(&slots), "shard {id} has {slots} of 4096 slots");
    }
}

#[test]
fn a_shard_of_double_weight_gets_about_double() {
    let mut topology = topology_of([1, 2, 3]);
    topology.shards[0].weight = 200;
    let slots = founding_slots(&topology, shard(1)).len();
    assert!((1640..=2460).contains(&slots), "{slots} of 4096 slots, 2048 expected");
}

#[test]
fn the_smallest_weight_still_has_a_place() {
    let mut topology = topology_of([1]);
    topology.shards[0].weight = 1;
    assert_eq!(founding_slots(&topology, shard(1)).len(), 4096);
}

#[test]
fn founding_slots_divide_the_region() {
    let topology = topology_of([1, 2, 3]);
    let mut all: Vec<Slot> = [1, 2, 3].iter().flat_map(|id| founding_slots(&topology, shard(*id))).collect();
    all.sort_unstable();
    assert_eq!(all, Slot::all().collect::<Vec<_>>());
}

#[test]
fn a_shard_alone_in_its_region_founds_all_of_it() {
    assert_eq!(founding_slots(&topology_of([1, 2]), shard(60000)).len(), 4096);
}

#[test]
fn an_unknown_draining_or_retired_shard_founds_nothing() {
    let mut topology = topology_of([1, 2, 3]);
    topology.shards[0].state = ShardState::Draining;
    topology.shards[1].state = ShardState::Retired;
    assert!(founding_slots(&topology, shard(9)).is_empty());
    assert!(founding_slots(&topology, shard(1)).is_empty());
    assert!(founding_slots(&topology, shard(2)).is_empty());
    assert_eq!(founding_slots(&topology, shard(3)).len(), 4096);
}

#[test]
fn the_ring_of_an_unknown_or_empty_region_owns_nothing() {
    let topology = topology_of([]);
    assert_eq!(Ring::of_region(&topology, region(9)).owner(slot(0)), None);
    assert_eq!(Ring::of_region(&topology, region(1)).owner(slot(0)), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_slot_has_an_owner_of_its_region(ids in proptest::collection::btree_set(1u16..60000, 1..8)) {
        for owner in owners(&topology_of(ids.clone())) {
            prop_assert!(ids.contains(&owner.unwrap()));
        }
    }

    #[test]
    fn adding_a_shard_moves_slots_only_to_it(
        ids in proptest::collection::btree_set(1u16..30000, 1..8), added in 30000u16..60000,
    ) {
        let before = owners(&topology_of(ids.clone()));
        let after = owners(&topology_of(ids.into_iter().chain([added])));
        prop_assert!(after.contains(&Some(added)));
        for (before, after) in before.into_iter().zip(after) {
            prop_assert!(after == before || after == Some(added));
        }
    }

    #[test]
    fn draining_a_shard_moves_no_slot_of_another(ids in proptest::collection::btree_set(1u16..60000, 2..8)) {
        let mut topology = topology_of(ids);
        let before = owners(&topology);
        topology.shards[0].state = ShardState::Draining;
        let drained = topology.shards[0].id.get();
        for (before, after) in before.into_iter().zip(owners(&topology)) {
            prop_assert!(after != Some(drained));
            prop_assert!(after == before || before == Some(drained));
        }
    }
}

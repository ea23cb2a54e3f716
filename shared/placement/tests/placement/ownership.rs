//! The ownership map: the highest epoch holds, in whatever order the news arrives.

use placement::{Epoch, OwnershipMap, SlotClaim, SlotState};
use proptest::prelude::*;

use super::{region, shard, slot};

fn epoch(number: u64) -> Epoch {
    Epoch::try_from(number).unwrap()
}

fn claim(number: u16, at: u64, state: SlotState) -> SlotClaim {
    SlotClaim { slot: slot(number), epoch: epoch(at), state }
}

/// A map in which shard 1 of region 1 owns slot 5 since epoch 3.
fn map() -> OwnershipMap {
    let mut map = OwnershipMap::default();
    assert!(map.merge(region(1), shard(1), &[claim(5, 3, SlotState::Active)]));
    map
}

#[test]
fn nothing_is_known_at_first() {
    let map = OwnershipMap::default();
    assert_eq!(map.owner(region(63), slot(4095)), None);
    assert_eq!(map.slots_known(region(63)), 0);
}

#[test]
fn a_claim_is_of_its_region_and_slot_only() {
    let map = map();
    assert_eq!(map.owner(region(1), slot(5)), Some((shard(1), epoch(3))));
    assert_eq!(map.owner(region(1), slot(6)), None);
    assert_eq!(map.owner(region(2), slot(5)), None);
    assert_eq!(map.slots_known(region(1)), 1);
}

#[test]
fn a_later_epoch_takes_over_and_an_earlier_one_does_not() {
    let mut map = map();
    assert!(map.merge(region(1), shard(2), &[claim(5, 4, SlotState::Active)]));
    assert_eq!(map.owner(region(1), slot(5)), Some((shard(2), epoch(4))));
    assert!(!map.merge(region(1), shard(1), &[claim(5, 3, SlotState::Active)]));
    assert_eq!(map.owner(region(1), slot(5)), Some((shard(2), epoch(4))));
}

#[test]
fn the_same_claim_again_changes_nothing() {
    assert!(!map().merge(region(1), shard(1), &[claim(5, 3, SlotState::Active)]));
}

#[test]
fn importing_and_moved_make_no_owner() {
    for state in [SlotState::Importing, SlotState::Moved] {
        let mut map = map();
        assert!(!map.merge(region(1), shard(2), &[claim(5, 9, state), claim(6, 9, state)]));
        assert_eq!(map.owner(region(1), slot(5)), Some((shard(1), epoch(3))));
        assert_eq!(map.owner(region(1), slot(6)), None);
    }
}

#[test]
fn a_frozen_slot_keeps_its_owner() {
    let mut map = OwnershipMap::default();
    assert!(map.merge(region(1), shard(1), &[claim(5, 3, SlotState::Frozen)]));
    assert_eq!(map.owner(region(1), slot(5)), Some((shard(1), epoch(3))));
}

#[test]
fn a_newer_hint_corrects_and_an_older_one_does_not() {
    let mut map = map();
    assert!(!map.correct(region(1), slot(5), shard(9), epoch(2)));
    assert!(map.correct(region(1), slot(5), shard(2), epoch(4)));
    assert_eq!(map.owner(region(1), slot(5)), Some((shard(2), epoch(4))));
}

#[test]
fn the_owners_own_claim_outweighs_a_hint_of_its_epoch() {
    let mut map = map();
    assert!(!map.correct(region(1), slot(5), shard(9), epoch(3)));
    assert!(map.correct(region(1), slot(5), shard(2), epoch(4)));
    assert!(map.merge(region(1), shard(7), &[claim(5, 4, SlotState::Active)]));
    assert_eq!(map.owner(region(1), slot(5)), Some((shard(7), epoch(4))));
}

#[test]
fn a_clone_does_not_see_later_changes() {
    let mut map = map();
    let before = map.clone();
    assert!(map.merge(region(1), shard(2), &[claim(5, 4, SlotState::Active)]));
    assert_eq!(before.owner(region(1), slot(5)), Some((shard(1), epoch(3))));
}

#[test]
fn states_are_snake_case_and_unknown_ones_refused() {
    let json = r#"{"slot":5,"epoch":3,"state":"importing"}"#;
    assert_eq!(serde_json::from_str::<SlotClaim>(json).unwrap(), claim(5, 3, SlotState::Importing));
    assert!(serde_json::from_str::<SlotClaim>(&json.replace("importing", "lost")).is_err());
    assert!(serde_json::from_str::<SlotClaim>(&json.replace(":5", ":4096")).is_err());
}

/// Slot, epoch, shard, and whether it is a hint.
fn news() -> impl Strategy<Value = Vec<(u16, u64, u16, bool)>> {
    proptest::collection::vec((0u16..4, 1u64..4, 1u16..4, any::<bool>()), 0..24)
}

fn learn(map: &mut OwnershipMap, (number, at, by, is_hint): (u16, u64, u16, bool)) -> bool {
    if is_hint {
        map.correct(region(1), slot(number), shard(by), epoch(at))
    } else {
        map.merge(region(1), shard(by), &[claim(number, at, SlotState::Active)])
    }
}

proptest! {
    #[test]
    fn the_order_of_news_does_not_matter(
        (one, other) in news().prop_flat_map(|news| (Just(news.clone()), Just(news).prop_shuffle())),
    ) {
        let (mut map, mut shuffled) = (OwnershipMap::default(), OwnershipMap::default());
        for news in one {
            learn(&mut map, news);
        }
        for news in other {
            learn(&mut shuffled, news);
        }
        prop_assert_eq!(map, shuffled);
    }

    #[test]
    fn change_is_reported_just_when_there_is_one_and_epochs_never_fall(news in news()) {
        let mut map = OwnershipMap::default();
        for item in news {
            let before = map.clone();
            let changed = learn(&mut map, item);
            prop_assert_eq!(changed, before != map);
            let known = |map: &OwnershipMap| map.owner(region(1), slot(item.0)).map(|(_, epoch)| epoch);
            prop_assert!(known(&before) <= known(&map));
        }
    }
}

//! Ids: golden vectors, round trips, refusals.

use placement::{AccountId, Epoch, InvalidId, Locality, RegionCode, ShardId, Slot, TransferId};
use proptest::prelude::*;
use uuid::Uuid;

use super::region;

/// Computed by a second implementation of XXH3, written from its specification.
/// user id, region, locality, account id with discriminator 7, slot.
const GOLDEN: &[(&str, u8, u32, u64, u16)] = &[
    ("house", 1, 213261972, 154713824952327, 3258),
    ("yunus", 1, 1726634847, 253894229688327, 3940),
    ("nick", 2, 1222455651, 361589830254599, 3859),
    ("andrew", 2, 1913079355, 406850545319943, 3025),
    ("yunus", 2, 1726634847, 394631718043655, 2480),
    ("user-100000000", 63, 1424176886, 8959796622786567, 601),
];

#[test]
fn localities_account_ids_and_slots_stay_as_they_were_given_out() {
    for &(user_id, code, locality, account_id, slot) in GOLDEN {
        let found = AccountId::new(region(code), Locality::of_user(user_id), 7);
        assert_eq!(found.locality().get(), locality, "{user_id}");
        assert_eq!(found.get(), account_id, "{user_id}");
        assert_eq!(found.slot().get(), slot, "{user_id} in {code}");
    }
}

#[test]
fn transfer_id_has_the_documented_layout() {
    let locality = Locality::try_from(0x7e00_0001).unwrap();
    let transfer_id = TransferId::new(0x0123_4567_89ab, region(0x2a), locality, u64::MAX);
    // 0x2a << 6 | 0x3f = 0xabf; variant 0b10, then 25 bits of 1, then 37 ones.
    assert_eq!(transfer_id.to_string(), "01234567-89ab-8abf-8000-003fffffffff");
    assert_eq!(transfer_id.uuid().get_version_num(), 8);
}

#[test]
fn lower_bound_is_the_time_and_zeros() {
    let bound = TransferId::lower_bound(0x0123_4567_89ab);
    assert_eq!(bound.to_string(), "01234567-89ab-0000-0000-000000000000");
}

#[test]
fn time_beyond_48_bits_is_the_largest_time() {
    let transfer_id = TransferId::new(u64::MAX, region(1), Locality::MIN, 0);
    assert_eq!(transfer_id.unix_ms(), (1 << 48) - 1);
    assert_eq!(transfer_id.region(), region(1));
}

#[test]
fn numbers_outside_their_range_are_refused() {
    assert!(RegionCode::try_from(0).is_err());
    assert!(RegionCode::try_from(64).is_err());
    assert!(Locality::try_from(1 << 31).is_err());
    assert!(Slot::try_from(4096).is_err());
    assert!(ShardId::try_from(0).is_err());
    assert!(Epoch::try_from(1 << 63).is_err());
    assert!(Slot::from_i64(-1).is_err());
    assert!(ShardId::from_i64(65_536).is_err());
    assert!(Epoch::from_i64(i64::MIN).is_err());
}

#[test]
fn account_ids_without_region_or_beyond_53_bits_are_refused() {
    for refused in [0, 1, (1 << 47) - 1, 1 << 53, (1 << 53) + (1 << 47), u64::MAX] {
        assert!(AccountId::try_from(refused).is_err(), "{refused}");
        assert!(serde_json::from_str::<AccountId>(&refused.to_string()).is_err(), "{refused}");
    }
    for refused in [-1, i64::MIN, i64::MAX, 0] {
        assert!(AccountId::try_from(refused).is_err(), "{refused}");
    }
    assert_eq!(AccountId::try_from(1u64 << 47), Ok(AccountId::MIN));
    assert_eq!(AccountId::try_from((1u64 << 53) - 1), Ok(AccountId::MAX));
}

#[test]
fn json_of_another_type_is_no_account_id() {
    for refused in ["\"140737488420864\"", "140737488420864.0", "1e15", "-1", "null", "[]", "true"] {
        assert!(serde_json::from_str::<AccountId>(refused).is_err(), "{refused}");
    }
}

#[test]
fn an_account_id_has_one_spelling() {
    let refused = [
        "",
        " ",
        "+140737488420864",
        "-140737488420864",
        "0140737488420864",
        "140737488420864 ",
        "1e15",
        "0x800000000000",
        "140_737_488_420_864",
        "１４０７３７４８８４２０８６４",
        "99999999999999999999999",
        "140737488420864\0",
    ];
    for text in refused {
        assert!(text.parse::<AccountId>().is_err(), "{text:?}");
    }
    assert_eq!("0".parse::<Slot>(), Ok(Slot::MIN));
    assert_eq!("00".parse::<Slot>(), Err(InvalidId::NotDecimal { id: "slot" }));
}

#[test]
fn other_uuids_are_no_transfer_ids() {
    let refused = [
        "00000000-0000-0000-0000-000000000000", // nil
        "ffffffff-ffff-ffff-ffff-ffffffffffff", // max
        "018bcfe5-6800-4041-8000-000000000000", // version 4
        "018bcfe5-6800-7041-8000-000000000000", // version 7
        "018bcfe5-6800-803f-8000-000000000000", // region 0
        "018bcfe5-6800-8041-0000-000000000000", // variant of NCS
        "018bcfe5-6800-8041-c000-000000000000", // variant of Microsoft
    ];
    for text in refused {
        assert!(text.parse::<TransferId>().is_err(), "{text}");
        assert!(serde_json::from_value::<TransferId>(text.into()).is_err(), "{text}");
    }
}

#[test]
fn a_transfer_id_is_read_in_the_hyphenated_form_only() {
    let refused = [
        "",
        "lunch",
        "018bcfe5680080418000000000000000",
        "{018bcfe5-6800-8041-8000-000000000000}",
        "urn:uuid:018bcfe5-6800-8041-8000-000000000000",
        "018bcfe5-6800-8041-8000-00000000000g",
        "018bcfe5-6800-8041-8000-0000000000000",
    ];
    for text in refused {
        assert_eq!(text.parse::<TransferId>(), Err(InvalidId::NotUuid), "{text}");
    }
    assert!("018bcfe5-6800-8041-8000-000000000000".parse::<TransferId>().is_ok());
}

#[test]
fn errors_say_what_is_allowed() {
    let error = Slot::try_from(5000).unwrap_err();
    assert_eq!(error.to_string(), "slot must be from 0 to 4095, not 5000");
}

#[test]
fn ids_are_plain_numbers_in_json() {
    assert_eq!(serde_json::to_string(&Slot::MAX).unwrap(), "4095");
    assert_eq!(serde_json::to_string(&AccountId::MIN).unwrap(), "140737488355328");
    assert!(serde_json::from_str::<Slot>("4096").is_err());
    assert!(serde_json::from_str::<RegionCode>("0").is_err());
    assert!(serde_json::from_str::<ShardId>("0").is_err());
}

#[test]
fn epochs_rise_and_stop_at_the_end() {
    assert_eq!(Epoch::FIRST.next().get(), 2);
    assert_eq!(Epoch::MAX.next(), Epoch::MAX);
    assert_eq!(Epoch::MAX.as_i64(), i64::MAX);
}

fn regions() -> impl Strategy<Value = RegionCode> {
    (1u8..=63).prop_map(region)
}

fn localities() -> impl Strategy<Value = Locality> {
    (0u32..1 << 31).prop_map(|bits| Locality::try_from(bits).unwrap())
}

proptest! {
    #[test]
    fn an_account_id_gives_back_its_parts(region in regions(), locality in localities(), discriminator: u16) {
        let account_id = AccountId::new(region, locality, discriminator);
        prop_assert_eq!(account_id.region(), region);
        prop_assert_eq!(account_id.locality(), locality);
        prop_assert_eq!(account_id.discriminator(), discriminator);
        prop_assert_eq!(account_id.slot(), Slot::of(region, locality));
        prop_assert!(AccountId::locality_range(region, locality).contains(&account_id));
    }

    #[test]
    fn an_account_id_survives_every_form(region in regions(), locality in localities(), discriminator: u16) {
        let account_id = AccountId::new(region, locality, discriminator);
        prop_assert_eq!(AccountId::try_from(account_id.get()), Ok(account_id));
        prop_assert_eq!(AccountId::try_from(account_id.as_i64()), Ok(account_id));
        prop_assert_eq!(account_id.to_string().parse(), Ok(account_id));
        let json = serde_json::to_string(&account_id).unwrap();
        prop_assert_eq!(serde_json::from_str::<AccountId>(&json).unwrap(), account_id);
    }

    #[test]
    fn a_number_is_an_account_id_just_when_its_region_is_one(number: u64) {
        let valid = (1..=63).contains(&(number >> 47));
        prop_assert_eq!(AccountId::try_from(number).is_ok(), valid);
    }

    #[test]
    fn an_account_of_another_locality_lies_outside_the_range(
        region in regions(), one in localities(), other in localities(), discriminator: u16,
    ) {
        prop_assume!(one != other);
        let stranger = AccountId::new(region, other, discriminator);
        prop_assert!(!AccountId::locality_range(region, one).contains(&stranger));
    }

    #[test]
    fn a_transfer_id_gives_back_its_parts(
        unix_ms in 0u64..1 << 48, region in regions(), locality in localities(), random: u64,
    ) {
        let transfer_id = TransferId::new(unix_ms, region, locality, random);
        prop_assert_eq!(transfer_id.unix_ms(), unix_ms);
        prop_assert_eq!(transfer_id.region(), region);
        prop_assert_eq!(transfer_id.locality(), locality);
        prop_assert_eq!(transfer_id.slot(), Slot::of(region, locality));
        prop_assert_eq!(transfer_id.uuid().as_u128() & ((1 << 37) - 1), u128::from(random) & ((1 << 37) - 1));
    }

    #[test]
    fn a_transfer_id_survives_every_form(
        unix_ms in 0u64..1 << 48, region in regions(), locality in localities(), random: u64,
    ) {
        let transfer_id = TransferId::new(unix_ms, region, locality, random);
        prop_assert_eq!(TransferId::try_from(transfer_id.uuid()), Ok(transfer_id));
        prop_assert_eq!(transfer_id.to_string().parse(), Ok(transfer_id));
        prop_assert_eq!(transfer_id.to_string().to_uppercase().parse(), Ok(transfer_id));
        let json = serde_json::to_string(&transfer_id).unwrap();
        prop_assert_eq!(serde_json::from_str::<TransferId>(&json).unwrap(), transfer_id);
    }

    #[test]
    fn transfer_ids_lie_between_the_bounds_of_their_millisecond(
        unix_ms in 0u64..(1 << 48) - 1, region in regions(), locality in localities(), random: u64,
    ) {
        let uuid = TransferId::new(unix_ms, region, locality, random).uuid();
        prop_assert!(TransferId::lower_bound(unix_ms) < uuid);
        prop_assert!(uuid < TransferId::lower_bound(unix_ms + 1));
    }

    #[test]
    fn a_uuid_taken_as_a_transfer_id_is_kept_whole(bits: u128) {
        let uuid = Uuid::from_u128(bits);
        if let Ok(transfer_id) = TransferId::try_from(uuid) {
            let same = TransferId::new(
                transfer_id.unix_ms(), transfer_id.region(), transfer_id.locality(), uuid.as_u64_pair().1,
            );
            prop_assert_eq!(same.uuid(), uuid);
        }
    }
}

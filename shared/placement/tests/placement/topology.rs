//! The topology document: what it refuses, and look-ups.

use placement::Topology;
use placement::topology::ShardState;
use serde_json::{Value, json};

use super::{region, shard, topology_of};

fn document() -> Value {
    json!({
        "version": 1,
        "currencies": [{"code": "SGD", "exponent": 0, "transfer_amount_max": 999_999}],
        "regions": [{"name": "sg", "code": 1}],
        "shards": [{"id": 1, "region": "sg", "weight": 100, "state": "active", "addresses": ["127.0.0.1:8280"]}],
    })
}

/// The mistakes of the good document after one value in it was replaced.
fn mistakes_with(pointer: &str, value: Value) -> Vec<String> {
    let mut document = document();
    *document.pointer_mut(pointer).unwrap() = value;
    serde_json::from_value::<Topology>(document).unwrap().mistakes()
}

#[test]
fn a_good_document_has_no_mistakes_and_survives_json() {
    let topology = topology_of([1, 2, 3]);
    assert_eq!(topology.mistakes(), Vec::<String>::new());
    let json = serde_json::to_string(&topology).unwrap();
    assert_eq!(serde_json::from_str::<Topology>(&json).unwrap(), topology);
}

#[test]
fn each_mistake_is_named() {
    let cases = [
        ("/version", json!(0), "version must be at least 1"),
        ("/currencies", json!([]), "there must be at least one currency"),
        ("/currencies/0/code", json!("sgd"), "currency \"sgd\" must be three upper-case letters"),
        ("/currencies/0/code", json!("SGDX"), "currency \"SGDX\" must be three upper-case letters"),
        ("/currencies/0/code", json!("ÄÖ"), "currency \"ÄÖ\" must be three upper-case letters"),
        ("/currencies/0/exponent", json!(5), "currency \"SGD\": exponent must be 0 to 4, not 5"),
        (
            "/currencies/0/transfer_amount_max",
            json!(0),
            "currency \"SGD\": transfer_amount_max must be 1 to 9007199254740991, not 0",
        ),
        (
            "/currencies/0/transfer_amount_max",
            json!(1i64 << 53),
            "currency \"SGD\": transfer_amount_max must be 1 to 9007199254740991, not 9007199254740992",
        ),
        ("/shards/0/region", json!("us"), "shard 1 names an unknown region \"us\""),
        ("/shards/0/weight", json!(0), "shard 1: weight must be 1 to 1000, not 0"),
        ("/shards/0/weight", json!(1001), "shard 1: weight must be 1 to 1000, not 1001"),
        ("/shards/0/state", json!("draining"), "region \"sg\" has no active shard"),
        ("/shards/0/addresses", json!([]), "shard 1 has no address"),
        ("/shards/0/addresses/0", json!("127.0.0.1"), "shard 1: address \"127.0.0.1\" must be host:port"),
        ("/shards/0/addresses/0", json!(":8280"), "shard 1: address \":8280\" must be host:port"),
        ("/shards/0/addresses/0", json!("a:0"), "shard 1: address \"a:0\" must be host:port"),
        ("/shards/0/addresses/0", json!("a:65536"), "shard 1: address \"a:65536\" must be host:port"),
        ("/shards/0/addresses/0", json!("http://a:1"), "shard 1: address \"http://a:1\" must be host:port"),
    ];
    for (pointer, value, mistake) in cases {
        let found = mistakes_with(pointer, value.clone());
        assert!(found.iter().any(|found| found == mistake), "{pointer} = {value}: {found:?}");
    }
}

#[test]
fn region_names_follow_their_pattern() {
    for name in ["", "SG", "1sg", "-sg", "s_g", "sé", "s g", &"s".repeat(32)] {
        let found = mistakes_with("/regions/0/name", json!(name));
        assert!(found.iter().any(|found| found.contains("must match")), "{name:?}: {found:?}");
    }
    for name in ["s", "sg", "eu-west-1", &"s".repeat(31)] {
        let found = mistakes_with("/regions/0/name", json!(name));
        assert!(!found.iter().any(|found| found.contains("must match")), "{name:?}: {found:?}");
    }
}

#[test]
fn whatever_occurs_twice_is_named_once() {
    let mut document = document();
    for list in ["currencies", "regions", "shards"] {
        let list = document[list].as_array_mut().unwrap();
        let first = list[0].clone();
        list.extend([first.clone(), first]);
    }
    let found = serde_json::from_value::<Topology>(document).unwrap().mistakes();
    let expected = [
        "currency SGD occurs more than once",
        "region name sg occurs more than once",
        "region code 1 occurs more than once",
        "shard id 1 occurs more than once",
        "address 127.0.0.1:8280 occurs more than once",
    ];
    assert_eq!(found, expected);
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let mut document = document();
    document["version"] = json!(0);
    document["currencies"][0]["exponent"] = json!(9);
    document["shards"][0]["weight"] = json!(0);
    document["shards"][0]["addresses"] = json!([]);
    let found = serde_json::from_value::<Topology>(document).unwrap().mistakes();
    assert_eq!(found.len(), 4, "{found:?}");
}

#[test]
fn a_retired_shard_needs_no_address() {
    let mut topology = topology_of([1, 2]);
    topology.shards[0].state = ShardState::Retired;
    topology.shards[0].addresses.clear();
    assert_eq!(topology.mistakes(), Vec::<String>::new());
}

#[test]
fn an_empty_document_is_refused() {
    let topology = Topology { version: 1, currencies: vec![], regions: vec![], shards: vec![] };
    assert_eq!(topology.mistakes().len(), 2);
}

#[test]
fn unknown_and_missing_keys_and_bad_ids_are_refused() {
    for pointer in ["", "/currencies/0", "/regions/0", "/shards/0"] {
        let mut document = document();
        document.pointer_mut(pointer).unwrap()["colour"] = json!("red");
        assert!(serde_json::from_value::<Topology>(document).is_err(), "{pointer}");
    }
    let cases = [
        ("/regions/0/code", json!(0)),
        ("/regions/0/code", json!(64)),
        ("/shards/0/id", json!(0)),
        ("/shards/0/id", json!(65_536)),
        ("/shards/0/state", json!("Active")),
        ("/shards/0/weight", json!(-1)),
        ("/shards", json!(null)),
    ];
    for (pointer, value) in cases {
        let mut document = document();
        *document.pointer_mut(pointer).unwrap() = value.clone();
        assert!(serde_json::from_value::<Topology>(document).is_err(), "{pointer} = {value}");
    }
}

#[test]
fn look_ups_find_what_is_there_and_nothing_else() {
    let topology = topology_of([1, 2]);
    assert_eq!(topology.region_named("eu").unwrap().code, region(2));
    assert_eq!(topology.region_coded(region(1)).unwrap().name, "sg");
    assert_eq!(topology.shard(shard(2)).unwrap().region, "sg");
    assert_eq!(topology.region_of(shard(60000)).unwrap().name, "eu");
    assert_eq!(topology.currency("SGD").unwrap().transfer_amount_max, 999_999);
    let ids: Vec<u16> = topology.shards_of(region(1)).map(|shard| shard.id.get()).collect();
    assert_eq!(ids, [1, 2]);

    assert!(topology.region_named("us").is_none());
    assert!(topology.region_coded(region(3)).is_none());
    assert!(topology.shard(shard(3)).is_none());
    assert!(topology.region_of(shard(3)).is_none());
    assert!(topology.currency("sgd").is_none());
    assert_eq!(topology.shards_of(region(3)).count(), 0);
}

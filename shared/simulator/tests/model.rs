//! The bounded form of the model check, and the bugs that it must find.

use simulator::Bug;
use simulator::model::breach::Promise;
use simulator::model::search::{System, search};
use simulator::model::sight::Sight;
use simulator::model::{Configuration, Wallet, planted};

#[test]
fn no_state_of_the_small_configurations_breaks_a_promise() {
    let mut sights = 0;
    for configuration in Configuration::SHORT {
        let wallet = Wallet::new(configuration, None).expect("the constants fit");
        let (visited, found) = search(&wallet, u64::MAX, |_| {});
        if let Some(found) = found {
            panic!("{}", wallet.story(&found));
        }
        assert!(visited.is_complete && visited.states > 10_000, "{}: {visited:?}", configuration.name);
        sights |= visited.sights;
    }
    let unseen: Vec<Sight> =
        Sight::ALL.into_iter().filter(|sight| !Sight::of(sights).any(|seen| seen == *sight)).collect();
    assert_eq!(unseen, [], "what never occurs is not checked");
}

#[test]
fn every_planted_bug_is_caught() {
    for bug in Bug::of_model() {
        let caught = planted::catch(bug).expect("the constants fit");
        let caught = caught.unwrap_or_else(|| panic!("{} is not caught", bug.name()));
        let told = caught.wallet.story(&caught.counterexample);
        assert!(told.ends_with(&format!("Broken: {}.\n", caught.counterexample.breach.sentence())), "{told}");
        assert!(!caught.counterexample.path.is_empty(), "{}", bug.name());
    }
}

/// The search against a system whose states are counted by hand.
struct Clock {
    broken_at: Option<u8>,
}

impl System for Clock {
    type State = u8;
    type Step = u8;
    type Breach = Promise;

    fn initial(&self) -> u8 {
        0
    }

    fn steps(&self, _: &u8, steps: &mut Vec<u8>) {
        steps.extend([1, 5]);
    }

    fn after(&self, hour: &u8, step: u8) -> u8 {
        (hour + step) % 12
    }

    fn breach(&self, hour: &u8) -> Option<Promise> {
        (Some(*hour) == self.broken_at).then_some(Promise::CanEnd)
    }

    fn sights(&self, hour: &u8) -> u32 {
        1 << hour
    }
}

#[test]
fn a_search_visits_each_state_once_and_takes_the_shortest_way() {
    let (visited, found) = search(&Clock { broken_at: None }, u64::MAX, |_| {});
    assert!(found.is_none() && visited.is_complete);
    // Each hour by ones and fives: 0; 1, 5; 2, 6, 10; 3, 7, 11; 4, 8; 9.
    assert_eq!((visited.states, visited.steps, visited.depth), (12, 24, 5));
    let (_, found) = search(&Clock { broken_at: Some(11) }, u64::MAX, |_| {});
    let found = found.expect("eleven o'clock comes");
    assert_eq!(found.path.iter().sum::<u8>() % 12, 11);
    assert_eq!(found.path.len(), 3);
}

#[test]
fn a_bounded_search_says_that_it_is_not_complete() {
    let (visited, found) = search(&Clock { broken_at: Some(9) }, 4, |_| {});
    assert!(!visited.is_complete && found.is_none(), "{visited:?}");
}

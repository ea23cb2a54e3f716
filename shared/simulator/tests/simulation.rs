//! A thousand seeds, and the bugs that they must find.

use simulator::Bug;
use simulator::sim::{Options, Report, Tally, run, story};
use std::process::Command;

/// As on the command line.
const REQUESTS: usize = 80;
const SEEDS: std::ops::RangeInclusive<u64> = 1..=1_000;

fn play(seed: u64, bug: Option<Bug>) -> Report {
    run(Options { seed, requests: REQUESTS, bug }).expect("the constants fit")
}

#[test]
fn no_seed_breaks_a_promise() {
    let mut tally = Tally::default();
    for seed in SEEDS {
        let report = play(seed, None);
        if let Some(breach) = &report.breach {
            let told = story(Options { seed, requests: REQUESTS, bug: None }).expect("the constants fit");
            let again = format!("cargo run --release -p simulator -- run --seeds 1 --seed {seed}");
            panic!("{}\nBroken: {}. Again: {again}", told.join("\n"), breach.promise);
        }
        tally.add(&report.tally);
    }
    for (what, count) in tally.lines() {
        assert!(count > 0, "no {what}: what never occurs is not checked");
    }
}

#[test]
fn every_planted_bug_is_found() {
    for bug in Bug::of_simulation() {
        let found = SEEDS.map(|seed| play(seed, Some(bug))).find(|report| report.breach.is_some());
        let found = found.unwrap_or_else(|| panic!("{} is not found", bug.name()));
        let told = story(Options { seed: found.seed, requests: REQUESTS, bug: Some(bug) }).expect("the constants fit");
        assert!(!told.is_empty(), "{}", bug.name());
    }
}

#[test]
fn a_seed_gives_the_same_run_again() {
    for seed in [1, 2, 3] {
        assert_eq!(play(seed, None), play(seed, None));
    }
    assert_ne!(play(1, None).trace, play(2, None).trace);
}

#[test]
fn a_seed_gives_the_same_run_in_another_process() {
    let (seed, bug) = (1, Bug::KeyNotRecorded);
    let told = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_simulator"));
        command.args(["run", "--seeds", "1", "--seed", &seed.to_string(), "--bug", &bug.name()]);
        String::from_utf8(command.output().expect("it runs").stdout).expect("it prints text")
    };
    let first = told();
    assert_eq!(first, told());
    let here = story(Options { seed, requests: REQUESTS, bug: Some(bug) }).expect("the constants fit");
    assert!(first.starts_with(&(here.join("\n") + "\nBroken: ")), "{first}");
    assert!(first.contains(&format!("{:016x}", play(seed, Some(bug)).trace)), "{first}");
}

//! The crate stays pure: what it depends on and what it names do no I/O, read no clock, draw no numbers.

use std::path::Path;

/// Reviewed: none of these does I/O as this crate uses it.
const DEPENDENCIES: &[&str] = &["placement", "serde", "thiserror"];

/// The doors of std to files, sockets, processes, threads, the clock and random numbers.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::io",
    "std::env",
    "std::process",
    "std::thread",
    "std::time",
    "SystemTime",
    "Instant::now",
    "RandomState",
    "rand::",
    "println!",
    "include_str!",
];

#[test]
fn only_reviewed_dependencies_are_named() {
    let manifest = include_str!("../../Cargo.toml");
    let (_, after) = manifest.split_once("\n[dependencies]\n").unwrap();
    let section = after.split("\n[").next().unwrap();
    let names: Vec<&str> = section
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|line| line.split(['.', ' ', '=']).next().unwrap())
        .collect();
    assert_eq!(names, DEPENDENCIES);
    for other in ["[dependencies.", "[build-dependencies", "[target.", "\nbuild ="] {
        assert!(!manifest.contains(other), "{other} would get round this test");
    }
}

#[test]
fn no_source_file_names_io_clock_or_randomness() {
    let mut files = 0;
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for word in IMPURE {
                assert!(!text.contains(word), "{} names {word}", path.display());
            }
            files += 1;
        }
    }
    assert!(files > 10, "the source was not found");
}

//! The crate stays pure: what it depends on and what it names do no I/O, read no clock, draw no numbers.

#[test]
fn the_one_dependency_is_the_hash() {
    let (_, after) = include_str!("../Cargo.toml").split_once("\n[dependencies]\n").unwrap();
    assert_eq!(after.trim(), "sha2.workspace = true");
}

#[test]
fn no_source_file_names_io_clock_or_randomness() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for word in
            ["std::fs", "std::net", "std::io", "std::env", "std::time", "std::thread", "RandomState", "println!"]
        {
            assert!(!text.contains(word), "{} names {word}", path.display());
        }
        files += 1;
    }
    assert!(files > 3, "the source was not found");
}

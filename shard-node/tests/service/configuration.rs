//! The commented example is true, and what is wrong with a configuration is told in one run.

use runtime::config::Settings;
use shard_node::config::Config;
use std::path::Path;

const EXAMPLE: &str = include_str!("../../shard-node.example.toml");

fn read(text: &str) -> Result<Config, runtime::config::ConfigMistakes> {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("shard-node.toml");
    std::fs::write(&file, text).expect("writes");
    let settings = Settings::load_from(Some(&file), "WALLET", Vec::new())?;
    settings.read(|fields| {
        let config = Config::read(fields);
        runtime::config::LogConfig::read(fields);
        config
    })
}

fn example() -> String {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    EXAMPLE.replace("topology.example.json", &manifest.join("topology.example.json").display().to_string())
}

#[test]
fn the_example_is_accepted() {
    read(&example()).expect("the example is a configuration");
}

#[test]
fn every_mistake_is_reported_at_once() {
    let mistaken = example()
        .replace("timeout_ms = 10000", "timeout_ms = \"soon\"")
        .replace("[drain]", "[drain]\nunheard_of = 1")
        .replace("change-me-to-32-random-bytes-in-hex", "short")
        .replace("in_flight_max = 4096", "in_flight_max = 0");
    let mistakes = read(&mistaken).expect_err("four mistakes").to_string();
    for key in ["drain.timeout_ms", "drain.unheard_of", "cluster.secret", "in_flight_max"] {
        assert!(mistakes.contains(key), "{key} is not in: {mistakes}");
    }
}

//! The short form of the fault suite: three minutes of faults of every class with a fresh seed, and a death at each crash
//! point. The long form is the same command with more minutes.

use std::collections::BTreeSet;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

const MINUTES: &str = "3";

/// All classes of faults.
const CLASSES: usize = 23;

#[tokio::test]
async fn wallet_keeps_its_word_under_every_class_of_faults() {
    let directory = tempfile::tempdir().unwrap();
    let report = directory.path().join("report.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command.args(["faults", "--minutes", MINUTES, "--clients", "16", "--crash-hits", "1", "--report"]).arg(&report);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();

    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{out}\n{err}");
    assert!(output.status.success(), "{}", output.status);
    let report: Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    let came: BTreeSet<String> = report["faults"].as_object().unwrap().keys().cloned().collect();
    let classes: BTreeSet<String> =
        report["classes"].as_array().unwrap().iter().map(|class| class.as_str().unwrap().to_owned()).collect();
    let missing: Vec<&String> = classes.difference(&came).collect();
    assert!(missing.is_empty(), "these never came: {missing:?}");
    // Without root, no small disk can be mounted; everything else can be done on every machine.
    let possible = CLASSES - usize::from(!nix::unistd::geteuid().is_root() && !classes.contains("disk full"));
    assert_eq!(classes.len(), possible, "{classes:?}: {}", report["notes"]);
    let points = report["crash_points"].as_object().unwrap();
    assert!(points.len() >= 12, "{points:#?}");
    let missed: Vec<&String> = points.iter().filter(|(_, point)| point["hits"] == 0).map(|(name, _)| name).collect();
    assert!(missed.is_empty(), "nobody died at {missed:?}");
    assert!(report["acknowledged"].as_u64().unwrap() > 500, "{}", report["acknowledged"]);
    // A check that looks at nothing would find nothing.
    for (check, looked_at) in report["checks"].as_object().unwrap() {
        assert!(looked_at.as_u64().unwrap() > 0, "{check} looked at nothing");
    }
}

#[tokio::test]
async fn impossible_options_are_refused() {
    for arguments in
        [&["--minutes=0"][..], &["--clients=0"], &["--planted-bugs", "--rounds=1"], &["--only"], &["--minutes=NaN"]]
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
        let output = command.arg("faults").args(arguments).output().await.unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

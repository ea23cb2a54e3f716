//! A small load on a real cluster of two regions with two shards each, proved from its histories.

use std::process::{Output, Stdio};

use local_cluster::{Cluster, ClusterSpec};
use serde_json::Value;
use tokio::process::Command;

async fn loadtest(arguments: &[&str], cluster: &Cluster) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command.arg("run");
    for region in cluster.regions() {
        command.arg("--router").arg(cluster.router_url(&region).unwrap());
        command.arg("--redis").arg(cluster.redis_url(&region).unwrap());
    }
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap()
}

fn summary(output: &Output) -> Value {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {out}{err}", output.status);
    serde_json::from_str(&out).unwrap()
}

#[tokio::test]
async fn wallet_keeps_its_word_in_both_loops() {
    let spec = ClusterSpec { seed: false, ..ClusterSpec::scratch() };
    let cluster = Cluster::start(spec, &mut |_| ()).await.unwrap();

    let mix =
        ["--accounts=80", "--users=40", "--duration=3", "--cross-shard=0.5", "--cross-region=0.25", "--refused=0.1"];
    let closed = summary(&loadtest(&[&mix[..], &["--clients=16", "--json"]].concat(), &cluster).await);
    let proof = &closed["proof"];
    assert_eq!(proof["holds"], true, "{closed:#}");
    assert_eq!((&proof["breaches"], &proof["accounts"]), (&0.into(), &80.into()));
    // Each posted transfer has two entries, and each account a deposit.
    assert_eq!(proof["entries"].as_u64().unwrap(), 2 * proof["posted"].as_u64().unwrap() + 80);
    assert_eq!(proof["deposited"], 80 * 10_000);
    for kind in ["reads", "local transfers", "cross-shard transfers", "cross-region transfers"] {
        assert!(closed["latency"][kind]["count"].as_u64().unwrap() > 0, "{closed:#}");
    }
    assert!(closed["codes"]["insufficient_funds"].as_u64().unwrap() > 0, "{closed:#}");

    let page = cluster.data_dir().path().join("report.html");
    let report = format!("--report={}", page.display());
    let open = ["--accounts=40", "--users=20", "--duration=2", "--rate=50", "--reads=0.8", "--json", &report];
    let open = summary(&loadtest(&open, &cluster).await);
    assert_eq!((&open["proof"]["holds"], &open["loop_kind"]), (&true.into(), &"open".into()));
    // Whatever the machine does, each of the 100 requests that were due is accounted for.
    let count = |value: &Value| value.as_u64().unwrap();
    let transfers = count(&open["proof"]["posted"]) + count(&open["proof"]["refused"]);
    let reads = count(&open["counts"]["reads"]) + count(&open["counts"]["failures"]);
    assert_eq!(transfers + reads + count(&open["missed"]), 100, "{open:#}");
    assert!(std::fs::read_to_string(page).unwrap().contains("<svg"));

    cluster.stop(&mut |_| ()).await.unwrap();
}

#[tokio::test]
async fn what_nobody_commits_expires() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command.args(["expiry", "--rate=100", "--seconds=2", "--expires-in=1", "--accounts=40", "--clients=16", "--json"]);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    // How late it comes is no matter here, so 1 is fine: not on time.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["reserved"].as_u64().unwrap() > 0, "{report:#}");
    assert_eq!(report["reserved"], report["found"]["expired"], "{report:#}");
    assert_eq!((&report["found"]["left"], &report["found"]["reserved"]), (&0.into(), &0.into()));
}

#[tokio::test]
async fn missing_wallet_is_told() {
    let nowhere = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    let output = command.args(["run", "--data-dir"]).arg(nowhere.path()).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("no local cluster") && told.contains("walletctl up"), "{told}");
}

#[tokio::test]
async fn impossible_options_are_usage_errors() {
    for arguments in [&["run", "--rate=0"][..], &["run", "--rate=NaN"], &["bench", "--seconds=0"], &["dance"], &[]] {
        let output = Command::new(env!("CARGO_BIN_EXE_loadtest")).args(arguments).output().await.unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

//! Processes are killed and started again in the middle of a load; the wallet keeps its word all the same.

use std::process::Stdio;
use std::time::Duration;

use local_cluster::{Cluster, ClusterSpec, Signal};
use serde_json::Value;
use tokio::process::Command;

#[tokio::test]
async fn wallet_keeps_its_word_when_processes_are_killed() {
    let spec = ClusterSpec { seed: false, ..ClusterSpec::scratch() };
    let cluster = Cluster::start(spec, &mut |_| ()).await.unwrap();

    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command.args([
        "run",
        "--accounts=80",
        "--users=40",
        "--duration=12",
        "--clients=16",
        "--timeout-ms=2000",
        "--json",
    ]);
    command.args(["--reads=0.2", "--cross-shard=0.5", "--cross-region=0.25"]);
    for region in cluster.regions() {
        command.arg("--router").arg(cluster.router_url(&region).unwrap());
        command.arg("--redis").arg(cluster.redis_url(&region).unwrap());
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let load = command.spawn().unwrap();

    for name in ["shard-node-1", "postgres-2", "router-sg", "shard-node-3", "postgres-4"] {
        // Between two failures the load is to find its way back; nothing is waited for that could be awaited.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let name = name.parse().unwrap();
        cluster.kill(&name, Signal::SIGKILL).await.unwrap();
        cluster.restart(&name).await.unwrap();
    }

    let output = load.wait_with_output().await.unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {out}{err}", output.status);
    let summary: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(summary["proof"]["holds"], true, "{summary:#}");
    assert!(summary["counts"]["failures"].as_u64().unwrap() > 0, "the load did not notice: {summary:#}");
    assert!(summary["proof"]["posted"].as_u64().unwrap() > 0);
    cluster.stop(&mut |_| ()).await.unwrap();
}

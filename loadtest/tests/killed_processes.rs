//! Processes are killed and started again in the middle of a load; the wallet keeps its word all the same.

use std::process::Stdio;
use std::time::Duration;

use audit::{Limits, Report, ShardTarget, audit};
use local_cluster::{Cluster, ClusterSpec, Role, Signal};
use placement::ShardId;
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
        "--duration=16",
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
    let mut load = command.spawn().unwrap();
    transfers_come(&cluster).await;

    for name in ["shard-node-1", "postgres-2", "redis-sg", "router-sg", "shard-node-3", "postgres-4"] {
        // Between two failures the load is to find its way back; nothing is waited for that could be awaited.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let name = name.parse().unwrap();
        cluster.kill(&name, Signal::SIGKILL).await.unwrap();
        cluster.restart(&name).await.unwrap();
        if name.role() == Role::Redis {
            // No false alarm while money moves.
            let during = audited(&cluster).await;
            assert!(during.holds, "broken: {:?}", during.broken().collect::<Vec<_>>());
            assert!(load.try_wait().unwrap().is_none(), "the load was over before the audit");
        }
    }

    let output = load.wait_with_output().await.unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {out}{err}", output.status);
    let summary: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(summary["proof"]["holds"], true, "{summary:#}");
    assert!(summary["counts"]["failures"].as_u64().unwrap() > 0, "the load did not notice: {summary:#}");
    assert!(summary["proof"]["posted"].as_u64().unwrap() > 0);
    let after = audited(&cluster).await;
    assert!(after.holds, "broken: {:?}", after.broken().collect::<Vec<_>>());
    cluster.stop(&mut |_| ()).await.unwrap();
}

fn targets(cluster: &Cluster) -> Vec<ShardTarget> {
    let shards = cluster.topology().unwrap().shards.into_iter().map(|shard| shard.id);
    let postgres = |shard: ShardId| cluster.shard_postgres_url(shard.get()).unwrap().parse().unwrap();
    shards.map(|shard| ShardTarget { shard, postgres: postgres(shard) }).collect()
}

async fn audited(cluster: &Cluster) -> Report {
    audit(&targets(cluster), &Limits::default(), &|_| ()).await.unwrap()
}

/// Waits until accounts are open and the load's own transfers arrive.
async fn transfers_come(cluster: &Cluster) {
    let client = audit::connect(&targets(cluster)[0]).await.unwrap();
    let sent = "SELECT FROM transfers WHERE kind = 0 LIMIT 1";
    let come = async {
        while client.query(sent, &[]).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), come).await.expect("transfers");
}

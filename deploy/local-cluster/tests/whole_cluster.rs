//! A whole cluster: what users find in it, and that it survives what happens to its processes.

use std::net::SocketAddr;
use std::path::Path;

use local_cluster::{
    ADMIN_TOKEN, Answer, Cluster, ClusterSpec, Method, ProcessName, SeededAccount, Signal, USERS, call,
};
use serde_json::{Value, json};
use wire::api::{Transfer, TransferState};

async fn start(spec: ClusterSpec) -> Cluster {
    Cluster::start(spec, &mut |_| ()).await.unwrap()
}

fn small() -> ClusterSpec {
    ClusterSpec { shards_per_region: 1, ..ClusterSpec::scratch() }
}

fn kept_in(directory: &Path) -> ClusterSpec {
    ClusterSpec { data_dir: Some(directory.to_owned()), ..small() }
}

async fn transfer(router: SocketAddr, from: &SeededAccount, to: &str, amount: i64, key: &str) -> Answer {
    let body: Value = json!({"debit_account_id": from.id, "credit_user_id": to, "amount": amount});
    let authorization = format!("Bearer {}", from.user_id);
    let headers = [("authorization", authorization.as_str()), ("idempotency-key", key)];
    call(router, Method::POST, "/v1/transfers", &headers, Some(&body)).await.unwrap()
}

async fn balances(cluster: &Cluster) -> Vec<i64> {
    cluster.seeded_accounts().await.unwrap().iter().map(|account| account.balance).collect()
}

#[tokio::test]
async fn users_stand_in_both_regions_and_house_has_all_the_money() {
    let cluster = start(small()).await;
    let accounts = cluster.seeded_accounts().await.unwrap();
    let users: Vec<&str> = accounts.iter().map(|account| account.user_id.as_str()).collect();
    let regions: Vec<&str> = accounts.iter().map(|account| account.region.as_str()).collect();
    assert_eq!(users, USERS);
    assert_eq!(regions, ["sg", "eu", "sg", "eu"]);
    assert_eq!(balances(&cluster).await, [1_000_000, 0, 0, 0]);
}

#[tokio::test]
async fn tokens_work_in_every_region_and_are_not_stored_in_clear() {
    let cluster = start(small()).await;
    for region in cluster.regions() {
        let router = cluster.router_address(&region, 0).unwrap();
        for token in USERS {
            let authorization = format!("Bearer {token}");
            let answer = call(router, Method::GET, "/v1/accounts", &[("authorization", &authorization)], None).await;
            assert_eq!(answer.unwrap().status, 200, "{token} in {region}");
        }
        let authorization = format!("Bearer {ADMIN_TOKEN}");
        let answer = call(router, Method::GET, "/v1/admin/topology", &[("authorization", &authorization)], None).await;
        assert_eq!(answer.unwrap().status, 200);
        let redis = redis::Client::open(cluster.redis_url(&region).unwrap()).unwrap();
        let mut connection = redis.get_multiplexed_async_connection().await.unwrap();
        let mut keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
        // The first deposits may have been told already, or not.
        keys.retain(|key| !key.starts_with("events:"));
        assert_eq!(keys.len(), USERS.len() + 1);
        assert!(keys.iter().all(|key| key.starts_with("session:") && key.len() == "session:".len() + 64), "{keys:?}");
    }
}

#[tokio::test]
async fn second_start_continues_with_the_balances_and_adds_no_money() {
    let temp = tempfile::tempdir().unwrap();
    let cluster = start(kept_in(temp.path())).await;
    let accounts = cluster.seeded_accounts().await.unwrap();
    let answer = transfer(cluster.router_address("sg", 0).unwrap(), &accounts[0], "yunus", 250, "lunch").await;
    assert_eq!(answer.read::<Transfer>().unwrap().state, TransferState::Posted);
    cluster.stop(&mut |_| ()).await.unwrap();
    drop(cluster);
    let cluster = start(kept_in(temp.path())).await;
    assert_eq!(balances(&cluster).await, [999_750, 250, 0, 0]);
}

#[tokio::test]
async fn replicas_serve_beside_each_other_and_each_part_may_be_killed() {
    let cluster = start(ClusterSpec { routers_per_region: 2, replicas_per_shard: 2, ..small() }).await;
    assert_eq!(cluster.processes().len(), 12);
    let house = cluster.seeded_accounts().await.unwrap().remove(0);
    let second = cluster.router_address("sg", 1).unwrap();
    assert_eq!(transfer(second, &house, "yunus", 1, "through-the-second-router").await.status, 201);
    let parts = ["shard-node-1.1", "shard-node-2", "router-eu", "postgres-1", "redis-sg"];
    for name in parts.map(|name| name.parse::<ProcessName>().unwrap()) {
        cluster.kill(&name, Signal::SIGKILL).await.unwrap();
        cluster.restart(&name).await.unwrap();
        settled(&cluster, second, &house, &format!("after-{name}")).await;
    }
    assert_eq!(balances(&cluster).await[1], 6);
}

/// Sends one transfer until it is decided, as a client would.
async fn settled(cluster: &Cluster, router: SocketAddr, house: &SeededAccount, key: &str) {
    for _ in 0..200 {
        let answer = transfer(router, house, "yunus", 1, key).await;
        if answer.status == 201 && answer.read::<Transfer>().unwrap().state == TransferState::Posted {
            return;
        }
        assert!([200, 201, 202, 409, 503].contains(&answer.status.as_u16()), "{}: {}", answer.status, answer.body);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{key} is not decided; see {}", cluster.data_dir().path().display());
}

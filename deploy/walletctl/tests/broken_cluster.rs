//! `walletctl` over a cluster of which a part is down, or all, or that never was.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use local_cluster::{Cluster, ClusterSpec, Method, ProcessName, SeededAccount, Signal, call};
use serde_json::{Value, json};

/// What a command has said, and its exit status.
struct Said {
    code: i32,
    out: String,
    err: String,
}

fn run(data_dir: &Path, arguments: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_walletctl"));
    let output = command.args(arguments).arg("--data-dir").arg(data_dir).stdin(Stdio::null()).output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    Said { code: output.status.code().unwrap(), out, err }
}

fn assert_says(said: &Said, code: i32, words: &[&str]) {
    assert_eq!(said.code, code, "{}{}", said.out, said.err);
    for word in words {
        assert!(said.out.contains(word) || said.err.contains(word), "no {word:?} in:\n{}{}", said.out, said.err);
    }
}

async fn transfer(cluster: &Cluster, from: &SeededAccount, to: &str) -> String {
    let body = json!({"debit_account_id": from.id, "credit_user_id": to, "amount": 250});
    let authorization = format!("Bearer {}", from.user_id);
    let headers = [("authorization", authorization.as_str()), ("idempotency-key", "lunch")];
    let router = cluster.router_address(&from.region, 0).unwrap();
    let answer = call(router, Method::POST, "/v1/transfers", &headers, Some(&body)).await.unwrap();
    let transfer: Value = answer.read().unwrap();
    assert_eq!(transfer["state"], "posted", "{transfer}");
    transfer["id"].as_str().unwrap().to_owned()
}

fn shard_of(data_dir: &Path, account: &str) -> u16 {
    let said = run(data_dir, &["account", "locate", account, "--json"]);
    let located: Value = serde_json::from_str(&said.out).unwrap();
    located["shard"].as_u64().unwrap().try_into().unwrap()
}

#[tokio::test]
async fn living_shards_are_shown_while_one_is_down_and_a_stopped_cluster_is_named() {
    let cluster = Cluster::start(ClusterSpec::scratch(), &mut |_| ()).await.unwrap();
    let data_dir = cluster.data_dir().path().to_owned();
    let accounts = cluster.seeded_accounts().await.unwrap();
    let (house, yunus) = (accounts[0].id.to_string(), accounts[1].id.to_string());
    let transfer = transfer(&cluster, &accounts[0], "yunus").await;
    let down = shard_of(&data_dir, &yunus);
    cluster.kill(&ProcessName::Postgres { shard: down, replica: 0 }, Signal::SIGKILL).await.unwrap();

    what_the_living_know(&data_dir, down, &transfer, &house);
    what_only_the_dead_knows(&data_dir, down, &yunus, &transfer);
    let mend = "`walletctl down` and `walletctl up`";
    let needs_all = format!("verify needs all shards, and shard {down} cannot be read");
    assert_says(&run(&data_dir, &["verify"]), 1, &[&needs_all, mend]);

    cluster.stop(&mut |_| ()).await.unwrap();
    all_say_that_it_is_stopped(&data_dir, &transfer, &house);
}

fn what_the_living_know(data_dir: &Path, down: u16, transfer: &str, house: &str) {
    let unread = format!("\nshard {down}: cannot connect to the PostgreSQL of shard {down}");
    let of_house = ["account", "show", house];
    let told: [(&[&str], &str); 6] = [
        (&["saga", "list"], "no open transfers"),
        (&["transfer", "trace", transfer], "debit posted"),
        (&of_house, "-250"),
        (&["account", "locate", house], house),
        (&["topology", "show"], "version 1"),
        (&["shard", "list"], "TRANSFERS/S"),
    ];
    for (arguments, words) in told {
        assert_says(&run(data_dir, arguments), 1, &[words, &unread]);
    }
    let said = run(data_dir, &[&of_house[..], &["--json"]].concat());
    let shown: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.code, shown["user_id"].as_str()), (1, Some("house")));
    assert!(said.err.contains(unread.trim()), "{}", said.err);
}

fn what_only_the_dead_knows(data_dir: &Path, down: u16, account: &str, transfer: &str) {
    let unread = format!("\nshard {down}: cannot connect");
    assert_says(&run(data_dir, &["account", "locate", account]), 1, &["unknown", &unread]);
    assert_says(&run(data_dir, &["account", "show", account]), 1, &["no shard that can be read owns slot", &unread]);
    let (begin, end) = transfer.split_at(transfer.len() - 1);
    let unheard_of = format!("{begin}{}", if end == "0" { "1" } else { "0" });
    assert_says(&run(data_dir, &["transfer", "trace", &unheard_of]), 1, &["no shard that can be read knows", &unread]);
}

fn all_say_that_it_is_stopped(data_dir: &Path, transfer: &str, house: &str) {
    let stopped = format!("the cluster in {} is stopped; start it with `walletctl up`", data_dir.display());
    let commands: [&[&str]; 9] = [
        &["saga", "list"],
        &["transfer", "trace", transfer],
        &["account", "show", house],
        &["account", "locate", house],
        &["topology", "show"],
        &["shard", "list"],
        &["verify"],
        &["session", "add", "--user", "yunus"],
        &["status"],
    ];
    for arguments in commands {
        let said = run(data_dir, arguments);
        assert_says(&said, 1, &[&stopped]);
        assert!(!said.out.contains("MiB"), "{}", said.out);
    }
}

#[test]
fn refused_start_leaves_nothing_for_down_to_stop() {
    let temp = tempfile::tempdir().unwrap();
    let data_dir = temp.path().join("data");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let refused = run(&data_dir, &["up", "--detach", "--base-port", &port]);
    assert_says(&refused, 1, &["is taken", "choose other ports with --base-port"]);
    assert!(!data_dir.exists());
    for arguments in [&["down"][..], &["down", "--purge"], &["down", "--dry-run"]] {
        let said = run(&data_dir, arguments);
        assert_says(&said, 0, &["there is no cluster in"]);
        assert!(!said.out.contains("data stays"), "{}", said.out);
    }
}

#[test]
fn region_without_shards_is_refused_by_the_name_of_the_option() {
    let temp = tempfile::tempdir().unwrap();
    assert_says(&run(temp.path(), &["up", "--shards-per-region", "0"]), 2, &["--shards-per-region"]);
}

#[tokio::test]
async fn routers_that_are_ready_show_the_version_they_work_with() {
    let spec = ClusterSpec { shards_per_region: 1, ..ClusterSpec::scratch() };
    let cluster = Cluster::start(spec, &mut |_| ()).await.unwrap();
    let status: Value = serde_json::from_str(&run(cluster.data_dir().path(), &["status", "--json"]).out).unwrap();
    let processes = status["processes"].as_array().unwrap();
    let routers: Vec<&Value> = processes.iter().filter(|process| process["role"] == "router").collect();
    assert!(routers.len() == 2 && routers.iter().all(|router| router["topology_version"] == 1), "{status}");
}

//! `walletctl` as people and scripts use it: what it prints, what it leaves, and its exit status.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

fn walletctl(data_dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_walletctl"));
    command.args(arguments).arg("--data-dir").arg(data_dir).stdin(Stdio::null());
    command
}

fn run(data_dir: &Path, arguments: &[&str]) -> Output {
    walletctl(data_dir, arguments).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}\n{}", out(output), err(output)))
}

/// A base port with its followers free, above the ports that the kernel and scratch clusters choose from.
fn base_port(test: u32) -> String {
    const FIRST: u32 = 61_000;
    const STRETCH: u32 = 600;
    const STRETCHES: u32 = 6;
    let is_free = |port: u32| TcpListener::bind(("127.0.0.1", u16::try_from(port).unwrap())).is_ok();
    let all_free = |base: &u32| (0..STRETCH).step_by(100).all(|block| (0..4).all(|more| is_free(base + block + more)));
    let stretches = (0..STRETCHES).map(|next| FIRST + (std::process::id() + test + next) % STRETCHES * STRETCH);
    stretches.into_iter().find(all_free).unwrap().to_string()
}

/// Ends the cluster even if the test fails.
struct Downed<'a>(&'a Path);

impl Drop for Downed<'_> {
    fn drop(&mut self) {
        run(self.0, &["down", "--purge"]);
    }
}

#[test]
fn wrong_usage_has_its_own_exit_status() {
    let temp = tempfile::tempdir().unwrap();
    let too_long = "u".repeat(129);
    let wrong: [&[&str]; 11] = [
        &[],
        &["upp"],
        &["up", "--no-such-option"],
        &["up", "--base-port", "80"],
        &["up", "--regions", "SG"],
        &["up", "--yes"],
        &["session", "add", "--user", ""],
        &["session", "add", "--user", "a\nb"],
        &["session", "add", "--user", &too_long],
        &["session", "add", "--user", "yunus", "--ttl", "soon"],
        &["session", "revoke"],
    ];
    for arguments in wrong {
        assert_eq!(code(&run(temp.path(), arguments)), 2, "{arguments:?}");
    }
    let told = run(temp.path(), &["session", "add", "--user", &too_long]);
    assert!(err(&told).contains("1 to 128 bytes"), "{}", err(&told));
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 0);
}

#[test]
fn commands_that_need_a_cluster_say_how_to_start_one() {
    let temp = tempfile::tempdir().unwrap();
    for arguments in [&["status"][..], &["session", "add", "--user", "yunus"]] {
        let output = run(temp.path(), arguments);
        assert_eq!(code(&output), 1);
        assert!(err(&output).contains("`walletctl up` starts one"), "{}", err(&output));
    }
    assert_eq!(code(&run(temp.path(), &["down"])), 0);
}

#[test]
fn directory_of_something_else_is_never_touched() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::write(temp.path().join("thesis.txt"), "years of work").unwrap();
    for arguments in [&["up"][..], &["up", "--fresh", "--yes"], &["down"], &["down", "--purge"], &["status"]] {
        let output = run(temp.path(), arguments);
        assert_eq!(code(&output), 1, "{arguments:?}");
        assert!(err(&output).contains("not a wallet data directory"), "{}", err(&output));
    }
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1);
}

#[test]
fn dry_run_names_what_would_be_started_and_changes_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let output = run(temp.path(), &["up", "--dry-run", "--regions", "us", "--shards-per-region", "1"]);
    assert!(out(&output).contains("would start shard-node-1 on 127.0.0.1:8280"), "{}", out(&output));
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 0);
}

#[test]
fn doctor_reports_each_check_with_its_verdict() {
    let temp = tempfile::tempdir().unwrap();
    let checks = json(&run(temp.path(), &["doctor", "--json"]));
    let names: Vec<&str> = checks.as_array().unwrap().iter().map(|check| check["check"].as_str().unwrap()).collect();
    for expected in ["postgres", "redis-server", "disk space", "fsync", "ports"] {
        assert!(names.contains(&expected), "{names:?}");
    }
}

#[test]
fn detached_cluster_is_shown_used_and_stopped() {
    let temp = tempfile::tempdir().unwrap();
    let directory = temp.path().join("data");
    let _downed = Downed(&directory);
    let base = base_port(0);
    let up = run(&directory, &["up", "--detach", "--base-port", &base]);
    assert_eq!(code(&up), 0, "{}", err(&up));
    assert!(out(&up).contains(" invariants hold\n"), "{}", out(&up));
    printed_commands_move_money_between_regions(&out(&up));

    let status = run(&directory, &["status", "--json"]);
    let status_json = json(&status);
    assert_eq!((code(&status), status_json["ready"].as_bool()), (0, Some(true)), "{status_json}");
    assert_eq!(status_json["processes"].as_array().unwrap().len(), 12);
    const IDLE_BYTES_MAX: u64 = 600 << 20;
    assert!(status_json["memory_bytes"].as_u64().unwrap() < IDLE_BYTES_MAX);

    let again = run(&directory, &["up", "--detach"]);
    assert_eq!(code(&again), 1);
    assert!(err(&again).contains("runs in"), "{}", err(&again));
    let fresh = run(&directory, &["up", "--detach", "--fresh"]);
    assert_eq!(code(&fresh), 2, "{}", err(&fresh));
    sessions_come_and_go(&directory, &base);
    tampering_is_named(&directory);

    assert_eq!(code(&run(&directory, &["down"])), 0);
    assert_eq!(code(&run(&directory, &["status"])), 1);
    assert_eq!(code(&run(&directory, &["down", "--purge"])), 0);
    assert!(!directory.exists());
}

/// Runs the lines of the banner as they were printed.
fn printed_commands_move_money_between_regions(banner: &str) {
    let (_, rest) = banner.split_once("try:\n").unwrap();
    let (commands, _) = rest.split_once("\ndocs: ").unwrap();
    let output =
        Command::new("sh").args(["-c", &format!("set -e\n{}", commands.replace("curl ", "curl -sSf "))]).output();
    let output = output.unwrap();
    let text = out(&output);
    assert!(output.status.success(), "{commands}\n{}", err(&output));
    assert!(text.contains(r#""state":"posted""#) && text.contains(r#""balance":250"#), "{text}");
}

/// Changes a row behind the wallet's back, and mends it again.
fn tampering_is_named(directory: &Path) {
    let clean = run(directory, &["verify", "--chain", "--json"]);
    let report = json(&clean);
    assert_eq!((code(&clean), report["holds"].as_bool()), (0, Some(true)), "{report:#}");
    assert!(!report["chain"]["shards"][0]["heads"].as_array().unwrap().is_empty(), "{report:#}");
    let heads = directory.with_extension("heads");
    std::fs::write(&heads, &clean.stdout).unwrap();
    let with_heads = ["verify", "--chain", "--chain-heads", heads.to_str().unwrap()];

    let id = tamper(directory, "message = message || '!'");
    let found = run(directory, &with_heads);
    assert_eq!(code(&found), 3, "{}", err(&found));
    assert!(out(&found).contains(&format!("transfers {id} is not as batch ")), "{}", out(&found));
    assert_eq!(code(&run(directory, &["verify"])), 0);

    tamper(directory, "message = nullif(rtrim(message, '!'), '')");
    let mended = run(directory, &with_heads);
    assert_eq!(code(&mended), 0, "{}", out(&mended));
    assert_eq!(code(&run(directory, &["verify", "--chain", "--chain-heads", "nowhere"])), 1);
    assert_eq!(code(&run(directory, &["verify", "--chain", "--slot", "1"])), 2);
    assert_eq!(code(&run(directory, &["verify", "--chain-heads", heads.to_str().unwrap()])), 2);
}

/// Sets a column of the first transfer that has a message, and gives back its id.
fn tamper(directory: &Path, set: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let cluster = local_cluster::Cluster::attach(directory).unwrap().unwrap();
        for shard in cluster.topology().unwrap().shards {
            let url = cluster.shard_postgres_url(shard.id.get()).unwrap();
            let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(async move { drop(connection.await) });
            client.batch_execute("SET wallet.fence = 'held'").await.unwrap();
            let first = "(SELECT id FROM transfers WHERE message IS NOT NULL ORDER BY id LIMIT 1)";
            let update = format!("UPDATE transfers SET {set} WHERE id = {first} RETURNING id::text");
            if let Some(row) = client.query_opt(&update, &[]).await.unwrap() {
                return row.get(0);
            }
        }
        panic!("no transfer has a message");
    })
}

fn sessions_come_and_go(directory: &Path, base: &str) {
    let added = run(directory, &["session", "add", "--user", "somebody", "--ttl", "5m"]);
    assert_eq!(code(&added), 0, "{}", err(&added));
    let token = out(&added).trim().to_owned();
    assert_eq!(token.len(), 64);
    assert_eq!(status_of_list(base, &token), "200");
    let revoked = json(&run(directory, &["session", "revoke", "--token", &token, "--json"]));
    assert_eq!(revoked["revoked"], 1);
    assert_eq!(code(&run(directory, &["session", "revoke", "--token", &token])), 1);
    // A router that has not seen the token yet has not cached it either.
    let other = (base.parse::<u16>().unwrap() + 1).to_string();
    assert_eq!(status_of_list(&other, &token), "401");
}

fn status_of_list(port: &str, token: &str) -> String {
    let (url, header) = (format!("http://127.0.0.1:{port}/v1/accounts"), format!("Authorization: Bearer {token}"));
    let output =
        Command::new("curl").args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", &header, &url]).output();
    out(&output.unwrap())
}

#[test]
fn foreground_cluster_ends_with_an_interrupt_and_keeps_its_data() {
    let temp = tempfile::tempdir().unwrap();
    let directory = temp.path().join("data");
    let _downed = Downed(&directory);
    let (base, log) = (base_port(1), temp.path().join("log"));
    let shape = ["up", "--base-port", &base, "--regions", "sg", "--shards-per-region", "1"];
    let mut up = walletctl(&directory, &shape);
    let mut up = up.stdout(Stdio::null()).stderr(std::fs::File::create(&log).unwrap()).spawn().unwrap();
    wait_until("the cluster is ready", || code(&run(&directory, &["status"])) == 0);
    let refused = run(&directory, &["up"]);
    assert!(err(&refused).contains("another walletctl"), "{}", err(&refused));

    kill_shard_node(&directory);
    let said = || std::fs::read_to_string(&log).unwrap();
    wait_until("the shard-node is started again", || said().contains("shard-node-1 started again"));
    wait_until("the cluster is ready again", || code(&run(&directory, &["status"])) == 0);

    let pid = up.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(up.wait().unwrap().code(), Some(0), "{}", said());
    let status = json(&run(&directory, &["status", "--json"]));
    let running = status["processes"].as_array().unwrap().iter().filter(|process| !process["pid"].is_null());
    assert_eq!(running.count(), 0);
    assert_eq!(status["data_dir"].as_str().map(Path::new), Some(directory.as_path()));
}

fn kill_shard_node(directory: &Path) {
    let status = json(&run(directory, &["status", "--json"]));
    let processes = status["processes"].as_array().unwrap();
    let node = processes.iter().find(|process| process["process"] == "shard-node-1").unwrap();
    let pid = node["pid"].as_u64().unwrap().to_string();
    assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    // The first of several builds may be slow.
    let deadline = Instant::now() + Duration::from_secs(600);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

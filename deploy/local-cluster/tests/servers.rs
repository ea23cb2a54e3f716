//! PostgreSQL and Redis of a cluster: started, broken, found again, and gone without a trace.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use local_cluster::session::{Session, Sessions};
use local_cluster::{Cluster, ClusterSpec, Event, Lifetime, Parts, Process, ProcessName, Signal, can_mount};
use tokio_postgres::{Client, NoTls};

fn servers() -> ClusterSpec {
    ClusterSpec {
        regions: vec!["sg".to_owned()],
        parts: Parts::ServersOnly,
        shards_per_region: 1,
        ..ClusterSpec::scratch()
    }
}

fn servers_in(directory: &Path) -> ClusterSpec {
    ClusterSpec { data_dir: Some(directory.to_owned()), ..servers() }
}

async fn start(spec: ClusterSpec) -> anyhow::Result<Cluster> {
    Cluster::start(spec, &mut |_| ()).await
}

fn postgres() -> ProcessName {
    ProcessName::Postgres { shard: 1, replica: 0 }
}

async fn client(cluster: &Cluster) -> Client {
    let (client, connection) = tokio_postgres::connect(&cluster.shard_postgres_url(1).unwrap(), NoTls).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    client
}

async fn make_table(cluster: &Cluster) {
    client(cluster).await.batch_execute("CREATE TABLE kept AS SELECT 7 AS value").await.unwrap();
}

async fn kept_value(cluster: &Cluster) -> i32 {
    client(cluster).await.query_one("SELECT value FROM kept", &[]).await.unwrap().get(0)
}

fn assert_all_gone(processes: &[Process]) {
    for process in processes {
        assert!(!process.is_alive(), "{} still runs", process.name);
    }
}

#[tokio::test]
async fn dropped_scratch_cluster_leaves_nothing_behind() {
    let cluster = start(servers()).await.unwrap();
    make_table(&cluster).await;
    assert_eq!(kept_value(&cluster).await, 7);
    let (processes, path) = (cluster.processes(), cluster.data_dir().path().to_owned());
    assert_eq!(processes.len(), 2);
    assert!(processes.iter().all(Process::is_alive) && path.exists());
    drop(cluster);
    assert_all_gone(&processes);
    assert!(!path.exists());
}

#[tokio::test]
async fn postgres_is_durable_checked_and_on_loopback_only() {
    let cluster = start(servers()).await.unwrap();
    let (client, connection) = tokio_postgres::connect(&cluster.shard_superuser_url(1).unwrap(), NoTls).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    for (name, value) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("data_checksums", "on"),
        ("listen_addresses", "127.0.0.1"),
        ("unix_socket_directories", ""),
        ("lc_collate", "C.UTF-8"),
        ("server_encoding", "UTF8"),
    ] {
        let setting: String = client.query_one(&format!("SHOW {name}"), &[]).await.unwrap().get(0);
        assert_eq!(setting, value, "{name}");
    }
}

#[tokio::test]
async fn shard_nodes_role_is_no_superuser() {
    let cluster = start(servers()).await.unwrap();
    let client = client(&cluster).await;
    let is_superuser: String = client.query_one("SHOW is_superuser", &[]).await.unwrap().get(0);
    assert_eq!(is_superuser, "off");
}

#[tokio::test]
async fn wrong_password_is_refused() {
    let cluster = start(servers()).await.unwrap();
    let url = cluster.shard_postgres_url(1).unwrap();
    let guessed = format!("{} password=guessed", url.split(" password=").next().unwrap());
    assert!(tokio_postgres::connect(&guessed, NoTls).await.is_err());
}

#[tokio::test]
async fn servers_do_not_run_as_root() {
    let cluster = start(servers()).await.unwrap();
    for process in cluster.processes() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid().unwrap())).unwrap();
        let uid = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap().split_whitespace().next().unwrap();
        assert_ne!(uid, "0", "{}", process.name);
    }
}

#[tokio::test]
async fn killed_postgres_starts_again_with_its_data() {
    let cluster = start(servers()).await.unwrap();
    make_table(&cluster).await;
    let before = cluster.process(&postgres()).unwrap();
    cluster.kill(&postgres(), Signal::SIGKILL).await.unwrap();
    assert!(!before.is_alive());
    cluster.restart(&postgres()).await.unwrap();
    assert_ne!(cluster.process(&postgres()).unwrap().pid(), before.pid());
    assert_eq!(kept_value(&cluster).await, 7);
}

#[tokio::test]
async fn signal_to_what_does_not_run_is_an_error() {
    let cluster = start(servers()).await.unwrap();
    cluster.kill(&postgres(), Signal::SIGKILL).await.unwrap();
    assert!(cluster.kill(&postgres(), Signal::SIGKILL).await.is_err());
    assert!(cluster.kill(&ProcessName::Postgres { shard: 9, replica: 0 }, Signal::SIGKILL).await.is_err());
}

#[tokio::test]
async fn lock_file_of_a_reused_pid_does_not_keep_postgres_from_starting() {
    let cluster = start(servers()).await.unwrap();
    cluster.kill(&postgres(), Signal::SIGKILL).await.unwrap();
    let lock = cluster.data_dir().server_files(&postgres()).join("postmaster.pid");
    let text = std::fs::read_to_string(&lock).unwrap();
    let redis = cluster.process(&ProcessName::Redis { region: "sg".to_owned() }).unwrap().pid().unwrap();
    let (_, rest) = text.split_once('\n').unwrap();
    std::fs::write(&lock, format!("{redis}\n{rest}")).unwrap();
    cluster.restart(&postgres()).await.unwrap();
}

#[tokio::test]
async fn data_and_sessions_survive_stop_and_start() {
    let temp = tempfile::tempdir().unwrap();
    let session = Session { user_id: "yunus".to_owned(), scopes: vec!["wallet".to_owned()] };
    let cluster = start(servers_in(temp.path())).await.unwrap();
    make_table(&cluster).await;
    let mut sessions = Sessions::connect(&cluster.redis_url("sg").unwrap()).await.unwrap();
    sessions.add("token", &session, Duration::from_secs(60)).await.unwrap();
    let first = cluster.processes();
    cluster.stop(&mut |_| ()).await.unwrap();
    assert_all_gone(&first);
    drop(cluster);

    let cluster = start(servers_in(temp.path())).await.unwrap();
    assert_eq!(kept_value(&cluster).await, 7);
    assert_eq!(cluster.processes()[0].address, first[0].address);
    let mut sessions = Sessions::connect(&cluster.redis_url("sg").unwrap()).await.unwrap();
    assert_eq!(sessions.of_user("yunus").await.unwrap().len(), 1);
}

#[tokio::test]
async fn fresh_start_deletes_the_data() {
    let temp = tempfile::tempdir().unwrap();
    let cluster = start(servers_in(temp.path())).await.unwrap();
    make_table(&cluster).await;
    drop(cluster);
    let cluster = start(ClusterSpec { fresh: true, ..servers_in(temp.path()) }).await.unwrap();
    assert!(client(&cluster).await.query("SELECT value FROM kept", &[]).await.is_err());
}

#[tokio::test]
async fn sessions_can_be_revoked_by_token_and_by_user() {
    let cluster = start(servers()).await.unwrap();
    let mut sessions = Sessions::connect(&cluster.redis_url("sg").unwrap()).await.unwrap();
    let session = |user: &str| Session { user_id: user.to_owned(), scopes: vec!["wallet".to_owned()] };
    for (token, user) in [("a", "yunus"), ("b", "yunus"), ("c", "nick")] {
        sessions.add(token, &session(user), Duration::from_secs(60)).await.unwrap();
    }
    assert!(sessions.revoke("a").await.unwrap());
    assert!(!sessions.revoke("a").await.unwrap());
    assert_eq!(sessions.revoke_user("yunus").await.unwrap().len(), 1);
    assert!(sessions.revoke_user("yunus").await.unwrap().is_empty());
    assert_eq!(sessions.of_user("nick").await.unwrap().len(), 1);
}

#[tokio::test]
async fn second_start_in_the_same_directory_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let cluster = start(servers_in(temp.path())).await.unwrap();
    let error = start(servers_in(temp.path())).await.err().unwrap().to_string();
    assert!(error.contains("another walletctl"), "{error}");
    assert!(cluster.processes().iter().all(Process::is_alive));
}

#[tokio::test]
async fn detached_cluster_lives_on_until_somebody_stops_it() {
    let temp = tempfile::tempdir().unwrap();
    let spec = ClusterSpec { lifetime: Lifetime::Detached, ..servers_in(temp.path()) };
    drop(start(spec.clone()).await.unwrap());
    let attached = Cluster::attach(temp.path()).unwrap().unwrap();
    assert!(attached.processes().iter().all(Process::is_alive));
    let error = start(spec).await.err().unwrap().to_string();
    assert!(error.contains("runs in"), "{error}");
    attached.stop(&mut |_| ()).await.unwrap();
    assert_all_gone(&attached.processes());
}

#[tokio::test]
async fn remains_of_a_broken_cluster_are_stopped_and_its_data_is_kept() {
    let temp = tempfile::tempdir().unwrap();
    let cluster = start(ClusterSpec { lifetime: Lifetime::Detached, ..servers_in(temp.path()) }).await.unwrap();
    make_table(&cluster).await;
    cluster.kill(&postgres(), Signal::SIGKILL).await.unwrap();
    let redis = cluster.processes().into_iter().find(Process::is_alive).unwrap();
    drop(cluster);
    let mut stopped = Vec::new();
    let spec = servers_in(temp.path());
    let mut report = |event| {
        if let Event::StoppingLeftovers { names } = event {
            stopped = names;
        }
    };
    let cluster = Cluster::start(spec, &mut report).await.unwrap();
    assert_eq!(stopped, std::slice::from_ref(&redis.name));
    assert!(!redis.is_alive());
    assert_eq!(kept_value(&cluster).await, 7);
}

#[tokio::test]
async fn taken_port_is_named_and_nothing_is_started() {
    let temp = tempfile::tempdir().unwrap();
    let cluster = start(servers_in(temp.path())).await.unwrap();
    let address = cluster.process(&postgres()).unwrap().address;
    cluster.stop(&mut |_| ()).await.unwrap();
    drop(cluster);
    let _squatter = std::net::TcpListener::bind(address).unwrap();
    let error = start(servers_in(temp.path())).await.err().unwrap().to_string();
    let expected =
        format!("port {}, wanted for postgres-1, is taken by process {}", address.port(), std::process::id());
    assert!(error.contains(&expected), "{error}");
    assert_all_gone(&Cluster::attach(temp.path()).unwrap().unwrap().processes());
}

#[tokio::test]
async fn failed_start_stops_what_it_had_started_and_shows_the_log() {
    let mut spec = servers();
    spec.postgres_settings.insert("no_such_setting".to_owned(), "1".to_owned());
    let error = start(spec).await.err().unwrap().to_string();
    assert!(error.contains("postgres-1 ended") && error.contains("no_such_setting"), "{error}");
}

#[tokio::test]
async fn supervised_process_that_is_killed_is_started_again() {
    let cluster = start(servers()).await.unwrap();
    let before = cluster.process(&postgres()).unwrap();
    let (restarted, seen) = tokio::sync::oneshot::channel();
    let mut restarted = Some(restarted);
    let mut report = |event| {
        if let Event::Restarted(process) = event {
            restarted.take().unwrap().send(process).unwrap();
        }
    };
    let kill_and_see = async {
        cluster.kill(&postgres(), Signal::SIGKILL).await.unwrap();
        assert_eq!(seen.await.unwrap().name, postgres());
    };
    cluster.supervise(kill_and_see, &mut report).await.unwrap();
    cluster.wait_until_ready(&postgres()).await.unwrap();
    assert_ne!(cluster.process(&postgres()).unwrap().pid(), before.pid());
}

const HOLDER: &str = "LOCAL_CLUSTER_TEST_HOLDER";

/// Not a test by itself: the next one runs it as a program of its own and kills that.
#[tokio::test]
async fn holder_of_a_cluster() {
    if std::env::var_os(HOLDER).is_none() {
        return;
    }
    let disks = if can_mount() { BTreeMap::from([(postgres(), 256 << 20)]) } else { BTreeMap::new() };
    let cluster = start(ClusterSpec { disks, ..servers() }).await.unwrap();
    println!("DATA {}", cluster.data_dir().path().display());
    std::future::pending().await
}

#[test]
fn killed_program_leaves_nothing_behind() {
    let mut holder = Command::new(std::env::current_exe().unwrap());
    holder.args(["--exact", "holder_of_a_cluster", "--nocapture"]).env(HOLDER, "1").stdout(Stdio::piped());
    let mut holder = holder.spawn().unwrap();
    let path = read_data_dir(holder.stdout.take().unwrap());
    let processes = Cluster::attach(&path).unwrap().unwrap().processes();
    assert!(processes.iter().all(Process::is_alive));
    // As libfaketime would, had this been a shard-node with a wrong clock.
    let remains = |process: &Process| format!("/dev/shm/faketime_shm_{}", process.identity.as_ref().unwrap().pid);
    processes.iter().for_each(|process| std::fs::write(remains(process), "").unwrap());
    holder.kill().unwrap();
    holder.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let is_left = |process: &Process| process.is_alive() || Path::new(&remains(process)).exists();
    while (path.exists() || processes.iter().any(is_left)) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_all_gone(&processes);
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    assert!(!mounts.contains(path.to_str().unwrap()), "a disk is left: {mounts}");
    for process in &processes {
        assert!(!Path::new(&remains(process)).exists(), "{}", remains(process));
    }
    assert!(!path.exists());
}

fn read_data_dir(output: impl std::io::Read) -> PathBuf {
    use std::io::BufRead;
    let lines = std::io::BufReader::new(output).lines().map(Result::unwrap);
    let mut paths = lines.filter_map(|line| line.split_once("DATA ").map(|(_, path)| PathBuf::from(path)));
    paths.next().expect("the holder prints its data directory")
}

//! What a fault suite does to PostgreSQL servers: full disks, wrong clocks, failovers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use local_cluster::{Cluster, ClusterSpec, Parts, ProcessName, Signal, WrongClock, can_mount};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

const PRIMARY: ProcessName = ProcessName::Postgres { shard: 1, replica: 0 };
const STANDBY: ProcessName = ProcessName::Postgres { shard: 1, replica: 1 };

fn one_server() -> ClusterSpec {
    ClusterSpec {
        regions: vec!["sg".to_owned()],
        parts: Parts::ServersOnly,
        shards_per_region: 1,
        ..ClusterSpec::scratch()
    }
}

async fn start(spec: ClusterSpec) -> Cluster {
    Cluster::start(spec, &mut |_| ()).await.unwrap()
}

async fn client(cluster: &Cluster) -> Client {
    let (client, connection) = tokio_postgres::connect(&cluster.shard_postgres_url(1).unwrap(), NoTls).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    client
}

async fn insert(client: &Client, value: i64) -> Result<u64, tokio_postgres::Error> {
    client.execute("INSERT INTO kept SELECT $1, repeat('x', 1000)", &[&value]).await
}

async fn count(client: &Client) -> i64 {
    client.query_one("SELECT count(*) FROM kept", &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn full_disk_refuses_writes_until_it_is_freed() {
    // As on any machine without the right to mount; the fault suite says so in its report.
    if !can_mount() {
        return;
    }
    let disks = BTreeMap::from([(PRIMARY, 256 << 20)]);
    let settings = BTreeMap::from([("max_wal_size".to_owned(), "64MB".to_owned())]);
    let cluster = start(ClusterSpec { disks, postgres_settings: settings, ..one_server() }).await;
    let root = cluster.data_dir().path().to_owned();
    let before = client(&cluster).await;
    before.batch_execute("CREATE TABLE kept (value bigint, filling text)").await.unwrap();
    cluster.fill_disk(&PRIMARY).unwrap();
    let mut refused = None;
    for value in 0..1_000 {
        if let Err(error) = insert(&before, value).await {
            refused = Some(error);
            break;
        }
    }
    assert_eq!(refused.unwrap().code(), Some(&SqlState::DISK_FULL));
    cluster.free_disk(&PRIMARY).unwrap();
    assert_eq!(insert(&before, -1).await.unwrap(), 1);
    let mounts = || std::fs::read_to_string("/proc/mounts").unwrap();
    assert!(mounts().contains(root.to_str().unwrap()));
    drop(cluster);
    assert!(!mounts().contains(root.to_str().unwrap()));
    assert!(!root.exists());
}

#[tokio::test]
async fn process_restarted_with_a_wrong_clock_is_an_hour_off_until_it_is_restarted() {
    let clock = WrongClock::find_or_install(&mut |_| ()).await.unwrap();
    let cluster = start(one_server()).await;
    for ahead_seconds in [3_600, -3_600, 0] {
        let environment =
            if ahead_seconds == 0 { BTreeMap::new() } else { clock.environment(i64::from(ahead_seconds)) };
        cluster.set_environment(&PRIMARY, environment);
        cluster.restart(&PRIMARY).await.unwrap();
        let row = client(&cluster).await.query_one("SELECT clock_timestamp(), pg_sleep(0.01)", &[]).await.unwrap();
        let off = match row.get::<_, SystemTime>(0).duration_since(SystemTime::now()) {
            Ok(ahead) => ahead.as_secs_f64(),
            Err(behind) => -behind.duration().as_secs_f64(),
        };
        assert!((off - f64::from(ahead_seconds)).abs() < 10.0, "{off} instead of {ahead_seconds}");
    }
}

#[tokio::test]
async fn promoted_standby_has_every_acknowledged_commit_time_and_again() {
    let cluster = start(ClusterSpec { standbys: BTreeSet::from([1]), ..one_server() }).await;
    assert_eq!(cluster.primary(1).unwrap(), PRIMARY);
    client(&cluster).await.batch_execute("CREATE TABLE kept (value bigint, filling text)").await.unwrap();
    let mut total = 0;
    for primary in [STANDBY, PRIMARY] {
        let writer = client(&cluster).await;
        let writing = tokio::spawn(async move {
            let mut acknowledged = 0;
            while insert(&writer, acknowledged).await.is_ok() {
                acknowledged += 1;
            }
            acknowledged
        });
        let reader = client(&cluster).await;
        while count(&reader).await < total + 20 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(cluster.fail_over(1).await.unwrap(), primary);
        assert_eq!(cluster.primary(1).unwrap(), primary);
        total += writing.await.unwrap();
        let kept = count(&client(&cluster).await).await;
        // The last one was on its way.
        assert!((total..=total + 1).contains(&kept), "{total} acknowledged, {kept} kept");
        total = kept;
        assert!(cluster.fail_over(1).await.is_err(), "there is no standby left");
        total += i64::try_from(insert(&client(&cluster).await, -1).await.expect("it serves alone")).unwrap();
        cluster.rebuild_standby(1).await.unwrap();
    }
}

#[tokio::test]
async fn commit_waits_for_the_standby() {
    let cluster = start(ClusterSpec { standbys: BTreeSet::from([1]), ..one_server() }).await;
    let writer = client(&cluster).await;
    writer.batch_execute("CREATE TABLE kept (value bigint, filling text)").await.unwrap();
    cluster.signal_all(&STANDBY, Signal::SIGSTOP).await.unwrap();
    let waiting = insert(&writer, 1);
    assert!(tokio::time::timeout(Duration::from_millis(300), waiting).await.is_err());
    cluster.signal_all(&STANDBY, Signal::SIGCONT).await.unwrap();
    assert_eq!(insert(&writer, 2).await.unwrap(), 1);
}

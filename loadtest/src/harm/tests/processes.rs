//! Processes that are killed, frozen, restarted, or have a wrong clock.

use futures_util::future::join;
use local_cluster::ProcessName;

use super::{Harm, HarmOptions, World, name, until};

#[tokio::test]
async fn processes_are_killed_frozen_and_restarted() {
    let world = World::start_with(HarmOptions { faults: true, ..HarmOptions::default() }).await;
    for (process, program) in [("router-eu", "router-faults"), ("shard-node-2", "shard-node-faults")] {
        let pid = world.process(&name(process)).pid().unwrap();
        let running = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
        assert_eq!(running.file_name().unwrap().to_str(), Some(program));
    }
    for victim in ["router-sg", "shard-node-1", "postgres-1", "postgres-3.1", "redis-sg"].map(name) {
        let before = world.process(&victim).pid();
        let seen_dead = until("its end", async || !world.process(&victim).is_alive());
        join(world.inflict(Harm::Kill { process: victim.clone(), pause_ms: 300 }), seen_dead).await;
        assert_ne!(world.process(&victim).pid(), before, "{victim}");
        world.healed().await;
    }
    for victim in ["router-sg", "shard-node-1", "postgres-1", "redis-sg"].map(name) {
        let pid = world.process(&victim).pid();
        let seen_stopped = until("its stop", async || world.state_of(&victim) == 'T');
        join(world.inflict(Harm::Freeze { process: victim.clone(), pause_ms: 300 }), seen_stopped).await;
        assert_eq!(world.process(&victim).pid(), pid);
        assert_ne!(world.state_of(&victim), 'T');
        world.healed().await;
    }
    world.all_are_restarted().await;
    world.end().await;
}

#[tokio::test]
async fn clocks_are_an_hour_off_until_the_heal() {
    let world = World::start().await;
    let log_of_node = world.cluster.local().data_dir().log(&name("shard-node-1"));
    for ahead_seconds in [3_600, -3_600] {
        for victim in ["shard-node-1", "postgres-2", "router-sg"].map(name) {
            world.inflict(Harm::WrongClock { process: victim, ahead_seconds }).await;
        }
        // Money moves by a wrong clock too.
        world.posted(1, 2, &world.key()).await;
        world.posted(2, 3, &world.key()).await;
        let off = world.database(2).await.query_one("SELECT extract(epoch FROM clock_timestamp())::bigint", &[]).await;
        let expected = now_seconds() + ahead_seconds;
        assert!((off.unwrap().get::<_, i64>(0) - expected).abs() < 60);
        let written = std::fs::read_to_string(&log_of_node).unwrap();
        assert!(has_line_off_by(&written, ahead_seconds), "{written}");
        world.healed().await;
        for victim in ["shard-node-1", "postgres-2", "router-sg"].map(name) {
            let pid = world.process(&victim).pid().unwrap();
            let mapped = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
            assert!(!mapped.contains("libfaketime"), "{victim}");
        }
    }
    world.end().await;
}

fn now_seconds() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// Whether a log has a time of a process whose clock is off by so much; its lines begin with a UTC time or hold one.
fn has_line_off_by(log: &str, seconds: i64) -> bool {
    let hour = |seconds: i64| format!("{:02}:", seconds.rem_euclid(86_400) / 3_600);
    let now = now_seconds();
    let expected = format!("T{}{:02}", hour(now + seconds), now.rem_euclid(3_600) / 60);
    let a_minute_ago = format!("T{}{:02}", hour(now - 60 + seconds), (now - 60).rem_euclid(3_600) / 60);
    log.contains(&expected) || log.contains(&a_minute_ago)
}

impl World {
    fn process(&self, name: &ProcessName) -> local_cluster::Process {
        self.cluster.local().process(name).unwrap()
    }

    /// The state of a process, as in `/proc/PID/stat`; `T` is stopped.
    pub(super) fn state_of(&self, name: &ProcessName) -> char {
        let pid = self.process(name).pid().unwrap();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit(") ").next().unwrap().chars().next().unwrap()
    }

    async fn all_are_restarted(&self) {
        let pids = || self.cluster.local().processes().iter().map(|process| process.pid()).collect::<Vec<_>>();
        let before = pids();
        self.inflict(Harm::RollingRestart).await;
        for (before, after) in before.iter().zip(pids()) {
            assert!(after.is_some() && *before != after);
        }
        self.healed().await;
    }
}

//! PostgreSQL servers that are slow, full, or gone.

use std::time::{Duration, Instant};

use local_cluster::{Method, ProcessName, call};
use tokio_postgres::error::SqlState;

use super::super::cluster::server;
use super::{Harm, World, said, until};

#[tokio::test]
async fn postgres_is_slow_loses_commits_fills_up_and_takes_no_connection() {
    let world = World::start().await;
    world.inflict(Harm::SlowPostgres { shard: 1, delay_ms: 60 }).await;
    let began = Instant::now();
    world.posted(1, 2, &world.key()).await;
    // Two flushes of a batch, each there and back.
    assert!(began.elapsed() >= Duration::from_millis(240));
    world.healed().await;

    let (before, hurt) = (world.balance(1).await, world.cluster.messages_hurt());
    let keys: Vec<String> = (0..5).map(|_| world.key()).collect();
    world.inflict(Harm::LoseCommits { shard: 1, every: 2 }).await;
    for key in &keys {
        drop(world.transfer(1, 2, key).await);
    }
    assert!(world.cluster.messages_hurt() > hurt);
    world.undo().await;
    for key in &keys {
        world.posted(1, 2, key).await;
    }
    assert_eq!(world.balance(1).await, before - 5, "each once");
    world.healed().await;

    let can_fill = world.cluster.layout().limited_disks.contains(&2);
    assert!(can_fill || !nix::unistd::geteuid().is_root(), "root can mount a small disk");
    if can_fill {
        world.inflict(Harm::DiskFull { shard: 2 }).await;
        let log = world.cluster.local().data_dir().log(&server(2));
        until("a write without room", async || {
            let answer = world.transfer(2, 1, &world.key()).await.unwrap();
            // As long as there is a little room left, some get through.
            assert!([201, 202, 503].contains(&answer.status.as_u16()), "{} {}", answer.status, answer.body);
            std::fs::read_to_string(&log).unwrap().contains("No space left on device")
        })
        .await;
        until("a read of what is there", async || world.read(2).await.status == 200).await;
        world.inflict(Harm::Kill { process: server(2), pause_ms: 0 }).await;
        world.healed().await;
    }

    world.inflict(Harm::ConnectionsExhausted { shard: 1 }).await;
    let url = world.cluster.local().shard_postgres_url(1).unwrap();
    until("a full server", async || {
        let refused = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.err();
        refused.is_some_and(|error| error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS))
    })
    .await;
    world.unavailable(1, 2).await;
    world.healed().await;
    world.end().await;
}

#[tokio::test]
async fn promoted_standby_serves_and_has_every_acknowledged_transfer() {
    let world = World::start().await;
    for (round, primary) in [(1, 1), (2, 0)] {
        let before = world.balance(3).await;
        let mut acknowledged = Vec::new();
        let mut traffic = Box::pin(async {
            loop {
                let key = format!("{round}-{}", world.key());
                if world.transfer(3, 4, &key).await.is_ok_and(|answer| answer.status == 201) {
                    acknowledged.push(key);
                }
            }
        });
        let failover = async {
            until("traffic", async || world.balance(3).await < before - 10).await;
            world.inflict(Harm::Failover { shard: 3 }).await;
            let served = world.balance(3).await;
            until("service", async || world.balance(3).await < served - 10).await;
        };
        tokio::select! {
            () = &mut traffic => {}
            () = failover => {}
        }
        drop(traffic);
        assert_eq!(world.cluster.local().primary(3).unwrap(), ProcessName::Postgres { shard: 3, replica: primary });
        let moved = before - world.balance(3).await;
        assert!(moved >= i64::try_from(acknowledged.len()).unwrap(), "{moved} of {}", acknowledged.len());
        let now = world.balance(3).await;
        for key in &acknowledged {
            let answer = world.transfer(3, 4, key).await.unwrap();
            assert_eq!((answer.status.as_u16(), said(&answer)["state"].as_str()), (201, Some("posted")), "{key}");
        }
        assert!(world.balance(3).await >= now - 1, "a repeat moves nothing");
        world.healed().await;
        assert!(world.cluster.local().has_standby(3).unwrap());
    }
    world.end().await;
}

#[tokio::test]
async fn promoted_standby_is_found_past_a_primary_that_is_silent() {
    let world = World::start().await;
    let (node, primary) = (super::super::cluster::node(3), server(3));
    let key = world.key();
    // What is connected breaks; what connects anew is taken and told nothing, as by a machine whose disk has died.
    world.inflict(Harm::Partition { one: node.clone(), other: primary.clone() }).await;
    world.inflict(Harm::Failover { shard: 3 }).await;
    world.cluster.proxies.ways.cut(&node, &primary);
    world.posted(3, 4, &key).await;
    // What is not batched goes over the pool.
    let transfer = said(&world.transfer(3, 4, &key).await.unwrap())["id"].clone();
    assert_eq!(world.seen(3, transfer.as_str().unwrap()).await, 200);
    world.healed().await;
    world.end().await;
}

impl World {
    /// What the owner of an account is answered who looks at a transfer.
    async fn seen(&self, shard: u16, transfer: &str) -> u16 {
        let authorization = format!("Bearer {}", self.accounts[&shard].owner);
        let path = format!("/v1/transfers/{transfer}");
        let headers = [("authorization", authorization.as_str())];
        call(self.router("sg"), Method::GET, &path, &headers, None).await.unwrap().status.as_u16()
    }

    /// Sends transfers until one is told to come again later.
    async fn unavailable(&self, from: u16, to: u16) {
        let began = Instant::now();
        let mut answers = Vec::new();
        while began.elapsed() < Duration::from_secs(10) {
            let answer = self.transfer(from, to, &self.key()).await.unwrap();
            if answer.status == 503 {
                return;
            }
            answers.push(format!("{} {}", answer.status, answer.body));
        }
        panic!("never 503, at last {:?}", answers.last());
    }
}

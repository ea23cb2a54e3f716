//! Messages that are held back, delayed, cut, doubled, replayed or dropped.

use std::time::{Duration, Instant};

use super::super::proxy::Way;
use super::{Harm, World, name, until};

#[tokio::test]
async fn partitions_keep_transfers_pending_and_unavailable() {
    let world = World::start().await;
    let (one, other, router) = (name("shard-node-1"), name("shard-node-3"), name("router-sg"));
    let (before, key) = (world.balance(3).await, world.key());
    world.inflict(Harm::Partition { one: one.clone(), other: other.clone() }).await;
    assert_eq!(world.transfer(1, 3, &key).await.unwrap().status, 202, "pending");
    world.posted(1, 2, &world.key()).await;
    assert_eq!(world.balance(3).await, before);
    world.healed().await;
    world.posted(1, 3, &key).await;

    // What is asked does not come.
    let (before, key) = (world.balance(3).await, world.key());
    world.inflict(Harm::OneWayPartition { from: one.clone(), to: other.clone() }).await;
    assert_eq!(world.transfer(1, 3, &key).await.unwrap().status, 202);
    assert_eq!(world.balance(3).await, before);
    world.healed().await;
    world.posted(1, 3, &key).await;

    // What is asked comes, and the answer does not.
    let (before, key) = (world.balance(3).await, world.key());
    world.inflict(Harm::OneWayPartition { from: other, to: one.clone() }).await;
    assert_eq!(world.transfer(1, 3, &key).await.unwrap().status, 202);
    assert_eq!(world.balance(3).await, before + 1);
    world.healed().await;
    world.posted(1, 3, &key).await;

    let key = world.key();
    world.inflict(Harm::Partition { one: router.clone(), other: one.clone() }).await;
    assert_eq!(world.transfer(1, 2, &key).await.unwrap().status, 503);
    world.healed().await;
    world.posted(1, 2, &key).await;

    world.inflict(Harm::FlappingPartition { one: router.clone(), other: one.clone(), period_ms: 200 }).await;
    let ways = &world.cluster.proxies.ways;
    for is_blocked in [true, false, true, false] {
        until("the turn", async || ways.is_blocked(&Way::requests(&router, &one)) == is_blocked).await;
        world.posted(1, 2, &world.key()).await;
    }
    world.healed().await;
    world.end().await;
}

#[tokio::test]
async fn messages_are_delayed_cut_doubled_replayed_and_dropped() {
    let world = World::start().await;
    let (router, node) = (name("router-sg"), name("shard-node-1"));
    world.inflict(Harm::Delay { one: router.clone(), other: node.clone(), delay_ms: 200 }).await;
    let began = Instant::now();
    world.posted(1, 2, &world.key()).await;
    assert!(began.elapsed() >= Duration::from_millis(400));
    world.healed().await;

    for from in [router, name("shard-node-3")] {
        let to = || node.clone();
        let harms = [
            Harm::CutMidMessage { from: from.clone(), to: to(), every: 2 },
            Harm::DuplicateRequests { from: from.clone(), to: to(), every: 1 },
            Harm::ReplayRequests { from: from.clone(), to: to(), every: 1, after_ms: 200 },
            Harm::DropAnswers { from: from.clone(), to: to(), every: 1 },
        ];
        for harm in harms {
            let (before, hurt) = (world.balance(1).await, world.cluster.messages_hurt());
            let keys = [world.key(), world.key(), world.key()];
            world.inflict(harm.clone()).await;
            for key in &keys {
                // Some way to the client may be gone; what became of it is asked after the heal.
                drop(world.transfer(3, 1, key).await);
                drop(world.transfer(1, 2, &format!("{key}-local")).await);
            }
            assert!(world.cluster.messages_hurt() > hurt, "{harm} hurts nothing");
            world.undo().await;
            for key in &keys {
                world.posted(3, 1, key).await;
                world.posted(1, 2, &format!("{key}-local")).await;
            }
            assert_eq!(world.balance(1).await, before, "{harm}");
        }
    }
    world.healed().await;
    world.end().await;
}

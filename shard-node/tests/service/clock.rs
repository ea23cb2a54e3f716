//! A shard-node whose clock is wrong.

use crate::support::{Wish, World};
use anyhow::{Context, Result, ensure};
use local_cluster::{Method, ProcessName, Signal, WrongClock, call};
use std::time::{Duration, Instant};

const NODE: ProcessName = ProcessName::ShardNode { shard: 1, replica: 0 };
const OTHER_NODE: ProcessName = ProcessName::ShardNode { shard: 2, replica: 0 };
const AHEAD_SECONDS: i64 = 3_600;
const OLDEST: &str = "wallet_saga_oldest_seconds{";
/// The sums are taken every 5 s.
const SHOWN_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test]
async fn age_of_a_saga_is_what_postgresql_says() -> Result<()> {
    let world = World::start(|_| ()).await?;
    let (debit, credit) = (world.holder("debtor", "sg", 100).await?, world.holder("creditor", "eu", 0).await?);
    let clock = WrongClock::find_or_install(&mut |_| ()).await?;
    world.cluster.set_environment(&NODE, clock.environment(AHEAD_SECONDS));
    world.cluster.restart(&NODE).await?;
    world.cluster.kill(&OTHER_NODE, Signal::SIGKILL).await?;
    let wish = Wish { key: "open", debit: &debit, credit: &credit, amount: 1 };
    let pending = world.ask(world.cluster.router_address("sg", 0)?, wish).await?;
    ensure!(pending.status == 202, "{} {}", pending.status, pending.body);

    let admin = world.cluster.process(&NODE)?.admin_address.context("a shard-node has an admin address")?;
    let started = Instant::now();
    let age: f64 = loop {
        let metrics = call(admin, Method::GET, "/metrics", &[], None).await?.body;
        if let Some(line) = metrics.lines().find(|line| line.starts_with(OLDEST)) {
            break line.rsplit(' ').next().unwrap_or_default().parse()?;
        }
        ensure!(started.elapsed() < SHOWN_WITHIN, "no saga is shown");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    ensure!((0.0..60.0).contains(&age), "a saga that has just begun is {age} s old");
    Ok(())
}

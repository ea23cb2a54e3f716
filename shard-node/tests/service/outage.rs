//! What was asked for before or during an outage of PostgreSQL, and what starts meanwhile.

use crate::support::{Known, Wish, World};
use anyhow::{Context, Result, ensure};
use local_cluster::{Method, ProcessName, Signal, call};
use std::time::{Duration, Instant};

const SERVER: ProcessName = ProcessName::Postgres { shard: 1, replica: 0 };
const NODE: ProcessName = ProcessName::ShardNode { shard: 1, replica: 0 };
/// As in the crate `migrations`.
const MIGRATION_LOCK: i64 = 0x77_61_6c_6c_65_74;
/// What any other lock is waited for at most.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

async fn world() -> Result<World> {
    World::start(|spec| spec.regions = vec!["sg".to_owned()]).await
}

#[tokio::test]
async fn transfer_whose_client_has_given_up_is_not_made_after_the_outage() -> Result<()> {
    let world = world().await?;
    let here = world.holder("here", "sg", 1_000).await?;
    let near = world.holder("near", "sg", 0).await?;
    let router = world.cluster.router_address("sg", 0)?;
    world.cluster.signal_all(&SERVER, Signal::SIGSTOP).await?;
    let given_up = world.ask(router, Wish { key: "given up", debit: &here, credit: &near, amount: 500 });
    let outage = async {
        // The batch is on its way by then.
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.cluster.signal_all(&SERVER, Signal::SIGKILL).await
    };
    let (answer, ()) = futures_util::future::try_join(given_up, outage).await?;
    ensure!(answer.status == 503, "{} {}", answer.status, answer.body);
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.cluster.restart(&SERVER).await?;
    let instead = Wish { key: "instead", debit: &here, credit: &near, amount: 500 };
    ensure!(matches!(world.until_known(router, instead).await?, Known::Posted { .. }));
    ensure!(world.balance(&here).await? == 500, "paid twice");
    world.prove().await
}

#[tokio::test]
async fn shard_node_without_its_database_is_not_ready_though_nobody_asks_it_anything() -> Result<()> {
    let world = world().await?;
    let admin = world.cluster.process(&NODE)?.admin_address.context("a shard-node has an admin address")?;
    let ready = async || call(admin, Method::GET, "/readyz", &[], None).await;
    ensure!(ready().await?.status == 200);
    world.cluster.kill(&SERVER, Signal::SIGKILL).await?;
    let killed = Instant::now();
    loop {
        let answer = ready().await?;
        if answer.status == 503 && answer.body.matches("without a connection to PostgreSQL").count() == 2 {
            break;
        }
        ensure!(
            killed.elapsed() < Duration::from_secs(3),
            "its lanes or its reader believe that they serve: {}",
            answer.body
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    world.cluster.restart(&SERVER).await?;
    world.cluster.wait_until_ready(&NODE).await
}

#[tokio::test]
async fn shard_node_that_starts_while_another_migrates_waits_for_it() -> Result<()> {
    let world = world().await?;
    world.cluster.stop_one(&NODE).await?;
    let migrating = shard_node::store::connect(&world.cluster.shard_postgres_url(1)?.parse()?).await?;
    migrating.execute("SELECT pg_advisory_lock($1)", &[&MIGRATION_LOCK]).await?;
    world.cluster.launch(&NODE).await?;
    tokio::time::sleep(LOCK_TIMEOUT + Duration::from_secs(3)).await;
    ensure!(world.cluster.process(&NODE)?.is_alive(), "it has ended itself");
    migrating.execute("SELECT pg_advisory_unlock($1)", &[&MIGRATION_LOCK]).await?;
    world.cluster.wait_until_ready(&NODE).await
}

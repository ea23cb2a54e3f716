//! Answers that must not depend on which month it is.

mod support;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use shard_node::store::{self, partitions};
use std::time::{Duration, Instant};
use support::{Known, Wish, World, post};
use tokio_postgres::Client;

async fn world() -> Result<World> {
    World::start(|spec| spec.regions = vec!["sg".to_owned()]).await
}

async fn database(world: &World) -> Result<Client> {
    Ok(store::connect(&world.cluster.shard_postgres_url(1)?.parse()?).await?)
}

/// Takes the present month's partitions away, as if it had never been thought of.
async fn forget_month(database: &Client, number: usize) -> Result<()> {
    let now = store::to_micros(jiff::Timestamp::now());
    for table in ["transfers", "inbox"] {
        let month = partitions::name(table, now.unix_ms(), 0).context("a month")?;
        let forget = format!(
            "ALTER TABLE {table} DETACH PARTITION {month}; ALTER TABLE {month} RENAME TO {table}_forgotten_{number}"
        );
        database.batch_execute(&forget).await.context(forget)?;
    }
    Ok(())
}

#[tokio::test]
async fn transfers_of_a_month_without_partition_are_made_and_ended() -> Result<()> {
    let world = world().await?;
    let here = world.holder("here", "sg", 1_000).await?;
    let near = world.holder("near", "sg", 0).await?;
    let (database, router) = (database(&world).await?, world.cluster.router_address("sg", 0)?);
    let reserve = async |key: &str, seconds: u32| {
        let body = json!({"debit_account_id": here.account, "credit_account_id": near.account, "amount": 1,
            "reserve": true, "expires_in_seconds": seconds});
        let reserved = post(router, "/v1/transfers", &here.token, key, &body).await?;
        ensure!(reserved.status == 201, "{}", reserved.body);
        Ok(reserved.read::<Value>()?["id"].as_str().context("an id")?.to_owned())
    };
    let (committed, released) = (reserve("committed", 600).await?, reserve("released", 600).await?);
    let expired = reserve("expired", 2).await?;

    forget_month(&database, 1).await?;
    let started = Instant::now();
    while world.get(&here, &format!("/v1/transfers/{expired}")).await?["state"] != "released" {
        ensure!(started.elapsed() < Duration::from_secs(10), "it does not expire");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    forget_month(&database, 2).await?;
    let commit = format!("/v1/transfers/{committed}/commit");
    let ended = post(router, &commit, &here.token, "commit", &json!({})).await?;
    ensure!(ended.status == 200, "{}", ended.body);
    forget_month(&database, 3).await?;
    let release = format!("/v1/transfers/{released}/release");
    let ended = post(router, &release, &here.token, "", &json!({})).await?;
    ensure!(ended.status == 200, "{}", ended.body);
    forget_month(&database, 4).await?;
    let made = Wish { key: "made", debit: &here, credit: &near, amount: 1 };
    ensure!(matches!(world.until_known(router, made).await?, Known::Posted { .. }));
    ensure!(world.balance(&here).await? == 998);
    Ok(())
}

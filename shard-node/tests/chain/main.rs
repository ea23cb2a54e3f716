//! The chain of committed batches, written by real lanes: whatever is done to the tables behind the wallet's back is
//! found and named.

mod copy;
#[path = "../support/mod.rs"]
mod support;
mod tampering;

use anyhow::{Context, Result, ensure};
use audit::{Breach, ChainReport, ShardChains, ShardTarget, Table, verify_chains};
use copy::{Copy, kept, superuser};
use local_cluster::{Method, ProcessName, Signal, call};
use serde_json::{Value, json};
use shard_node::store;
use std::time::Duration;
use support::{Holder, Wish, World};
use tokio_postgres::Client;

const HOLDERS: usize = 8;
const ROUNDS: usize = 4;

/// Moves money within and between regions, with some of everything that leaves a row.
async fn work(world: &World, prefix: &str) -> Result<Vec<Holder>> {
    let mut holders = Vec::new();
    for number in 0..HOLDERS {
        let name = format!("{prefix}-{number}");
        holders.push(world.holder(&name, ["sg", "eu"][number % 2], 1_000).await?);
    }
    rounds(world, &holders, prefix).await?;
    let (debit, credit) = (&holders[0], &holders[2]);
    let told = json!({"debit_account_id": debit.account, "credit_account_id": credit.account, "amount": 5,
        "message": "for lunch", "reference": "invoice 7"});
    post(world, debit, "/v1/transfers", &format!("{prefix}-told"), &told, 201).await?;
    let too_much = json!({"debit_account_id": debit.account, "credit_account_id": credit.account, "amount": 900_000});
    post(world, debit, "/v1/transfers", &format!("{prefix}-refused"), &too_much, 422).await?;
    for (credit, end) in [(2, "commit"), (2, "release"), (1, "commit"), (1, "release")] {
        two_steps(world, debit, &holders[credit], end, &format!("{prefix}-{credit}-{end}")).await?;
    }
    Ok(holders)
}

async fn two_steps(world: &World, debit: &Holder, credit: &Holder, end: &str, key: &str) -> Result<()> {
    let wish = json!({"debit_account_id": debit.account, "credit_account_id": credit.account, "amount": 9,
        "reserve": true});
    let reserved = post(world, debit, "/v1/transfers", key, &wish, 201).await?;
    let id = reserved["id"].as_str().context("a transfer has an id")?;
    let body = if end == "commit" { json!({"amount": 4}) } else { json!({}) };
    post(world, debit, &format!("/v1/transfers/{id}/{end}"), &format!("{key}-end"), &body, 200).await?;
    Ok(())
}

async fn rounds(world: &World, holders: &[Holder], prefix: &str) -> Result<()> {
    let wishes = (0..ROUNDS * HOLDERS).map(|number| async move {
        let debit = &holders[number % HOLDERS];
        let credit = &holders[(number + 1 + number / HOLDERS) % HOLDERS];
        let router = world.cluster.router_address(&debit.region, 0)?;
        let key = format!("{prefix}-round-{number}");
        world.until_known(router, Wish { key: &key, debit, credit, amount: 3 }).await
    });
    futures_util::future::try_join_all(wishes).await?;
    Ok(())
}

async fn post(world: &World, holder: &Holder, path: &str, key: &str, body: &Value, status: u16) -> Result<Value> {
    let router = world.cluster.router_address(&holder.region, 0)?;
    let authorization = format!("Bearer {}", holder.token);
    let headers = [("authorization", authorization.as_str()), ("idempotency-key", key)];
    let answer = call(router, Method::POST, path, &headers, Some(body)).await?;
    ensure!(answer.status == status, "{path}: {} {}", answer.status, answer.body);
    answer.read()
}

fn targets(world: &World) -> Result<Vec<ShardTarget>> {
    let shards = world.cluster.topology()?.shards.into_iter();
    let located = shards.map(|shard| {
        let postgres = world.cluster.shard_postgres_url(shard.id.get())?.parse()?;
        Ok(ShardTarget { shard: shard.id, postgres })
    });
    located.collect()
}

async fn verified(world: &World) -> Result<ChainReport> {
    Ok(verify_chains(&targets(world)?, &[], &|_| ()).await?)
}

async fn stop(world: &World, processes: &[&str]) -> Result<()> {
    for name in processes {
        world.cluster.stop_one(&name.parse()?).await?;
    }
    Ok(())
}

/// What is done to one shard's tables is done to copies of its database, each found by itself.
#[tokio::test]
async fn whatever_is_changed_behind_the_wallets_back_is_named() -> Result<()> {
    let world = World::start(|spec| spec.replicas_per_shard = 2).await?;
    let holders = work(&world, "before").await?;
    kill_between_batches(&world, &holders).await?;
    world.prove().await?;

    let report = verified(&world).await?;
    ensure!(report.holds, "{report:#?}");
    for found in &report.shards {
        ensure!(found.since.is_none() && found.rows_before == 0, "{found:#?}");
        ensure!(found.rows > 50 && found.batches > 20, "{found:#?}");
        let writers: Vec<i32> = found.heads.iter().map(|head| head.writer).collect();
        ensure!(writers == [0, 1, 100, 101], "two lanes of two replicas, not {writers:?}");
    }
    stop(&world, &["shard-node-1", "shard-node-1.1"]).await?;
    let copy = Copy::of_shard_1(&world).await?;
    for tampering in tampering::ALL {
        tampering.is_named(&copy, &report.shards[0]).await.context(tampering.name)?;
    }
    chain_written_anew_is_shown_by_a_kept_head(&copy, &report.shards[0]).await
}

/// Whatever instant kill -9 meets, the chain goes on from what was committed.
async fn kill_between_batches(world: &World, holders: &[Holder]) -> Result<()> {
    for (turn, name) in ["shard-node-1", "shard-node-1.1", "shard-node-1"].into_iter().enumerate() {
        let name: ProcessName = name.parse()?;
        let prefix = format!("kill-{turn}");
        let kill = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            world.cluster.kill(&name, Signal::SIGKILL).await?;
            world.cluster.restart(&name).await
        };
        tokio::try_join!(rounds(world, holders, &prefix), kill)?;
    }
    Ok(())
}

/// Who knows the form can write a chain anew. Nothing in the database shows that, a head kept elsewhere does.
async fn chain_written_anew_is_shown_by_a_kept_head(copy: &Copy, before: &ShardChains) -> Result<()> {
    let writer = before.heads[0].writer;
    copy.client
        .execute(
            "UPDATE batches SET decided_at = decided_at + interval '1 s' WHERE writer = $1 AND number = 2",
            &[&writer],
        )
        .await?;
    rehash(&copy.client, writer).await?;
    let found = copy.verified(&[]).await?;
    ensure!(found.violations == 0, "{found:#?}");
    let number = before.heads[0].number;
    let found = copy.verified(&[kept(before)]).await?;
    ensure!(found.breaches == [Breach::HeadChanged { writer, number }], "{found:#?}");
    copy.mend().await
}

async fn rehash(client: &Client, writer: i32) -> Result<()> {
    let all = "SELECT number, (extract(epoch FROM decided_at) * 1000000)::bigint, transfers, inbox FROM batches \
         WHERE writer = $1 ORDER BY number";
    let mut previous = chain::GENESIS;
    for row in client.query(all, &[&writer]).await? {
        let batch = chain::Batch {
            format: chain::FORMAT,
            writer,
            number: row.get(0),
            decided_at: row.get(1),
            transfers: row.get(2),
            inbox: row.get(3),
        };
        previous = batch.hash(&previous);
        let set = "UPDATE batches SET hash = $3 WHERE writer = $1 AND number = $2";
        client.execute(set, &[&writer, &batch.number, &previous.as_slice()]).await?;
    }
    Ok(())
}

/// Two processes that take themselves for the same replica, by a mistake of the operator, take turns in one chain.
#[tokio::test]
async fn processes_of_the_same_name_share_a_chain() -> Result<()> {
    let world = World::start(|spec| {
        spec.replicas_per_shard = 2;
        spec.shard_node_env.insert("WALLET_REPLICA".to_owned(), "0".to_owned());
    })
    .await?;
    work(&world, "namesake").await?;
    world.prove().await?;
    let report = verified(&world).await?;
    ensure!(report.holds, "{report:#?}");
    let writers: Vec<i32> = report.shards[0].heads.iter().map(|head| head.writer).collect();
    ensure!(writers == [0, 1], "{writers:?}");
    Ok(())
}

/// Rows from before the chain are outside of it; those that come after are in it.
#[tokio::test]
async fn data_from_before_the_chain_is_upgraded_in_place() -> Result<()> {
    const OLD: u64 = 5;
    let world = World::start(|_| ()).await?;
    stop(&world, &["shard-node-1"]).await?;
    let (_, server) = superuser(&world, "postgres").await?;
    server.batch_execute("DROP DATABASE wallet WITH (FORCE)").await?;
    server.batch_execute("CREATE DATABASE wallet OWNER wallet").await?;
    let config = world.cluster.shard_postgres_url(1)?.parse()?;
    let mut client = store::connect(&config).await?;
    migrations::run_until(&mut client, 2).await?;
    let now = store::to_micros(jiff::Timestamp::now()).unix_ms();
    store::partitions::ensure(&mut client, now, store::partitions::USUAL_MONTHS).await?;
    let month = placement::TransferId::lower_bound(now).to_string();
    let insert = format!(
        "BEGIN; SELECT set_config('wallet.fence', 'held', true);
         INSERT INTO transfers (id, debit_account, amount, debit_slot, kind, state, reason, currency, decided_at)
         SELECT ('{}-8000-8000-' || lpad(n::text, 12, '0'))::uuid, 1, 7, 0, 0, 4, 2, 'SGD', now()
         FROM generate_series(1, {OLD}) AS n; COMMIT",
        &month[..13]
    );
    client.batch_execute(&insert).await?;
    world.cluster.restart(&"shard-node-1".parse()?).await?;
    work(&world, "after").await?;

    let report = verified(&world).await?;
    ensure!(report.holds, "{report:#?}");
    let found = &report.shards[0];
    ensure!(found.since.is_some() && found.rows_before == OLD && found.rows > OLD, "{found:#?}");
    // What is outside of the chains may change; what comes after may not.
    let (_, admin) = superuser(&world, "wallet").await?;
    admin.batch_execute("SET wallet.fence = 'held'").await?;
    admin.execute("UPDATE transfers SET amount = amount + 1 WHERE amount = 7", &[]).await?;
    ensure!(verified(&world).await?.holds);
    let forged = "INSERT INTO transfers (id, amount, kind, state, currency, decided_at) \
         SELECT (left(id::text, 32) || 'ffff')::uuid, 1, 0, 4, 'SGD', now() FROM transfers ORDER BY id LIMIT 1 RETURNING id";
    let id = admin.query_one(forged, &[]).await?.get(0);
    let report = verified(&world).await?;
    ensure!(report.shards[0].breaches == [Breach::RowAdded { table: Table::Transfers, id }], "{report:#?}");
    let checks = report.checks();
    ensure!(checks.iter().map(|check| check.violations).collect::<Vec<_>>() == [0, 1, 0, 0], "{checks:#?}");
    Ok(())
}

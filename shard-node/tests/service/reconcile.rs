//! Drift between two shards is named within a minute, and nothing else is ever called drift.

use crate::support::{Holder, Known, Wish, World};
use anyhow::{Context, Result, ensure};
use local_cluster::{Method, ProcessName, Signal, call};
use serde_json::{Value, json};
use std::cell::Cell;
use std::time::{Duration, Instant};
use tokio_postgres::Client;

/// What is promised. The interval is 30 s, but in most tests 1 s.
const PROMISED: Duration = Duration::from_secs(60);
/// A server must have run for 35 s before its clearing accounts are compared.
const UNTIL_COMPARED: Duration = Duration::from_secs(90);
const LOOK_AGAIN: Duration = Duration::from_millis(200);
const DRIFT: [&str; 2] = ["wallet_reconcile_drift{", "wallet_reconcile_clearing_drift{"];
const LAST_SUCCESS: &str = "wallet_reconcile_last_success_timestamp_seconds{";
const VIOLATIONS: &str = "wallet_invariant_violations{";

async fn world() -> Result<World> {
    World::start(|spec| {
        let settings = [("INTERVAL_SECONDS", "1"), ("CONFIRM_AFTER_MS", "300")];
        for (name, value) in settings {
            spec.shard_node_env.insert(format!("WALLET_RECONCILE__{name}"), value.to_owned());
        }
    })
    .await
}

fn shard_nodes() -> [ProcessName; 2] {
    [1, 2].map(|shard| ProcessName::ShardNode { shard, replica: 0 })
}

/// The values of a shard-node's metric, whatever its labels.
async fn metric(world: &World, node: &ProcessName, prefix: &str) -> Result<Vec<f64>> {
    let admin = world.cluster.process(node)?.admin_address.context("a shard-node has an admin address")?;
    let text = call(admin, Method::GET, "/metrics", &[], None).await?.body;
    let lines = text.lines().filter(|line| line.starts_with(prefix));
    lines.map(|line| Ok(line.rsplit(' ').next().unwrap_or_default().parse()?)).collect()
}

/// The sum over both shard-nodes.
async fn sum(world: &World, prefixes: &[&str]) -> Result<f64> {
    let mut sum = 0.0;
    for node in shard_nodes() {
        for prefix in prefixes {
            sum += metric(world, &node, prefix).await?.iter().map(|value| value.abs()).sum::<f64>();
        }
    }
    Ok(sum)
}

fn logs(world: &World) -> Result<String> {
    let logs = shard_nodes().map(|node| std::fs::read_to_string(world.cluster.data_dir().log(&node)));
    Ok(logs.into_iter().collect::<Result<Vec<_>, _>>()?.concat())
}

/// Waits until each shard-node has compared everything with the other one since now.
async fn compared(world: &World) -> Result<()> {
    let since = jiff::Timestamp::now().as_second() as f64;
    let started = Instant::now();
    for node in shard_nodes() {
        while metric(world, &node, LAST_SUCCESS).await?.first().is_none_or(|time| *time <= since) {
            ensure!(started.elapsed() < UNTIL_COMPARED, "{node} did not compare:\n{}", logs(world)?);
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
    Ok(())
}

async fn posted(world: &World, key: &str, debit: &Holder, credit: &Holder) -> Result<String> {
    let router = world.cluster.router_address(&debit.region, 0)?;
    match world.until_known(router, Wish { key, debit, credit, amount: 50 }).await? {
        Known::Posted { transfer } => Ok(transfer),
        Known::Refused { code } => anyhow::bail!("{key} was refused: {code}"),
    }
}

/// A change behind the wallet's back. In the SQL, `:id` is a posted transfer from shard 1 to shard 2, and `:new` an id
/// that no transfer has. What `:keep` had is put back by `undo`.
struct Plant {
    name: &'static str,
    shard: u16,
    sql: &'static str,
    undo: &'static str,
    /// What the log must name: a transfer, or the difference.
    named: &'static str,
}

const KEEP_TRANSFER: &str = "CREATE TEMP TABLE kept AS SELECT * FROM transfers WHERE id = ':id'";
const KEEP_INBOX: &str = "CREATE TEMP TABLE kept AS SELECT * FROM inbox WHERE transfer_id = ':id'";

const PLANTS: [Plant; 7] = [
    Plant {
        name: "a deleted credit row",
        shard: 2,
        sql: "DELETE FROM transfers WHERE id = ':id'",
        undo: "INSERT INTO transfers SELECT * FROM kept",
        named: ":id",
    },
    Plant {
        name: "a changed amount",
        shard: 2,
        sql: "UPDATE transfers SET amount = amount + 1 WHERE id = ':id'",
        undo: "UPDATE transfers SET amount = amount - 1 WHERE id = ':id'",
        named: ":id",
    },
    Plant {
        name: "a removed inbox row",
        shard: 2,
        sql: "DELETE FROM inbox WHERE transfer_id = ':id'",
        undo: "INSERT INTO inbox SELECT * FROM kept",
        named: ":id",
    },
    Plant {
        name: "a decision turned round",
        shard: 2,
        sql: "UPDATE inbox SET decision = 2 WHERE transfer_id = ':id'",
        undo: "UPDATE inbox SET decision = 0 WHERE transfer_id = ':id'",
        named: ":id",
    },
    Plant {
        name: "an inserted debit row",
        shard: 1,
        sql: "UPDATE kept SET id = ':new'; INSERT INTO transfers SELECT * FROM kept",
        undo: "DELETE FROM transfers WHERE id = ':new'",
        named: ":new",
    },
    Plant {
        name: "a deleted debit row",
        shard: 1,
        sql: "DELETE FROM transfers WHERE id = ':id'",
        undo: "INSERT INTO transfers SELECT * FROM kept",
        named: ":id",
    },
    Plant {
        name: "a changed clearing total",
        shard: 1,
        sql: "UPDATE clearing SET total = total + 7 WHERE writer = (SELECT min(writer) FROM clearing)",
        undo: "UPDATE clearing SET total = total - 7 WHERE writer = (SELECT min(writer) FROM clearing)",
        named: "\"amount\":\"7\"",
    },
];

#[tokio::test]
async fn planted_drift_is_counted_and_named_within_a_minute() -> Result<()> {
    let world = world().await?;
    let debit = world.holder("debtor", "sg", 10_000).await?;
    let credit = world.holder("creditor", "eu", 0).await?;
    posted(&world, "the first", &debit, &credit).await?;
    compared(&world).await?;
    for plant in &PLANTS {
        let id = posted(&world, plant.name, &debit, &credit).await?;
        compared(&world).await?;
        ensure!(sum(&world, &DRIFT).await? == 0.0, "before {}:\n{}", plant.name, logs(&world)?);
        check(&world, plant, &id).await.context(plant.name)?;
    }
    ensure!(sum(&world, &[VIOLATIONS]).await? >= PLANTS.len() as f64, "not every drift was counted");
    world.prove().await
}

#[tokio::test]
async fn drift_is_named_in_time_with_the_usual_settings() -> Result<()> {
    let world = World::start(|_| ()).await?;
    let debit = world.holder("debtor", "sg", 10_000).await?;
    let credit = world.holder("creditor", "eu", 0).await?;
    let id = posted(&world, "the only one", &debit, &credit).await?;
    report(&world, &PLANTS[0], &id).await?;
    Ok(())
}

async fn check(world: &World, plant: &Plant, id: &str) -> Result<()> {
    let (client, undo) = report(world, plant, id).await?;
    behind_the_back(&client, &undo).await?;
    let undone = Instant::now();
    while sum(world, &DRIFT).await? > 0.0 {
        ensure!(undone.elapsed() < PROMISED, "still in drift after {PROMISED:?}:\n{}", logs(world)?);
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(())
}

/// Plants it, and waits until it is reported. Returns what undoes it, and over which connection.
async fn report(world: &World, plant: &Plant, id: &str) -> Result<(Client, String)> {
    let config = world.cluster.shard_postgres_url(plant.shard)?.parse()?;
    let client = shard_node::store::connect(&config).await?;
    let new = format!("{}{}", &id[..35], if id.ends_with('0') { '1' } else { '0' });
    let fill = |sql: &str| sql.replace(":id", id).replace(":new", &new);
    let named = fill(plant.named);
    ensure!(!logs(world)?.contains(&named), "{named} is in the log already");

    let keep = if plant.undo.contains("INTO inbox") { KEEP_INBOX } else { KEEP_TRANSFER };
    behind_the_back(&client, &fill(&format!("{keep}; {}", plant.sql))).await?;
    let planted = Instant::now();
    while sum(world, &DRIFT).await? == 0.0 || !logs(world)?.contains(&named) {
        ensure!(planted.elapsed() < PROMISED, "no report of {named} after {PROMISED:?}:\n{}", logs(world)?);
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    println!("{}: reported after {:?}", plant.name, planted.elapsed());
    Ok((client, fill(plant.undo)))
}

/// As somebody who knows of the fence.
async fn behind_the_back(client: &Client, sql: &str) -> Result<()> {
    let fenced = format!("BEGIN; SELECT set_config('wallet.fence', 'held', true); {sql}; COMMIT");
    client.batch_execute(&fenced).await.with_context(|| sql.to_owned())
}

/// Reserves, and then commits a part, releases, or leaves it to expire. Answers may be lost: nobody asks again.
async fn two_step(world: &World, wish: Wish<'_>, number: usize) -> Result<()> {
    let router = world.cluster.router_address(&wish.debit.region, 0)?;
    let authorization = format!("Bearer {}", wish.debit.token);
    let post = async |path: &str, key: &str, body: &Value| {
        let headers = [("authorization", authorization.as_str()), ("idempotency-key", key)];
        call(router, Method::POST, path, &headers, Some(body)).await
    };
    let (debit, credit) = (wish.debit.account, wish.credit.account);
    let body = json!({"debit_account_id": debit, "credit_account_id": credit, "amount": wish.amount, "reserve": true,
        "expires_in_seconds": 2});
    let Ok(reserved) = post("/v1/transfers", wish.key, &body).await else { return Ok(()) };
    let Some(id) = reserved.read::<Value>().ok().and_then(|body| Some(body["id"].as_str()?.to_owned())) else {
        return Ok(());
    };
    let key = format!("{}-end", wish.key);
    let ended = match number % 3 {
        0 => post(&format!("/v1/transfers/{id}/commit"), &key, &json!({"amount": (wish.amount + 1) / 2})).await,
        1 => post(&format!("/v1/transfers/{id}/release"), &key, &json!({})).await,
        _ => return Ok(()),
    };
    drop(ended);
    Ok(())
}

#[tokio::test]
async fn another_replica_takes_over_from_one_that_is_killed() -> Result<()> {
    let world = World::start(|spec| {
        spec.replicas_per_shard = 2;
        spec.shard_node_env.insert("WALLET_RECONCILE__INTERVAL_SECONDS".to_owned(), "1".to_owned());
    })
    .await?;
    let debit = world.holder("debtor", "sg", 10_000).await?;
    let credit = world.holder("creditor", "eu", 0).await?;
    posted(&world, "the first", &debit, &credit).await?;
    let replicas = [0, 1].map(|replica| ProcessName::ShardNode { shard: 1, replica });
    let started = Instant::now();
    let leading = async |replicas: &[ProcessName]| {
        loop {
            let mut shown = Vec::new();
            for replica in replicas {
                if !metric(&world, replica, LAST_SUCCESS).await?.is_empty() {
                    shown.push(replica.clone());
                }
            }
            ensure!(shown.len() < 2, "both compare: {shown:?}");
            ensure!(started.elapsed() < 2 * UNTIL_COMPARED, "no replica compares");
            match shown.pop() {
                Some(leader) => return Ok(leader),
                None => tokio::time::sleep(LOOK_AGAIN).await,
            }
        }
    };
    let leader = leading(&replicas).await?;
    world.cluster.kill(&leader, Signal::SIGKILL).await?;
    let left: Vec<ProcessName> = replicas.iter().filter(|replica| **replica != leader).cloned().collect();
    let killed = Instant::now();
    leading(&left).await?;
    println!("taken over after {:?}", killed.elapsed());
    Ok(())
}

#[tokio::test]
async fn load_and_killed_processes_look_like_no_drift() -> Result<()> {
    const HOLDERS: usize = 8;
    const WORKERS: usize = 32;
    let world = world().await?;
    let mut holders = Vec::new();
    for number in 0..HOLDERS {
        holders.push(world.holder(&format!("holder-{number}"), ["sg", "eu"][number % 2], 1_000_000).await?);
    }
    let (over, count) = (Cell::new(false), Cell::new(0_u64));
    let workers = (0..WORKERS).map(|worker| {
        let (world, holders, over, count) = (&world, &holders, &over, &count);
        async move {
            let mut number = worker;
            while !over.get() {
                let (debit, credit) = (number % HOLDERS, (number + 1 + 2 * (number / HOLDERS % 3)) % HOLDERS);
                let wish = Wish {
                    key: &format!("load-{number}"),
                    debit: &holders[debit],
                    credit: &holders[credit],
                    amount: i64::try_from(number % 9)? + 1,
                };
                let router = world.cluster.router_address(&holders[debit].region, 0)?;
                match number % 4 {
                    0 => two_step(world, wish, number / 4).await?,
                    _ => drop(world.until_known(router, wish).await?),
                }
                count.set(count.get() + 1);
                number += WORKERS;
            }
            Ok::<_, anyhow::Error>(())
        }
    });
    let trouble = async {
        for victim in ["shard-node-1", "postgres-2", "shard-node-2", "postgres-1"] {
            let name: ProcessName = victim.parse()?;
            world.cluster.kill(&name, Signal::SIGKILL).await?;
            tokio::time::sleep(Duration::from_secs(2)).await;
            world.cluster.restart(&name).await?;
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        for _ in 0..3 {
            compared(&world).await?;
        }
        over.set(true);
        Ok(())
    };
    futures_util::future::try_join(futures_util::future::try_join_all(workers), trouble).await?;
    compared(&world).await?;
    let told = logs(&world)?;
    let alarms: Vec<&str> = told.lines().filter(|line| line.contains("ERROR")).collect();
    ensure!(alarms.is_empty(), "{} transfers, and: {alarms:#?}", count.get());
    ensure!(sum(&world, &DRIFT).await? + sum(&world, &[VIOLATIONS]).await? == 0.0, "drift is shown");
    let passes = sum(&world, &["wallet_reconcile_transfers_total{"]).await?;
    ensure!(passes > count.get() as f64, "{passes} comparisons of {} transfers", count.get());
    println!("{} transfers, {passes} comparisons", count.get());
    world.prove().await
}

#[tokio::test]
async fn peer_that_was_never_reached_is_missed_like_one_that_is_not_reached_any_more() -> Result<()> {
    let world = world().await?;
    let [node, peer] = shard_nodes();
    world.cluster.kill(&peer, Signal::SIGKILL).await?;
    world.cluster.restart(&node).await?;
    let started = Instant::now();
    let since = loop {
        if let Some(since) = metric(&world, &node, LAST_SUCCESS).await?.pop() {
            break since;
        }
        ensure!(started.elapsed() < Duration::from_secs(20), "no time is shown that could get old");
        tokio::time::sleep(LOOK_AGAIN).await;
    };
    // It does get old, though the passes go on.
    tokio::time::sleep(Duration::from_secs(3)).await;
    ensure!(metric(&world, &node, LAST_SUCCESS).await? == [since], "it was not compared with");
    Ok(())
}

//! What becomes of transfers is told, at least once and in order for each account, whatever is killed meanwhile.

use crate::support::{Holder, World, post};
use anyhow::{Context, Result, ensure};
use audit::{EventsReport, EventsTarget, ShardTarget, verify_events};
use local_cluster::{ADMIN_TOKEN, Method, ProcessName, Signal, call};
use placement::ShardId;
use serde_json::{Value, json};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use wire::event::{Event, FIELD, stream_of};

const HOLDERS: usize = 8;
const WORKERS: usize = 16;
const BALANCE: i64 = 100_000;
const BEFORE_THE_KILL: Duration = Duration::from_millis(700);
const REDIS_DOWN: Duration = Duration::from_secs(2);
const TOLD_WITHIN: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// More than the relay reads of a writer at once is not made here; that is for the tests of its order.
const DECIDED_WITHOUT_REDIS: i64 = 50;
const UNDISTURBED: Duration = Duration::from_secs(3);
const COUNT: &str = "SELECT count(*) FROM transfers";
const LAG: &str = "wallet_event_relay_lag_seconds ";

fn shard_node(shard: u16, replica: u16) -> ProcessName {
    ProcessName::ShardNode { shard, replica }
}

fn redis_of(region: &str) -> ProcessName {
    ProcessName::Redis { region: region.to_owned() }
}

async fn world() -> Result<(World, Vec<Holder>)> {
    let world = World::start(|spec| {
        spec.replicas_per_shard = 2;
        // So that money moves without Redis for as long as it takes.
        spec.router_env.insert("WALLET_SESSIONS__CACHE_TTL_MS".to_owned(), "60000".to_owned());
    })
    .await?;
    let mut holders = Vec::new();
    for number in 0..HOLDERS {
        let region = ["sg", "eu"][number % 2];
        holders.push(world.holder(&format!("holder-{number}"), region, BALANCE).await?);
    }
    Ok((world, holders))
}

/// Everything that can become of a transfer, one after the other. What the clients are told is for other tests: here the
/// tables are what the streams must agree with.
async fn move_money(world: &World, holders: &[Holder], number: usize) -> Result<()> {
    let (debit, credit) = (number % HOLDERS, (number + 1 + number / HOLDERS % (HOLDERS - 1)) % HOLDERS);
    let (debit, credit) = (&holders[debit], &holders[credit]);
    let router = world.cluster.router_address(&debit.region, 0)?;
    let key = format!("load-{number}");
    let transfer = |amount: i64, more: Value| {
        let mut body =
            json!({"debit_account_id": debit.account, "credit_account_id": credit.account, "amount": amount});
        let fields = body.as_object_mut().into_iter().zip(more.as_object());
        fields.for_each(|(body, more)| body.extend(more.clone()));
        body
    };
    let ask = async |path: &str, key: &str, body: &Value| match post(router, path, &debit.token, key, body).await {
        Ok(answer) => answer.read::<Value>().unwrap_or(Value::Null),
        // Whoever would have answered was killed.
        Err(_) => Value::Null,
    };
    let reserve = json!({"reserve": true, "expires_in_seconds": 1});
    match number / WORKERS % 8 {
        0..=3 => drop(ask("/v1/transfers", &key, &transfer(3, json!({}))).await),
        kind @ 4..=6 => {
            let reserved = ask("/v1/transfers", &key, &transfer(5, reserve)).await;
            let id = reserved["id"].as_str().unwrap_or("00000000-0000-0000-0000-000000000000");
            match kind {
                4 => drop(ask(&format!("/v1/transfers/{id}/commit"), &format!("{key}-c"), &json!({"amount": 2})).await),
                5 => drop(ask(&format!("/v1/transfers/{id}/release"), "", &json!({})).await),
                _ => {}
            }
        }
        _ => {
            drop(ask("/v1/transfers", &key, &transfer(BALANCE * 9, json!({}))).await);
            let deposit = json!({"account_id": debit.account, "amount": 1});
            let paid = post(router, "/v1/admin/deposits", ADMIN_TOKEN, &format!("{key}-d"), &deposit).await;
            drop(paid);
        }
    }
    Ok(())
}

/// Runs the load for as long as the trouble lasts.
async fn under_load(world: &World, holders: &[Holder], trouble: impl Future<Output = Result<()>>) -> Result<()> {
    let over = Cell::new(false);
    let workers = (0..WORKERS).map(|worker| {
        let over = &over;
        async move {
            let mut number = worker;
            while !over.get() {
                move_money(world, holders, number).await?;
                number += WORKERS;
            }
            Ok::<_, anyhow::Error>(())
        }
    });
    let trouble = async {
        let result = trouble.await;
        over.set(true);
        result
    };
    futures_util::future::try_join(futures_util::future::try_join_all(workers), trouble).await?;
    Ok(())
}

/// Waits until the relays have come to everything.
async fn all_told(world: &World) -> Result<EventsReport> {
    let targets = world.cluster.topology()?.shards.into_iter().map(|shard| {
        let postgres = world.cluster.shard_postgres_url(shard.id.get())?.parse()?;
        let redis = world.cluster.redis_url(&shard.region)?;
        Ok(EventsTarget { shard: ShardTarget { shard: shard.id, postgres }, redis })
    });
    let targets = targets.collect::<Result<Vec<_>>>()?;
    let started = Instant::now();
    loop {
        let report = verify_events(&targets).await?;
        let broken: Vec<_> = report.checks.iter().filter(|check| check.violations > 0).collect();
        ensure!(broken.is_empty(), "{broken:?}");
        if report.waiting() == 0 {
            return Ok(report);
        }
        ensure!(started.elapsed() < TOLD_WITHIN, "still waiting: {:?}", report.shards);
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// The greatest lag that the replicas of a shard see.
async fn lag(world: &World, shard: u16) -> Result<f64> {
    let mut greatest = 0.0_f64;
    for replica in [0, 1] {
        let node = world.cluster.process(&shard_node(shard, replica))?;
        let admin = node.admin_address.context("a shard-node has an admin address")?;
        let text = call(admin, Method::GET, "/metrics", &[], None).await?.body;
        let value = text.lines().find_map(|line| line.strip_prefix(LAG)).context("no lag is shown")?;
        greatest = greatest.max(value.parse()?);
    }
    Ok(greatest)
}

/// A stream's entries: when each was written, in milliseconds since the Unix epoch, and what it tells.
async fn stream(world: &World, region: &str, shard: u16) -> Result<Vec<(i64, Event)>> {
    let client = redis::Client::open(world.cluster.redis_url(region)?)?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let all = redis::cmd("XRANGE").arg(stream_of(ShardId::try_from(shard)?)).arg("-").arg("+").to_owned();
    let all: Vec<(String, BTreeMap<String, String>)> = all.query_async(&mut connection).await?;
    let entries = all.iter().map(|(id, fields)| {
        let (at, _) = id.split_once('-').context("an entry's id has a time")?;
        Ok((at.parse()?, serde_json::from_str(fields.get(FIELD).context("an entry has an event")?)?))
    });
    entries.collect()
}

#[tokio::test]
async fn killed_processes_lose_and_reorder_no_event() -> Result<()> {
    let (world, holders) = world().await?;
    let cluster = &world.cluster;
    under_load(&world, &holders, async {
        let victims =
            [shard_node(1, 0), ProcessName::Postgres { shard: 1, replica: 0 }, shard_node(2, 1), shard_node(1, 1)];
        for name in victims {
            tokio::time::sleep(BEFORE_THE_KILL).await;
            cluster.kill(&name, Signal::SIGKILL).await?;
            tokio::time::sleep(BEFORE_THE_KILL / 2).await;
            cluster.restart(&name).await?;
        }
        for region in ["sg", "eu"] {
            tokio::time::sleep(BEFORE_THE_KILL).await;
            cluster.kill(&redis_of(region), Signal::SIGKILL).await?;
            tokio::time::sleep(REDIS_DOWN).await;
            cluster.restart(&redis_of(region)).await?;
        }
        tokio::time::sleep(BEFORE_THE_KILL).await;
        Ok(())
    })
    .await?;
    world.prove().await?;
    let report = all_told(&world).await?;
    eprintln!("{:?}", report.shards);

    let mut seen = BTreeSet::new();
    for (region, shard) in [("sg", 1), ("eu", 2)] {
        for (_, event) in stream(&world, region, shard).await? {
            let sides = event.entries.len();
            let (reason, kind) = (event.transfer.reason, event.transfer.kind);
            seen.insert(format!("{:?} {kind:?} {sides} {reason:?}", event.event_type));
        }
    }
    let wanted = [
        "Posted Transfer 2 None",
        "Posted Transfer 1 None",
        "Posted Deposit 1 None",
        "Released Transfer 0 Some(ReleasedByClient)",
        "Released Transfer 0 Some(Expired)",
        "Rejected Transfer 0 Some(InsufficientFunds)",
    ];
    for wanted in wanted {
        ensure!(seen.contains(wanted), "nothing was told of {wanted}: {seen:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_was_decided_without_redis_is_told_afterwards_and_all_of_it_soon() -> Result<()> {
    let (world, holders) = world().await?;
    let database = shard_node::store::connect(&world.cluster.shard_postgres_url(1)?.parse()?).await?;
    let decided = async || Ok::<i64, anyhow::Error>(database.query_one(COUNT, &[]).await?.get(0));
    let without_redis = Cell::new(0);
    under_load(&world, &holders, async {
        world.cluster.kill(&redis_of("sg"), Signal::SIGKILL).await?;
        let (before, started) = (decided().await?, Instant::now());
        while decided().await? < before + DECIDED_WITHOUT_REDIS {
            ensure!(started.elapsed() < TOLD_WITHIN, "money does not move without Redis");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        without_redis.set(now_ms());
        while lag(&world, 1).await? < 1.0 {
            ensure!(started.elapsed() < TOLD_WITHIN, "the lag does not grow without Redis");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        world.cluster.restart(&redis_of("sg")).await?;
        let mended = Instant::now();
        while lag(&world, 1).await? > 1.0 {
            ensure!(mended.elapsed() < TOLD_WITHIN, "the lag stays");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        eprintln!("the relay has caught up {:?} after Redis was back", mended.elapsed());
        tokio::time::sleep(UNDISTURBED).await;
        Ok(())
    })
    .await?;
    world.prove().await?;
    eprintln!("{:?}", all_told(&world).await?.shards);
    let told = stream(&world, "sg", 1).await?;
    let decided_ms = |event: &Event| event.transfer.decided_at.map_or(0, |time| time.as_microseconds() / 1_000);
    let late = told.iter().filter(|(at, event)| decided_ms(event) <= without_redis.get() && *at > without_redis.get());
    let (late, wanted) = (late.count(), usize::try_from(DECIDED_WITHOUT_REDIS)?);
    ensure!(late >= wanted, "{late} events were told after Redis was back");

    // The other region's Redis was there all the time.
    let waits = stream(&world, "eu", 2).await?;
    let mut waits: Vec<i64> = waits.iter().map(|(at, event)| at - decided_ms(event)).collect();
    waits.sort_unstable();
    let at = |share: usize| waits[(waits.len() - 1) * share / 100];
    eprintln!("{} events, told after {} ms (half), {} ms (99 %), {} ms (all)", waits.len(), at(50), at(99), at(100));
    ensure!(at(50) < 1_000, "half of the events took more than {} ms", at(50));
    Ok(())
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

//! Many at once: two routers and two shard-nodes over each PostgreSQL, two regions.

#[path = "service/support/mod.rs"]
mod support;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use libtest_mimic::{Arguments, Trial};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;
use support::{Holder, Known, Wish, World, explain, post};
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    if arguments.list {
        return libtest_mimic::run(&arguments, trials(None)).exit_code();
    }
    let runtime = Arc::new(tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"));
    let started = runtime.block_on(World::start(|spec| {
        spec.routers_per_region = 2;
        spec.replicas_per_shard = 2;
    }));
    let world = Arc::new(started.expect("a cluster"));
    // One thread: the trials share one runtime, and each of them is a crowd already.
    let arguments = Arguments { test_threads: Some(1), ..arguments };
    let conclusion = libtest_mimic::run(&arguments, trials(Some((runtime.clone(), world.clone()))));
    drop(world);
    conclusion.exit_code()
}

type Stage = Option<(Arc<Runtime>, Arc<World>)>;

fn trials(stage: Stage) -> Vec<Trial> {
    macro_rules! trial {
        ($($fact:ident),* $(,)?) => {
            vec![$({
                let stage = stage.clone();
                Trial::test(stringify!($fact), move || {
                    let (runtime, world) = stage.ok_or("no stage")?;
                    runtime.block_on(async { $fact(&world).await?; world.prove().await }).map_err(|error| format!("{error:#}").into())
                })
            }),*]
        };
    }
    trial![
        a_thousand_parallel_transfers_conserve_money,
        one_key_sent_fifty_times_moves_money_once,
        opposite_transfers_both_succeed,
        an_account_drained_from_many_sides_is_never_overdrawn,
        one_key_for_fifty_different_requests_takes_effect_once,
        reservations_that_expire_at_once_are_each_given_back_once,
        commit_release_and_expiry_meet_and_exactly_one_wins,
        a_shard_node_that_is_stopped_leaves_no_request_without_its_answer,
    ]
}

fn routers(world: &World, region: &str) -> Result<[std::net::SocketAddr; 2]> {
    Ok([world.cluster.router_address(region, 0)?, world.cluster.router_address(region, 1)?])
}

async fn holders(world: &World, prefix: &str, count: usize, balance: i64) -> Result<Vec<Holder>> {
    let regions = world.cluster.regions();
    let mut holders = Vec::new();
    for number in 0..count {
        let region = &regions[number % regions.len()];
        holders.push(world.holder(&format!("{prefix}-{number}"), region, balance).await?);
    }
    Ok(holders)
}

async fn a_thousand_parallel_transfers_conserve_money(world: &World) -> Result<()> {
    let holders = holders(world, "crowd", 10, 1_000).await?;
    let keys: Vec<String> = (0..1_000).map(|number| format!("crowd-{number}")).collect();
    let transfers = keys.iter().enumerate().map(|(number, key)| {
        let (debit, credit) = (&holders[number % 10], &holders[(number * 7 + 1 + number / 10) % 10]);
        let credit = if credit.account == debit.account { &holders[(number + 1) % 10] } else { credit };
        let wish = Wish { key, debit, credit, amount: i64::try_from(number % 50).unwrap_or(0) + 1 };
        async move { world.until_known(routers(world, &debit.region)?[number % 2], wish).await }
    });
    let known = try_join_all(transfers).await?;
    ensure!(known.iter().any(|known| matches!(known, Known::Posted { .. })), "nothing was posted");
    let mut total = 0;
    for holder in &holders {
        let balance = world.balance(holder).await?;
        explain(&world.history(holder).await?, balance)?;
        total += balance;
    }
    ensure!(total == 10_000, "10 x 1000 have become {total}");
    Ok(())
}

async fn one_key_sent_fifty_times_moves_money_once(world: &World) -> Result<()> {
    let holders = holders(world, "repeat", 4, 1_000).await?;
    // Within the shard, and to the other region.
    for (credit, key) in [(2, "repeat-here"), (1, "repeat-there")] {
        let wish = Wish { key, debit: &holders[0], credit: &holders[credit], amount: 10 };
        let all = routers(world, "sg")?;
        let known = try_join_all((0..50).map(|number| world.until_known(all[number % 2], wish))).await?;
        let distinct: BTreeSet<String> = known.iter().map(|known| format!("{known:?}")).collect();
        ensure!(distinct.len() == 1, "one key, several answers: {distinct:?}");
        ensure!(world.balance(&holders[credit]).await? == 1_010);
    }
    ensure!(world.balance(&holders[0]).await? == 980);
    Ok(())
}

async fn one_key_for_fifty_different_requests_takes_effect_once(world: &World) -> Result<()> {
    let holders = holders(world, "reuse", 2, 10_000).await?;
    let all = routers(world, "sg")?;
    let asked = (0..50).map(|number| {
        let amount = i64::try_from(number).unwrap_or(0) + 1;
        world.until_known(all[number % 2], Wish { key: "reuse", debit: &holders[0], credit: &holders[1], amount })
    });
    let known = try_join_all(asked).await?;
    let posted = known.iter().filter(|known| matches!(known, Known::Posted { .. })).count();
    let reused =
        known.iter().filter(|known| **known == Known::Refused { code: "idempotency_key_reused".to_owned() }).count();
    ensure!((posted, reused) == (1, 49), "{posted} posted, {reused} reused");
    ensure!(world.history(&holders[1]).await?.len() == 2);
    Ok(())
}

async fn opposite_transfers_both_succeed(world: &World) -> Result<()> {
    let holders = holders(world, "opposite", 4, 1_000).await?;
    for (one, other) in [(0, 2), (0, 1)] {
        let keys: Vec<String> = (0..40).map(|number| format!("opposite-{one}-{other}-{number}")).collect();
        let asked = keys.iter().enumerate().map(|(number, key)| {
            let (debit, credit) = if number % 2 == 0 { (one, other) } else { (other, one) };
            let (debit, credit) = (&holders[debit], &holders[credit]);
            let wish = Wish { key, debit, credit, amount: 5 };
            async move { world.until_known(routers(world, &debit.region)?[number / 2 % 2], wish).await }
        });
        for known in try_join_all(asked).await? {
            ensure!(matches!(known, Known::Posted { .. }), "{known:?}");
        }
        ensure!(world.balance(&holders[one]).await? == 1_000);
    }
    Ok(())
}

async fn an_account_drained_from_many_sides_is_never_overdrawn(world: &World) -> Result<()> {
    let holders = holders(world, "drained", 4, 0).await?;
    let full = world.holder("drained-full", "sg", 100).await?;
    let keys: Vec<String> = (0..60).map(|number| format!("drain-{number}")).collect();
    let all = routers(world, "sg")?;
    let asked = keys.iter().enumerate().map(|(number, key)| {
        world.until_known(all[number % 2], Wish { key, debit: &full, credit: &holders[number % 4], amount: 7 })
    });
    let known = try_join_all(asked).await?;
    let posted = known.iter().filter(|known| matches!(known, Known::Posted { .. })).count();
    ensure!(posted == 14, "{posted} transfers of 7 were taken out of 100");
    let account = world.account(&full).await?;
    ensure!(account["balance"] == 2 && account["reserved"] == 0, "{account}");
    let last = world.history(&full).await?.pop().context("there are entries")?;
    ensure!(last["balance_after"] == 2, "{last}");
    Ok(())
}

async fn reserve(world: &World, router: usize, key: &str, pair: [&Holder; 2], seconds: u32) -> Result<String> {
    let [debit, credit] = pair;
    let body = json!({
        "debit_account_id": debit.account, "credit_account_id": credit.account, "amount": 2, "reserve": true,
        "expires_in_seconds": seconds
    });
    let answer = post(routers(world, &debit.region)?[router], "/v1/transfers", &debit.token, key, &body).await?;
    ensure!(answer.status == 201, "{key}: {} {}", answer.status, answer.body);
    let reserved: Value = answer.read()?;
    Ok(reserved["id"].as_str().context("a transfer has an id")?.to_owned())
}

async fn reservations_that_expire_at_once_are_each_given_back_once(world: &World) -> Result<()> {
    let holders = holders(world, "lapse", 4, 1_000).await?;
    let keys: Vec<String> = (0..400).map(|number| format!("lapse-{number}")).collect();
    let reserved = keys
        .iter()
        .enumerate()
        .map(|(number, key)| reserve(world, number % 2, key, [&holders[number % 4], &holders[(number + 1) % 4]], 1));
    let ids = try_join_all(reserved).await?;
    let paths: Vec<String> = ids.iter().map(|id| format!("/v1/transfers/{id}?wait_seconds=20")).collect();
    let ends = paths.iter().enumerate().map(|(number, path)| ended(world, &holders[number % 4], path));
    for end in try_join_all(ends).await? {
        ensure!(end["state"] == "released" && end["reason"] == "expired", "{end}");
    }
    for holder in &holders {
        let account = world.account(holder).await?;
        ensure!(account["balance"] == 1_000 && account["reserved"] == 0, "{account}");
    }
    Ok(())
}

/// The transfer once it is not reserved any more. Few of one user's requests may wait at once; the others ask again.
async fn ended(world: &World, holder: &Holder, path: &str) -> Result<serde_json::Value> {
    let give_up = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let transfer = world.get(holder, path).await?;
        if transfer["state"] != "reserved" || std::time::Instant::now() > give_up {
            return Ok(transfer);
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

/// A commit, a release and the due time meet, through two routers and two shard-nodes; repeats of the winner agree.
async fn commit_release_and_expiry_meet_and_exactly_one_wins(world: &World) -> Result<()> {
    let holders = holders(world, "race", 4, 1_000).await?;
    let races =
        (0..60).map(|number| race(world, number, [&holders[number % 4], &holders[(number + 1 + number / 20) % 4]]));
    let mut ends = std::collections::BTreeMap::<String, usize>::new();
    for end in try_join_all(races).await? {
        *ends.entry(end).or_default() += 1;
    }
    ensure!(ends.len() == 3, "not everybody has won once: {ends:?}");
    Ok(())
}

/// How a transfer has ended, by its reason or state.
async fn race(world: &World, number: usize, pair: [&Holder; 2]) -> Result<String> {
    let id = reserve(world, number % 2, &format!("race-{number}"), pair, 1).await?;
    let [debit, _] = pair;
    let routers = routers(world, &debit.region)?;
    // Around the due time: some before it, some after the sweep.
    let pause_ms = if number.is_multiple_of(3) { 1_500 } else { 850 + number as u64 * 5 };
    tokio::time::sleep(std::time::Duration::from_millis(pause_ms)).await;
    let (path, key) = (format!("/v1/transfers/{id}"), format!("race-commit-{number}"));
    let (commit_path, release_path, nothing) = (format!("{path}/commit"), format!("{path}/release"), json!({}));
    let commit = post(routers[number % 2], &commit_path, &debit.token, &key, &nothing);
    let release = post(routers[(number + 1) % 2], &release_path, &debit.token, "", &nothing);
    let (committed, released) = match number % 2 {
        0 => futures_util::future::try_join(commit, release).await?,
        _ => {
            let (released, committed) = futures_util::future::try_join(release, commit).await?;
            (committed, released)
        }
    };
    let end = world.get(debit, &format!("{path}?wait_seconds=20")).await?;
    let text = |name: &str| end[name].as_str().unwrap_or_default().to_owned();
    let won = if text("state") == "posted" { text("state") } else { text("reason") };
    let expected = match won.as_str() {
        "posted" => (200, 409),
        "released_by_client" => (409, 200),
        "expired" => (409, 409),
        other => anyhow::bail!("{id} has ended as {other}"),
    };
    // Another shard may not have answered in time.
    let is_committed = committed.status == expected.0 || (won == "posted" && committed.status == 202);
    ensure!(is_committed && released.status == expected.1, "{won}: {} {}", committed.body, released.body);
    let again = post(routers[(number + 1) % 2], &commit_path, &debit.token, &key, &nothing).await?;
    ensure!(again.status == expected.0, "{won}: {} and then {}", committed.body, again.body);
    Ok(won)
}

async fn a_shard_node_that_is_stopped_leaves_no_request_without_its_answer(world: &World) -> Result<()> {
    let holders = holders(world, "drain-node", 2, 100_000).await?;
    let router = routers(world, "sg")?[0];
    let stopped = std::cell::Cell::new(false);
    let clients = (0..8).map(|client| {
        let (holders, stopped) = (&holders, &stopped);
        async move {
            let mut answered = 0;
            while !stopped.get() {
                let key = format!("drain-node-{client}-{answered}");
                let wish = Wish { key: &key, debit: &holders[0], credit: &holders[1], amount: 1 };
                let answer = world.ask(router, wish).await?;
                // Who waits for another shard's decision is told that it is pending, rather than kept.
                ensure!(answer.status == 201 || answer.status == 202, "{key}: {} {}", answer.status, answer.body);
                answered += 1;
            }
            Ok::<_, anyhow::Error>(answered)
        }
    });
    let name: local_cluster::ProcessName = "shard-node-1".parse()?;
    let restart = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let restarted = world.cluster.restart(&name).await;
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        stopped.set(true);
        restarted
    };
    let (answered, ()) = futures_util::future::try_join(try_join_all(clients), restart).await?;
    ensure!(answered.iter().sum::<i32>() > 50, "only {answered:?} were asked");
    let log = std::fs::read_to_string(world.cluster.data_dir().log(&name))?;
    ensure!(!log.contains("links were cut"), "the links were cut rather than drained");
    Ok(())
}

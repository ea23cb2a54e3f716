//! A primary that says nothing any more, though its machine keeps its connections: a new one is promoted, and everything
//! goes on with that, even when the old one speaks again and nobody has told it that it is over.

use crate::support::{Holder, Known, Wish, World, occurrences, post};
use anyhow::{Context, Result, ensure};
use local_cluster::{Method, ProcessName, Signal, call};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, Config, NoTls};

const PRIMARY: ProcessName = ProcessName::Postgres { shard: 1, replica: 0 };
const STANDBY: ProcessName = ProcessName::Postgres { shard: 1, replica: 1 };
const OTHER_NODE: ProcessName = ProcessName::ShardNode { shard: 2, replica: 0 };
/// From the promotion on; a lane takes its batch for lost after 10 s.
const GOES_ON_WITHIN: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
const CUT: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'shard-node'";

async fn standby(world: &World) -> Result<Client> {
    let both: Config = world.cluster.shard_superuser_url(1)?.parse()?;
    let address = world.cluster.process(&STANDBY)?.address;
    let mut standby = Config::new();
    standby.host(address.ip().to_string()).port(address.port()).dbname("postgres").user("postgres");
    both.get_password().map(|password| standby.password(password));
    let (client, connection) = standby.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// What is answered, if it is not that nothing can be said.
async fn seen(world: &World, holder: &Holder, path: &str) -> Result<Option<Value>> {
    let authorization = format!("Bearer {}", holder.token);
    let headers = [("authorization", authorization.as_str())];
    let router = world.cluster.router_address(&holder.region, 0)?;
    let answer = call(router, Method::GET, path, &headers, None).await?;
    match answer.status.as_u16() {
        200 => Ok(Some(answer.read()?)),
        503 => Ok(None),
        other => anyhow::bail!("{path}: {other} {}", answer.body),
    }
}

/// Looks until something can be said that is as wanted.
async fn until(world: &World, holder: &Holder, path: &str, wanted: impl Fn(&Value) -> bool) -> Result<()> {
    let started = Instant::now();
    loop {
        let last = seen(world, holder, path).await?;
        if last.as_ref().is_some_and(&wanted) {
            println!("{path} goes on after {:?}", started.elapsed());
            return Ok(());
        }
        ensure!(started.elapsed() < GOES_ON_WITHIN, "{path} does not go on: {last:?}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn posted(world: &World, wish: Wish<'_>) -> Result<String> {
    match world.until_known(world.cluster.router_address("sg", 0)?, wish).await? {
        Known::Posted { transfer } => Ok(transfer),
        Known::Refused { code } => anyhow::bail!("{} was refused: {code}", wish.key),
    }
}

#[tokio::test]
async fn everything_goes_on_with_the_new_primary_while_the_old_one_is_silent() -> Result<()> {
    let world = World::start(|spec| {
        spec.standbys = [1].into();
        spec.shard_node_env.insert("WALLET_SAGA__RETRY_MAX_MS".to_owned(), "500".to_owned());
    })
    .await?;
    let here = world.holder("here", "sg", 1_000).await?;
    let near = world.holder("near", "sg", 0).await?;
    let far = world.holder("far", "eu", 0).await?;
    let router = world.cluster.router_address("sg", 0)?;
    let before = Wish { key: "before", debit: &here, credit: &near, amount: 10 };
    let open = Wish { key: "open", debit: &here, credit: &far, amount: 100 };
    let first = posted(&world, before).await?;
    world.cluster.kill(&OTHER_NODE, Signal::SIGKILL).await?;
    ensure!(world.ask(router, open).await?.status == 202);
    let body = json!({"debit_account_id": here.account, "credit_account_id": near.account, "amount": 5, "reserve": true,
        "expires_in_seconds": 3});
    let reserved = post(router, "/v1/transfers", &here.token, "held", &body).await?;
    ensure!(reserved.status == 201, "{}", reserved.body);
    let held = reserved.read::<Value>()?["id"].as_str().context("an id")?.to_owned();
    // The reader of accounts has asked the old primary, and asks nothing more until that speaks again.
    ensure!(world.balance(&here).await? == 990);

    world.cluster.signal_all(&PRIMARY, Signal::SIGSTOP).await?;
    let history = format!("/v1/accounts/{}/transactions?limit=200", here.account);
    // Every connection of the pool gets a question that it will not answer.
    let asked = (0..8).map(|_| seen(&world, &here, &history));
    let asked = futures_util::future::try_join_all(asked).await?;
    ensure!(asked.iter().all(Option::is_none), "the primary is not silent: {asked:?}");
    let promoted = standby(&world).await?;
    let is_promoted: bool = promoted.query_one("SELECT pg_promote(true, 30)", &[]).await?.get(0);
    ensure!(is_promoted, "the standby was not promoted");

    let after = posted(&world, Wish { key: "after", debit: &here, credit: &near, amount: 7 }).await?;
    world.cluster.restart(&OTHER_NODE).await?;
    // The reads, a repeated key, the sweep of the expiry, and that of the outbox.
    until(&world, &here, &history, |page| {
        page["items"].as_array().is_some_and(|items| occurrences(items, &after) == 1)
    })
    .await?;
    ensure!(posted(&world, before).await? == first, "the repeat has another answer");
    until(&world, &here, &format!("/v1/transfers/{held}"), |transfer| transfer["reason"] == "expired").await?;
    posted(&world, open).await?;

    world.cluster.signal_all(&PRIMARY, Signal::SIGCONT).await?;
    only_the_new_one_is_asked(&world, &here, &after).await?;
    // Both are there now, and both say that they take writes.
    promoted.execute(CUT, &[]).await?;
    posted(&world, Wish { key: "cut off", debit: &near, credit: &here, amount: 3 }).await?;
    posted(&world, Wish { key: "and back", debit: &here, credit: &near, amount: 3 }).await?;
    only_the_new_one_is_asked(&world, &here, &after).await?;
    world.cluster.signal_all(&PRIMARY, Signal::SIGKILL).await?;
    world.prove().await
}

/// For a while, every answer about the account is of the present.
async fn only_the_new_one_is_asked(world: &World, here: &Holder, after: &str) -> Result<()> {
    let history = format!("/v1/accounts/{}/transactions?limit=200", here.account);
    let (account, started) = (format!("/v1/accounts/{}", here.account), Instant::now());
    let mut answers = 0;
    while started.elapsed() < Duration::from_secs(2) {
        if let Some(account) = seen(world, here, &account).await? {
            ensure!(account["balance"] == 883, "a state that is over: {account}");
            answers += 1;
        }
        if let Some(page) = seen(world, here, &history).await? {
            let items = page["items"].as_array().context("a page has items")?;
            ensure!(occurrences(items, after) == 1, "a history that is over: {page}");
            answers += 1;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    ensure!(answers > 20, "only {answers} answers");
    Ok(())
}

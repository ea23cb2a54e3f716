//! Answers that must not depend on what has happened since, on how much there is, or on which month it is.

use crate::support::{Holder, Known, Wish, World, post};
use anyhow::{Context, Result, ensure};
use local_cluster::ADMIN_TOKEN;
use serde_json::{Value, json};
use shard_node::store::{self, partitions};
use std::time::{Duration, Instant};
use tokio_postgres::Client;

async fn world() -> Result<World> {
    World::start(|spec| spec.regions = vec!["sg".to_owned()]).await
}

async fn database(world: &World) -> Result<Client> {
    Ok(store::connect(&world.cluster.shard_postgres_url(1)?.parse()?).await?)
}

#[tokio::test]
async fn creation_of_an_account_is_answered_again_as_it_was_first() -> Result<()> {
    let world = world().await?;
    world.holder("maker", "sg", 0).await?;
    let router = world.cluster.router_address("sg", 0)?;
    let body = json!({"currency": "SGD", "name": "savings"});
    let first = post(router, "/v1/accounts", "maker", "savings", &body).await?;
    ensure!(first.status == 201, "{}", first.body);
    let id = first.read::<Value>()?["id"].as_u64().context("an account has an id")?;
    let deposit = json!({"account_id": id, "amount": 70});
    ensure!(post(router, "/v1/admin/deposits", ADMIN_TOKEN, "paid in", &deposit).await?.status == 201);
    let freeze = format!("/v1/admin/accounts/{id}/freeze");
    ensure!(post(router, &freeze, ADMIN_TOKEN, "", &json!({})).await?.status == 200);
    let again = post(router, "/v1/accounts", "maker", "savings", &body).await?;
    ensure!((again.status, again.body.as_str()) == (first.status, first.body.as_str()), "{}", again.body);
    Ok(())
}

/// Open transfers of the account, made behind the wallet's back: an older one for each number, and all of one state.
async fn make_open(database: &Client, holder: &Holder, state: i16, numbers: std::ops::Range<u32>) -> Result<()> {
    let month = placement::TransferId::lower_bound(store::to_micros(jiff::Timestamp::now()).unix_ms()).to_string();
    let (account, user, month) = (holder.account, &holder.token, &month[..13]);
    let (first, last) = (numbers.start, numbers.end - 1);
    let insert = format!(
        "BEGIN; SELECT set_config('wallet.fence', 'held', true);
         INSERT INTO reservations (transfer_id, slot, state, debit_account, debit_user, credit_account, amount, currency,
             created_at, void_after, amount_reserved, expires_at)
         SELECT ('{month}-8041-8000-' || lpad(n::text, 12, '0'))::uuid, 0, {state}, {account}, '{user}', {account}, 1, 'SGD',
             now(), now() + interval '1 day', 1, now() + interval '1 day' FROM generate_series({first}, {last}) AS n;
         COMMIT"
    );
    Ok(database.batch_execute(&insert).await?)
}

/// The numbers of the transfers in all pages, and how many pages there were.
async fn listed(world: &World, holder: &Holder, query: &str) -> Result<(Vec<u32>, usize)> {
    let (mut numbers, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let page = world.get(holder, &format!("/v1/accounts/{}/transfers?{query}{cursor}", holder.account)).await?;
        pages += 1;
        for item in page["items"].as_array().context("a page has items")? {
            numbers.push(item["id"].as_str().context("an id")?[24..].parse()?);
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok((numbers, pages)),
        }
    }
}

#[tokio::test]
async fn open_transfers_are_all_listed_however_many_and_in_whatever_state() -> Result<()> {
    let world = world().await?;
    let (holder, other) = (world.holder("holder", "sg", 0).await?, world.holder("other", "sg", 0).await?);
    let database = database(&world).await?;
    const HELD: i16 = 2;
    make_open(&database, &holder, HELD, 1..701).await?;
    make_open(&database, &holder, 0, 701..702).await?;
    make_open(&database, &holder, 1, 702..703).await?;
    make_open(&database, &other, HELD, 703..1_203).await?;
    ensure!(listed(&world, &holder, "state=pending").await? == (vec![701, 702], 1));
    ensure!(listed(&world, &holder, "state=reserved").await? == ((1..701).collect(), 2));
    ensure!(listed(&world, &holder, "").await? == ((1..703).collect(), 2));
    // Exactly a page has no other one behind it.
    ensure!(listed(&world, &other, "").await? == ((703..1_203).collect(), 1));
    let path = format!("/v1/accounts/{}/transfers?cursor=701", holder.account);
    ensure!(world.get(&holder, &path).await.is_err_and(|error| error.to_string().contains("?cursor")));
    Ok(())
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

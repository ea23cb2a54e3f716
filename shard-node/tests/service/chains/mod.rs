//! The chain of committed batches, written by real lanes: whatever is done to the tables behind the wallet's back is
//! found and named.

mod copy;
mod tampering;

use self::copy::{Copy, kept, superuser};
use crate::support::{self, Holder, Wish, World};
use anyhow::{Context, Result, ensure};
use audit::{Breach, ChainReport, ShardChains, ShardTarget, Table, verify_chains};
use local_cluster::session::{Session, Sessions};
use local_cluster::{ADMIN_TOKEN, Method, ProcessName, Signal, call};
use placement::{AccountId, Locality, TransferId};
use serde_json::{Value, json};
use shard_node::store;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_postgres::Client;
use uuid::Uuid;

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

async fn reserve(world: &World, debit: &Holder, credit: &Holder, key: &str) -> Result<String> {
    let wish = json!({"debit_account_id": debit.account, "credit_account_id": credit.account, "amount": 9,
        "reserve": true});
    let reserved = post(world, debit, "/v1/transfers", key, &wish, 201).await?;
    Ok(reserved["id"].as_str().context("a transfer has an id")?.to_owned())
}

async fn two_steps(world: &World, debit: &Holder, credit: &Holder, end: &str, key: &str) -> Result<()> {
    let id = reserve(world, debit, credit, key).await?;
    end_two_steps(world, debit, &id, end, key).await
}

async fn end_two_steps(world: &World, debit: &Holder, id: &str, end: &str, key: &str) -> Result<()> {
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

/// An operator freezes, unfreezes or closes an account.
async fn set_status(world: &World, holder: &Holder, change: &str) -> Result<()> {
    let router = world.cluster.router_address(&holder.region, 0)?;
    let path = format!("/v1/admin/accounts/{}/{change}", holder.account);
    let answer = support::post(router, &path, ADMIN_TOKEN, "", &json!({})).await?;
    ensure!(answer.status == 200, "{path}: {} {}", answer.status, answer.body);
    Ok(())
}

/// Leaves some of everything that is not there for ever: frozen accounts, reservations of both kinds.
async fn leave_open(world: &World, holders: &[Holder]) -> Result<()> {
    for change in ["freeze", "unfreeze", "freeze"] {
        set_status(world, &holders[4], change).await?;
    }
    for (change, holder) in [("freeze", 6), ("unfreeze", 6)] {
        set_status(world, &holders[holder], change).await?;
    }
    reserve(world, &holders[0], &holders[2], "held here").await?;
    reserve(world, &holders[0], &holders[1], "held there").await?;
    // With nobody there to credit them.
    stop(world, &["shard-node-2", "shard-node-2.1"]).await?;
    for key in ["open", "open, too"] {
        let wish = Wish { key, debit: &holders[0], credit: &holders[1], amount: 3 };
        let pending = world.ask(world.cluster.router_address("sg", 0)?, wish).await?;
        ensure!(pending.status == 202, "{} {}", pending.status, pending.body);
    }
    Ok(())
}

/// Until the last batch of writer 0 has written nothing but transfers and their keys.
async fn until_a_plain_batch_is_the_last(world: &World, holders: &[Holder]) -> Result<()> {
    let (_, client) = superuser(world, "wallet").await?;
    let plain = "SELECT transfers <> '' AND inbox = '' AND accounts = '' AND accounts_replaced = '' \
         AND reservations = '' AND reservations_replaced = '' FROM batches WHERE writer = 0 ORDER BY number DESC LIMIT 1";
    let here = [0, 2, 6];
    for turn in 0..200 {
        if client.query_one(plain, &[]).await?.get(0) {
            return Ok(());
        }
        let (debit, credit) = (&holders[here[turn % 3]], &holders[here[(turn + 1) % 3]]);
        let wish = Wish { key: &format!("plain {turn}"), debit, credit, amount: 1 };
        world.until_known(world.cluster.router_address("sg", 0)?, wish).await?;
    }
    anyhow::bail!("writer 0 writes nothing any more")
}

/// What is done to one shard's tables is done to copies of its database, each found by itself.
#[tokio::test]
async fn whatever_is_changed_behind_the_wallets_back_is_named() -> Result<()> {
    let world = World::start(|spec| spec.replicas_per_shard = 2).await?;
    let holders = work(&world, "before").await?;
    kill_between_batches(&world, &holders).await?;
    world.prove().await?;
    leave_open(&world, &holders).await?;
    until_a_plain_batch_is_the_last(&world, &holders).await?;

    let report = verified(&world).await?;
    ensure!(report.holds, "{report:#?}");
    for found in &report.shards {
        let starts = [found.since.since, found.since.whole_since.context("it was read")?];
        ensure!(starts == [None, None] && found.rows_before == 0, "{found:#?}");
        ensure!(found.rows > 100 && found.batches > 40, "{found:#?}");
        let writers: Vec<i32> = found.heads.iter().map(|head| head.writer).collect();
        ensure!(writers == [0, 1, 100, 101], "two lanes of two replicas, not {writers:?}");
    }
    stop(&world, &["shard-node-1", "shard-node-1.1"]).await?;
    let copy = Copy::of_shard_1(&world).await?;
    for tampering in tampering::ALL {
        tampering.is_named(&copy, &report.shards[0]).await.context(tampering.name)?;
    }
    start_that_is_much_later_than_the_first_batch_is_found(&copy).await?;
    chain_written_anew_is_shown_by_a_kept_head(&copy, &report.shards[0]).await
}

async fn start_that_is_much_later_than_the_first_batch_is_found(copy: &Copy) -> Result<()> {
    for start in ["since", "whole_since"] {
        let first: jiff::Timestamp = copy.client.query_one("SELECT min(decided_at) FROM batches", &[]).await?.get(0);
        let set = format!("UPDATE chain_start SET {start} = now() + interval '25 hours' RETURNING {start}");
        let since = copy.client.query_one(&set, &[]).await?.get(0);
        let found = copy.verified(&[]).await?;
        ensure!(found.breaches == [Breach::StartLate { since, first }], "{start}: {found:#?}");
        copy.mend().await?;
    }
    Ok(())
}

/// A change that a batch has gone on with, so that the rows are again as batches wrote them.
#[tokio::test]
async fn what_a_batch_went_on_with_is_found_all_the_same() -> Result<()> {
    let world = World::start(|_| ()).await?;
    let holders = work(&world, "behind").await?;
    let (debit, credit, taken) = (&holders[0], &holders[2], &holders[4]);
    let held = reserve(&world, debit, credit, "held").await?;
    let id: Uuid = held.parse()?;
    let (_, client) = superuser(&world, "wallet").await?;
    client.batch_execute("SET wallet.fence = 'held'").await?;

    let account = i64::try_from(taken.account)?;
    client.execute("UPDATE accounts SET user_id = 'mallory' WHERE id = $1", &[&account]).await?;
    set_status(&world, taken, "freeze").await?;
    let other = i64::try_from(holders[6].account)?;
    client.execute("UPDATE reservations SET credit_account = $2 WHERE transfer_id = $1", &[&id, &other]).await?;
    end_two_steps(&world, debit, &held, "commit", "held").await?;
    let told = "SELECT key_hash FROM idempotency JOIN transfers ON id = transfer_id WHERE message = 'for lunch'";
    let key: Uuid = client.query_one(told, &[]).await?.get(0);
    client.execute("DELETE FROM idempotency WHERE key_hash = $1", &[&key]).await?;
    let again = json!({"debit_account_id": debit.account, "credit_account_id": credit.account, "amount": 5,
        "message": "for lunch", "reference": "invoice 7"});
    post(&world, debit, "/v1/transfers", "behind-told", &again, 201).await?;
    let executed: i64 =
        client.query_one("SELECT count(*) FROM transfers WHERE message = 'for lunch'", &[]).await?.get(0);
    ensure!(executed == 2, "executed {executed} times");

    let report = verified(&world).await?;
    let mut found: Vec<String> = report.shards[0].breaches.iter().map(place).collect();
    found.sort();
    let mut expected = [
        format!("accounts {account} changed"),
        format!("reservations {held} changed"),
        format!("idempotency {key} removed"),
    ];
    expected.sort();
    ensure!(found == expected, "{found:#?}, not {expected:#?}");
    Ok(())
}

/// What was done to which row, by whatever batch it was written.
fn place(breach: &Breach) -> String {
    match breach {
        Breach::RowChanged { table, id, .. } => format!("{table} {id} changed"),
        Breach::RowRemoved { table, id, .. } => format!("{table} {id} removed"),
        Breach::RowAdded { table, id } => format!("{table} {id} added"),
        other => other.to_string(),
    }
}

/// Each verification sees one moment of a shard, in which batches and rows agree.
#[tokio::test]
async fn chains_hold_at_every_moment_while_money_moves() -> Result<()> {
    let world = World::start(|spec| spec.replicas_per_shard = 2).await?;
    let holders = work(&world, "moving").await?;
    let is_over = Cell::new(false);
    let moving = async {
        for turn in 0..5 {
            rounds(&world, &holders, &format!("moving-{turn}")).await?;
            two_steps(&world, &holders[0], &holders[1], "commit", &format!("moving-two-{turn}")).await?;
            set_status(&world, &holders[6], if turn % 2 == 0 { "freeze" } else { "unfreeze" }).await?;
            set_status(&world, &holders[6], "unfreeze").await?;
        }
        is_over.set(true);
        Ok(())
    };
    let watching = async {
        let mut times = 0;
        while !is_over.get() {
            let report = verified(&world).await?;
            ensure!(report.holds, "{report:#?}");
            times += 1;
        }
        Ok(times)
    };
    let ((), times) = tokio::try_join!(moving, watching)?;
    ensure!(times > 2, "verified only {times} times");
    Ok(())
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
    let all = "SELECT number, (extract(epoch FROM decided_at) * 1000000)::bigint, transfers, inbox, keys, accounts, \
         accounts_replaced, reservations, reservations_replaced FROM batches WHERE writer = $1 ORDER BY number";
    let mut previous = chain::GENESIS;
    for row in client.query(all, &[&writer]).await? {
        let batch = chain::Batch {
            format: chain::FORMAT,
            writer,
            number: row.get(0),
            decided_at: row.get(1),
            transfers: row.get(2),
            inbox: row.get(3),
            keys: row.get(4),
            accounts: chain::Changes { written: row.get(5), replaced: row.get(6) },
            reservations: chain::Changes { written: row.get(7), replaced: row.get(8) },
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
    migrations::run_until(&mut client, 3).await?;
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
    let (old, held) = older_account(&world, &client).await?;
    world.cluster.restart(&"shard-node-1".parse()?).await?;
    work(&world, "after").await?;
    end_two_steps(&world, &old, &held.to_string(), "release", "older").await?;
    set_status(&world, &old, "freeze").await?;

    let report = verified(&world).await?;
    ensure!(report.holds, "{report:#?}");
    let found = &report.shards[0];
    let before = BTreeMap::from([(Table::Transfers, OLD), (Table::Keys, 1), (Table::Accounts, 1)]);
    ensure!(found.rows_before_by_table == before && found.rows_before == OLD + 2, "{found:#?}");
    ensure!(found.since.since.is_some() && found.rows > OLD, "{found:#?}");
    ensure!(found.since.whole_since.flatten() >= found.since.since, "{found:#?}");
    // What is outside of the chains may change; what comes after may not.
    let (_, admin) = superuser(&world, "wallet").await?;
    admin.batch_execute("SET wallet.fence = 'held'").await?;
    admin.execute("UPDATE transfers SET amount = amount + 1 WHERE amount = 7", &[]).await?;
    ensure!(verified(&world).await?.holds);
    let forged = "INSERT INTO transfers (id, amount, kind, state, currency, decided_at) \
         SELECT (left(id::text, 32) || 'ffff')::uuid, 1, 0, 4, 'SGD', now() FROM transfers ORDER BY id LIMIT 1 RETURNING id";
    let id: Uuid = admin.query_one(forged, &[]).await?.get(0);
    let report = verified(&world).await?;
    ensure!(report.shards[0].breaches == [Breach::RowAdded { table: Table::Transfers, id: id.into() }], "{report:#?}");
    let checks = report.checks();
    ensure!(checks.iter().map(|check| check.violations).collect::<Vec<_>>() == [0, 1, 0, 0], "{checks:#?}");
    admin.execute("DELETE FROM transfers WHERE id = $1", &[&id]).await?;
    what_is_older_is_proved_once_a_batch_has_seen_it(&world, &admin, &old).await
}

/// An account and a reservation with its key from before the chains, and whose they are.
async fn older_account(world: &World, client: &Client) -> Result<(Holder, TransferId)> {
    let session = Session { user_id: "older".to_owned(), scopes: vec!["wallet".to_owned()] };
    let mut sessions = Sessions::connect(&world.cluster.redis_url("sg")?).await?;
    sessions.add("older", &session, Duration::from_secs(3_600)).await?;
    let topology = world.cluster.topology()?;
    let region = topology.regions.iter().find(|region| region.name == "sg").context("there is sg")?.code;
    let account = AccountId::new(region, Locality::of_user("older"), 1);
    let (slot, held) = (account.slot(), reservation_of(account, 1));
    let insert = format!(
        "BEGIN; SELECT set_config('wallet.fence', 'held', true);
         INSERT INTO accounts VALUES ({account}, {slot}, 'older', 'current', 'SGD', 100, 9, 0, 0, now());
         INSERT INTO idempotency VALUES ({slot}, gen_random_uuid(), gen_random_uuid(), '{held}', NULL, NULL, now());
         INSERT INTO reservations (transfer_id, slot, state, debit_account, debit_user, credit_account, amount, currency,
            created_at, void_after, amount_reserved, expires_at)
         VALUES ('{held}', {slot}, 2, {account}, 'older', {account}, 9, 'SGD', now(), now(), 9, now() + interval '1 day');
         COMMIT"
    );
    client.batch_execute(&insert).await?;
    Ok((Holder { token: "older".to_owned(), region: "sg".to_owned(), account: account.get() }, held))
}

fn reservation_of(account: AccountId, number: u64) -> TransferId {
    let now = store::to_micros(jiff::Timestamp::now()).unix_ms();
    TransferId::new(now, account.region(), account.locality(), number)
}

async fn what_is_older_is_proved_once_a_batch_has_seen_it(world: &World, admin: &Client, old: &Holder) -> Result<()> {
    let account = i64::try_from(old.account)?;
    for (set, back) in [("status = 0", "status = 1"), ("user_id = 'mallory'", "user_id = 'older'")] {
        admin.execute(&format!("UPDATE accounts SET {set} WHERE id = $1"), &[&account]).await?;
        let found: Vec<String> = verified(world).await?.shards[0].breaches.iter().map(place).collect();
        ensure!(found == [format!("accounts {account} changed")], "{found:#?}");
        admin.execute(&format!("UPDATE accounts SET {back} WHERE id = $1"), &[&account]).await?;
    }
    ensure!(verified(world).await?.holds);
    // What is added later is no older reservation, even if it is gone again.
    set_status(world, old, "unfreeze").await?;
    let forged = reservation_of(AccountId::try_from(old.account)?, 2);
    let insert = "INSERT INTO reservations (transfer_id, slot, state, debit_account, debit_user, credit_account, amount, \
         currency, created_at, void_after, amount_reserved, expires_at) \
         SELECT $2, slot, 2, id, user_id, id, 1, 'SGD', now(), now(), 1, now() + interval '1 day' FROM accounts \
         WHERE id = $1";
    admin.execute(insert, &[&account, &forged.uuid()]).await?;
    admin.execute("UPDATE accounts SET reserved = 1 WHERE id = $1", &[&account]).await?;
    end_two_steps(world, old, &forged.to_string(), "release", "forged").await?;
    let found: Vec<String> = verified(world).await?.shards[0].breaches.iter().map(place).collect();
    ensure!(found == [format!("reservations {forged} added")], "{found:#?}");
    Ok(())
}

//! Chains written by hand: what real lanes come to only in a long time, by a wrong clock or by an upgrade.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use audit::{Breach, KeptChains, ShardChains, Table, verify_chains};
use chain::{
    AccountRow, Batch, BatchHash, Changes, FORMAT, GENESIS, KeyRow, Listed, ReservationRow, TransferRow, list,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::databases::{Databases, Pair, run};

type Test = fn(Arc<Databases>) -> Result<()>;

pub const ALL: &[(&str, Test)] = &[
    ("chains_of_several_writers_hold_whatever_the_clock_says", several_writers_hold),
    ("status_of_an_earlier_batch_of_another_writer_is_caught", earlier_status_is_caught),
    ("keys_may_be_forgotten_after_thirty_days_and_not_before", keys_may_be_forgotten),
    ("old_keys_that_are_there_are_compared", old_keys_are_compared),
    ("one_key_in_two_slots_is_two_keys", one_key_in_two_slots),
    ("reservation_is_removed_only_by_a_batch", reservation_is_removed_only_by_a_batch),
    ("reservation_from_before_the_chains_may_end_in_them", older_reservation_may_end),
    ("batch_of_the_first_format_holds_and_is_given_nothing", first_format),
    ("starts_that_were_kept_are_compared", kept_starts),
    ("start_without_end_is_caught", start_without_end),
];

/// What is listed of one table.
#[derive(Default)]
struct Lists {
    transfers: Vec<Listed>,
    keys: Vec<Listed>,
    accounts: [Vec<Listed>; 2],
    reservations: [Vec<Listed>; 2],
}

/// A writer's chain.
struct Writer<'a> {
    client: &'a Client,
    writer: i32,
    number: i64,
    previous: BatchHash,
}

impl<'a> Writer<'a> {
    fn new(client: &'a Client, writer: i32) -> Self {
        Writer { client, writer, number: 0, previous: GENESIS }
    }

    async fn write(&mut self, at: Timestamp, lists: Lists) -> Result<()> {
        self.write_as(FORMAT, at, lists).await
    }

    async fn write_as(&mut self, format: i16, at: Timestamp, lists: Lists) -> Result<()> {
        self.number += 1;
        let bytes = |rows: &Vec<Listed>| list(rows.iter().copied());
        let (transfers, keys) = (bytes(&lists.transfers), bytes(&lists.keys));
        let (accounts, reservations) = (lists.accounts.each_ref().map(bytes), lists.reservations.each_ref().map(bytes));
        let batch = Batch {
            format,
            writer: self.writer,
            number: self.number,
            decided_at: at.as_microsecond(),
            transfers: &transfers,
            inbox: &[],
            keys: &keys,
            accounts: Changes { written: &accounts[0], replaced: &accounts[1] },
            reservations: Changes { written: &reservations[0], replaced: &reservations[1] },
        };
        self.previous = batch.hash(&self.previous);
        let insert = "INSERT INTO batches (writer, number, decided_at, format, hash, transfers, inbox, keys, accounts, \
             accounts_replaced, reservations, reservations_replaced) VALUES ($1, $2, $3, $4, $5, $6, '', $7, $8, $9, $10, $11)";
        let [account, account_replaced] = &accounts;
        let [reservation, reservation_replaced] = &reservations;
        self.client
            .execute(
                insert,
                &[
                    &self.writer,
                    &self.number,
                    &at,
                    &format,
                    &self.previous.as_slice(),
                    &transfers,
                    &keys,
                    account,
                    account_replaced,
                    reservation,
                    reservation_replaced,
                ],
            )
            .await?;
        Ok(())
    }
}

/// A shard whose chains begin.
async fn begun(databases: &Databases) -> Result<Pair> {
    let pair = databases.pair().await?;
    let empty = "TRUNCATE accounts, transfers, inbox, idempotency, reservations, outbox, clearing, external, batches; \
         UPDATE chain_start SET since = NULL, whole_since = NULL";
    pair.shard(1).batch_execute(empty).await?;
    Ok(pair)
}

async fn verified(pair: &Pair, kept: &[KeptChains]) -> Result<ShardChains> {
    let report = verify_chains(&pair.targets[..1], kept, &|_| ()).await?;
    report.shards.into_iter().next().context("one shard was verified")
}

async fn holds(pair: &Pair) -> Result<()> {
    let found = verified(pair, &[]).await?;
    ensure!(found.violations == 0, "{found:#?}");
    Ok(())
}

async fn is_found(pair: &Pair, expected: &[String]) -> Result<()> {
    let found = verified(pair, &[]).await?;
    let mut words: Vec<String> = found.breaches.iter().map(Breach::to_string).collect();
    words.sort();
    let mut expected = expected.to_vec();
    expected.sort();
    ensure!(words == expected, "{words:#?}, not {expected:#?}");
    Ok(())
}

/// A time, seconds from now.
fn at(seconds: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_secs(seconds)
}

const DAY: i64 = 86_400;

const ACCOUNT: i64 = 140_737_488_420_864;

fn account(status: i16, created_at: Timestamp) -> Listed {
    let row = AccountRow {
        id: ACCOUNT,
        slot: 5,
        user_id: "anna",
        name: "current",
        currency: "SGD",
        status,
        created_at: created_at.as_microsecond(),
    };
    Listed { id: row.listed_id(), digest: row.digest() }
}

async fn insert_account(client: &Client, created_at: Timestamp) -> Result<()> {
    let insert = "INSERT INTO accounts VALUES ($1, 5, 'anna', 'current', 'SGD', 0, 0, 0, 0, $2)";
    client.execute(insert, &[&ACCOUNT, &created_at]).await?;
    Ok(())
}

async fn set_status(client: &Client, status: i16) -> Result<()> {
    client.execute("UPDATE accounts SET status = $1", &[&status]).await?;
    Ok(())
}

fn key(slot: i16, hash: u128, recorded_at: Timestamp) -> Listed {
    let row = KeyRow {
        slot,
        key_hash: hash,
        fingerprint: 8,
        transfer_id: None,
        account_id: None,
        rejection: Some(2),
        recorded_at: recorded_at.as_microsecond(),
    };
    Listed { id: hash, digest: row.digest() }
}

async fn insert_key(client: &Client, slot: i16, hash: u128, recorded_at: Timestamp) -> Result<()> {
    let insert = "INSERT INTO idempotency VALUES ($1, $2, $3, NULL, NULL, 2, $4)";
    let (hash, fingerprint) = (Uuid::from_u128(hash), Uuid::from_u128(8));
    client.execute(insert, &[&slot, &hash, &fingerprint, &recorded_at]).await?;
    Ok(())
}

const TRANSFER: Uuid = Uuid::from_u128(0x018f_0000_0000_8000_8000_0000_0000_0001);

fn reservation(is_held: bool, created_at: Timestamp, committed_at: Option<Timestamp>) -> Listed {
    let row = ReservationRow {
        transfer_id: TRANSFER.as_u128(),
        slot: 5,
        is_held,
        debit_account: ACCOUNT,
        debit_user: "anna",
        credit_account: ACCOUNT + 1,
        amount: 9,
        currency: "SGD",
        message: None,
        reference: None,
        created_at: created_at.as_microsecond(),
        amount_reserved: Some(9),
        expires_at: Some(created_at.as_microsecond()),
        committed_at: committed_at.map(Timestamp::as_microsecond),
    };
    Listed { id: row.transfer_id, digest: row.digest() }
}

async fn insert_reservation(client: &Client, created_at: Timestamp) -> Result<()> {
    let insert = "INSERT INTO reservations (transfer_id, slot, state, debit_account, debit_user, credit_account, amount, \
         currency, created_at, void_after, amount_reserved, expires_at) \
         VALUES ($1, 5, 2, $2::bigint, 'anna', $2::bigint + 1, 9, 'SGD', $3, $3, 9, $3)";
    client.execute(insert, &[&TRANSFER, &ACCOUNT, &created_at]).await?;
    Ok(())
}

fn transfer(created_at: Timestamp, decided_at: Timestamp) -> Listed {
    let row = TransferRow {
        id: TRANSFER.as_u128(),
        amount: 9,
        decided_at: decided_at.as_microsecond(),
        created_at: Some(created_at.as_microsecond()),
        kind: 0,
        state: 3,
        reason: Some(17),
        currency: "SGD",
        ..TransferRow::default()
    };
    Listed { id: row.id, digest: row.digest() }
}

async fn insert_transfer(client: &Client, created_at: Timestamp, decided_at: Timestamp) -> Result<()> {
    let insert = "INSERT INTO transfers (id, amount, decided_at, created_at, kind, state, reason, currency) \
         VALUES ($1, 9, $2, $3, 0, 3, 17, 'SGD')";
    client.execute(insert, &[&TRANSFER, &decided_at, &created_at]).await?;
    Ok(())
}

/// One lane makes an account and a reservation, others go on with them, while the clock is set back by hours.
async fn several_lanes<'a>(client: &'a Client) -> Result<[Writer<'a>; 3]> {
    let [mut first, mut second, mut third] = [0, 1, 100].map(|writer| Writer::new(client, writer));
    let (made, placed, committed) = (at(-10), at(-9), at(-3_700));
    insert_account(client, made).await?;
    insert_key(client, 5, 70, made).await?;
    first
        .write(
            made,
            Lists { accounts: [vec![account(0, made)], vec![]], keys: vec![key(5, 70, made)], ..Lists::default() },
        )
        .await?;
    first
        .write(placed, Lists { reservations: [vec![reservation(true, placed, None)], vec![]], ..Lists::default() })
        .await?;
    let frozen = Lists { accounts: [vec![account(1, made)], vec![account(0, made)]], ..Lists::default() };
    second.write(at(-7_200), frozen).await?;
    let unfrozen = Lists { accounts: [vec![account(0, made)], vec![account(1, made)]], ..Lists::default() };
    first.write(at(-7_300), unfrozen).await?;
    let crediting = reservation(false, placed, Some(committed));
    let commit = Lists { reservations: [vec![crediting], vec![reservation(true, placed, None)]], ..Lists::default() };
    third.write(committed, commit).await?;
    let ended = at(-5_000);
    insert_transfer(client, placed, ended).await?;
    second
        .write(
            ended,
            Lists {
                reservations: [vec![], vec![crediting]],
                transfers: vec![transfer(placed, ended)],
                accounts: [vec![account(1, made)], vec![account(0, made)]],
                ..Lists::default()
            },
        )
        .await?;
    set_status(client, 1).await?;
    Ok([first, second, third])
}

fn several_writers_hold(databases: Arc<Databases>) -> Result<()> {
    run(async {
        let pair = begun(&databases).await?;
        several_lanes(pair.shard(1)).await?;
        holds(&pair).await?;
        let found = verified(&pair, &[]).await?;
        ensure!((found.rows, found.batches, found.rows_before) == (3, 6, 0), "{found:#?}");
        Ok(())
    })
}

fn earlier_status_is_caught(databases: Arc<Databases>) -> Result<()> {
    run(async {
        let pair = begun(&databases).await?;
        several_lanes(pair.shard(1)).await?;
        set_status(pair.shard(1), 0).await?;
        is_found(&pair, &[format!("accounts {ACCOUNT} is not as batch 2 of writer 1 wrote it")]).await
    })
}

/// A batch with one key, which is there.
async fn remember(writer: &mut Writer<'_>, hash: u128, at: Timestamp) -> Result<()> {
    insert_key(writer.client, 5, hash, at).await?;
    writer.write(at, Lists { keys: vec![key(5, hash, at)], ..Lists::default() }).await
}

async fn forget(client: &Client, hash: u128) -> Result<()> {
    client.execute("DELETE FROM idempotency WHERE key_hash = $1", &[&Uuid::from_u128(hash)]).await?;
    Ok(())
}

fn keys_may_be_forgotten(databases: Arc<Databases>) -> Result<()> {
    run(async {
        let pair = begun(&databases).await?;
        let mut writer = Writer::new(pair.shard(1), 0);
        // The oldest stays, as the key of a transfer does that is still open.
        for (hash, days) in [(1, 400), (2, 40), (3, 31), (4, 29), (5, 0)] {
            remember(&mut writer, hash, at(-days * DAY)).await?;
        }
        holds(&pair).await?;
        for hash in [2, 3] {
            forget(pair.shard(1), hash).await?;
        }
        holds(&pair).await?;
        // One of them is used again, and so is listed twice.
        remember(&mut writer, 2, at(-60)).await?;
        holds(&pair).await?;
        forget(pair.shard(1), 4).await?;
        let removed = format!("idempotency {} is gone; batch 4 of writer 0 wrote it", Uuid::from_u128(4));
        is_found(&pair, std::slice::from_ref(&removed)).await?;
        // Whoever asks again with it has it executed again, which hides nothing.
        remember(&mut writer, 4, at(-30)).await?;
        is_found(&pair, &[removed]).await
    })
}

fn old_keys_are_compared(databases: Arc<Databases>) -> Result<()> {
    run(async {
        let pair = begun(&databases).await?;
        let mut writers = [0, 1].map(|writer| Writer::new(pair.shard(1), writer));
        let old = at(-33 * DAY);
        // Two lanes in the same microsecond.
        for (writer, hash) in writers.iter_mut().zip([1, 2]) {
            remember(writer, hash, old).await?;
        }
        remember(&mut writers[0], 3, at(-32 * DAY)).await?;
        holds(&pair).await?;
        let change = "UPDATE idempotency SET rejection = 3 WHERE key_hash = $1";
        pair.shard(1).execute(change, &[&Uuid::from_u128(2)]).await?;
        insert_key(pair.shard(1), 5, 9, old).await?;
        insert_key(pair.shard(1), 5, 10, at(-34 * DAY)).await?;
        let added = |hash| format!("idempotency {} was written by no batch", Uuid::from_u128(hash));
        let changed = format!("idempotency {} is not as batch 1 of writer 1 wrote it", Uuid::from_u128(2));
        is_found(&pair, &[changed, added(9), added(10)]).await
    })
}

fn one_key_in_two_slots(databases: Arc<Databases>) -> Result<()> {
    run(async {
        let pair = begun(&databases).await?;
        let (client, now) = (pair.shard(1), at(-60));
        for slot in [5, 6] {
            insert_key(client, slot, 1, now).await?;
        }
        let keys = vec![key(5, 1, now), key(6, 1, now)];
        Writer::new(client, 0).write(now, Lists { keys, ..Lists::default() }).await?;
        holds(&pair).await?;
        client.execute("DELETE FROM idempotency WHERE slot = 5", &[]).await?;
        is_found(&pair, &[format!("idempotency {} is gone; batch 1 of writer 0 wrote it", Uuid::from_u128(1))]).await
    })
}

fn reservation_is_removed_only_by_a_batch(databases: Arc<Databases>) -> Result<()> {
    run(async {
        let pair = begun(&databases).await?;
        let (client, placed, ended) = (pair.shard(1), at(-10), at(-9));
        let mut writer = Writer::new(client, 0);
        let there = reservation(true, placed, None);
        writer.write(placed, Lists { reservations: [vec![there], vec![]], ..Lists::default() }).await?;
        insert_reservation(client, placed).await?;
        holds(&pair).await?;
        client.execute("DELETE FROM reservations", &[]).await?;
        let removed = format!("reservations {TRANSFER} is gone; batch 1 of writer 0 wrote it");
        is_found(&pair, std::slice::from_ref(&removed)).await?;
        // Even if a transfer of that id has ended.
        insert_transfer(client, placed, ended).await?;
        writer.write(ended, Lists { transfers: vec![transfer(placed, ended)], ..Lists::default() }).await?;
        is_found(&pair, &[removed]).await?;
        writer.write(ended, Lists { reservations: [vec![], vec![there]], ..Lists::default() }).await?;
        holds(&pair).await?;
        insert_reservation(client, placed).await?;
        is_found(&pair, &[format!("reservations {TRANSFER} was written by no batch")]).await
    })
}

fn older_reservation_may_end(databases: Arc<Databases>) -> Result<()> {
    run(async {
        let pair = begun(&databases).await?;
        let (client, placed, ended) = (pair.shard(1), at(-100), at(-10));
        let mut writer = Writer::new(client, 0);
        insert_transfer(client, placed, ended).await?;
        let there = reservation(true, placed, None);
        let settle =
            Lists { transfers: vec![transfer(placed, ended)], reservations: [vec![], vec![there]], ..Lists::default() };
        writer.write(ended, settle).await?;
        let added = format!("reservations {TRANSFER} was written by no batch");
        let start = "UPDATE chain_start SET whole_since = $1";
        is_found(&pair, std::slice::from_ref(&added)).await?;
        client.execute(start, &[&(placed - SignedDuration::from_secs(1))]).await?;
        is_found(&pair, &[added]).await?;
        client.execute(start, &[&(placed + SignedDuration::from_secs(1))]).await?;
        holds(&pair).await
    })
}

fn first_format(databases: Arc<Databases>) -> Result<()> {
    run(async {
        let pair = begun(&databases).await?;
        let (client, before, now) = (pair.shard(1), at(-100), at(-10));
        let mut writer = Writer::new(client, 0);
        insert_transfer(client, before, before).await?;
        let transfers = vec![transfer(before, before)];
        writer.write_as(1, before, Lists { transfers, ..Lists::default() }).await?;
        remember(&mut writer, 1, now).await?;
        holds(&pair).await?;
        insert_key(client, 5, 2, before).await?;
        let forged = list([key(5, 2, before)].into_iter());
        client.execute("UPDATE batches SET keys = $1 WHERE number = 1", &[&forged]).await?;
        is_found(&pair, &["batch 1 of writer 0 is not as it was written".to_owned()]).await
    })
}

fn kept_starts(databases: Arc<Databases>) -> Result<()> {
    run(async {
        let pair = begun(&databases).await?;
        remember(&mut Writer::new(pair.shard(1), 0), 1, at(-60)).await?;
        let report = serde_json::to_value(verified(&pair, &[]).await?)?;
        ensure!(report["since"].is_null() && report.get("whole_since") == Some(&Value::Null), "{report:#}");
        let kept = |report: &Value| serde_json::from_value::<KeptChains>(report.clone());
        // Kept by a version that knew one start only.
        let mut older = report.clone();
        older.as_object_mut().context("a report is an object")?.remove("whole_since");
        let found = async |kept: KeptChains| anyhow::Ok(verified(&pair, &[kept]).await?.breaches);
        ensure!(found(kept(&report)?).await?.is_empty() && found(kept(&older)?).await?.is_empty());
        pair.shard(1).execute("UPDATE chain_start SET whole_since = $1", &[&at(0)]).await?;
        ensure!(found(kept(&report)?).await? == [Breach::StartMoved]);
        ensure!(found(kept(&older)?).await?.is_empty());
        let moved = serde_json::to_value(verified(&pair, &[]).await?)?;
        ensure!(found(kept(&moved)?).await?.is_empty());
        ensure!(
            moved["rows_before"] == 0 && moved["rows_before_by_table"] == json!({}),
            "it stands in a batch: {moved:#}"
        );
        insert_key(pair.shard(1), 5, 2, at(-120)).await?;
        let found = serde_json::to_value(verified(&pair, &[]).await?)?;
        ensure!(found["rows_before"] == 1 && found["rows_before_by_table"]["idempotency"] == 1, "{found:#}");
        Ok(())
    })
}

fn start_without_end(databases: Arc<Databases>) -> Result<()> {
    run(async {
        let pair = begun(&databases).await?;
        let first = at(-60);
        remember(&mut Writer::new(pair.shard(1), 0), 1, first).await?;
        let set = "UPDATE chain_start SET since = now() - interval '1 hour', whole_since = 'infinity'";
        pair.shard(1).batch_execute(set).await?;
        insert_account(pair.shard(1), at(-10)).await?;
        let found = verified(&pair, &[]).await?;
        let [Breach::StartLate { since, first: found_first }] = found.breaches[..] else { anyhow::bail!("{found:#?}") };
        ensure!(since == Timestamp::MAX && found_first.as_microsecond() == first.as_microsecond(), "{found:#?}");
        ensure!(found.rows_before_by_table.get(&Table::Accounts) == Some(&1), "{found:#?}");
        Ok(())
    })
}

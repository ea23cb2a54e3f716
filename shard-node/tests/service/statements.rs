//! Every statement of the service against the migrated schema, and against a million rows.

use local_cluster::{Cluster, ClusterSpec, Parts};
use placement::ShardId;
use serde_json::Value;
use shard_node::store::{self, STATEMENTS, partitions};
use std::time::Duration;
use tokio_postgres::Client;

/// Tables that stay small by nature, and are read whole where that is the question.
const SMALL: [&str; 5] = ["fence", "topology", "slot_owner", "clearing", "external"];
/// Statements whose question is the whole of a table: a count for the metrics.
const ASK_FOR_ALL: [&str; 1] = ["sums::OPEN_SAGAS"];

struct Database {
    // Holds the server; it ends with it.
    cluster: Cluster,
    client: Client,
}

async fn migrated() -> anyhow::Result<Database> {
    let mut database = empty().await?;
    migrations::run(&mut database.client).await?;
    partitions::ensure(&mut database.client, now_ms(), partitions::USUAL_MONTHS).await?;
    Ok(database)
}

async fn empty() -> anyhow::Result<Database> {
    server(|_| ()).await
}

async fn server(change: impl FnOnce(&mut ClusterSpec)) -> anyhow::Result<Database> {
    let mut spec = ClusterSpec::scratch();
    change(&mut spec);
    spec.regions = vec!["sg".to_owned()];
    spec.shards_per_region = 1;
    spec.parts = Parts::ServersOnly;
    let cluster = Cluster::start(spec, &mut |_| ()).await?;
    let config = cluster.shard_postgres_url(1)?.parse()?;
    let client = store::connect(&config).await?;
    Ok(Database { cluster, client })
}

fn now_ms() -> u64 {
    store::to_micros(jiff::Timestamp::now()).unix_ms()
}

#[tokio::test]
async fn every_statement_is_valid_and_finds_its_rows_by_index() -> anyhow::Result<()> {
    let database = migrated().await?;
    for (name, sql) in STATEMENTS {
        database.client.prepare(sql).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }
    fill(&database.client).await?;
    for (name, sql) in STATEMENTS {
        let found = complaints(&plan(&database.client, sql).await?);
        assert!(found.is_empty() || ASK_FOR_ALL.contains(name), "{name}: {found:?}");
    }
    let no_index = "SELECT count(*) FROM transfers WHERE amount = $1";
    let found = complaints(&plan(&database.client, no_index).await?);
    assert!(!found.is_empty(), "a statement without an index must be noticed");
    Ok(())
}

#[tokio::test]
async fn server_that_may_lose_or_damage_what_it_committed_is_found_out() -> anyhow::Result<()> {
    let right = empty().await?;
    let off = store::durability::off(&right.client).await?;
    assert!(off.is_empty(), "the project's own servers: {off:?}");
    let settings = ["full_page_writes", "fsync"].map(|setting| (setting.to_owned(), "off".to_owned()));
    let wrong = server(|spec| spec.postgres_settings.extend(settings)).await?;
    assert_eq!(store::durability::off(&wrong.client).await?, ["fsync", "full_page_writes"]);
    Ok(())
}

#[tokio::test]
async fn partitions_are_made_once_and_reach_three_months_ahead() -> anyhow::Result<()> {
    let mut database = migrated().await?;
    partitions::ensure(&mut database.client, now_ms(), partitions::USUAL_MONTHS).await?;
    let count = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'transfers'::regclass";
    let made: i64 = database.client.query_one(count, &[]).await?.get(0);
    assert_eq!(made, 5);
    Ok(())
}

#[tokio::test]
async fn a_write_without_the_fence_fails() -> anyhow::Result<()> {
    let database = migrated().await?;
    for statement in [
        "INSERT INTO accounts VALUES (140737488355329, 0, 'x', 'x', 'SGD', 0, 0, 0, 0, now())",
        "UPDATE accounts SET balance = 0",
        "DELETE FROM transfers",
        "DELETE FROM inbox",
        "UPDATE reservations SET state = 1",
        "DELETE FROM idempotency",
        "UPDATE clearing SET total = 0",
        "UPDATE external SET total = 0",
        "DELETE FROM batches",
        "UPDATE chain_start SET since = now()",
        "TRUNCATE accounts",
    ] {
        without_the_fence(&database.client, statement).await?;
    }
    Ok(())
}

async fn without_the_fence(client: &Client, statement: &str) -> anyhow::Result<()> {
    let Err(error) = client.batch_execute(statement).await else { anyhow::bail!("not refused: {statement}") };
    assert_eq!(error.code().map(tokio_postgres::error::SqlState::code), Some("WF001"), "{statement}");
    Ok(())
}

/// A statement's trigger is that of the table that it names.
async fn no_partition_is_open(client: &Client) -> anyhow::Result<usize> {
    let all = "SELECT inhrelid::regclass::text FROM pg_inherits \
         WHERE inhparent IN ('transfers'::regclass, 'inbox'::regclass)";
    let partitions = client.query(all, &[]).await?;
    for row in &partitions {
        let name: &str = row.get(0);
        without_the_fence(client, &format!("INSERT INTO {name} SELECT * FROM {name}")).await?;
        let slot = if name.starts_with("transfers") { "debit_slot" } else { "slot" };
        without_the_fence(client, &format!("UPDATE {name} SET {slot} = 0")).await?;
        without_the_fence(client, &format!("DELETE FROM {name}")).await?;
        without_the_fence(client, &format!("TRUNCATE {name}")).await?;
    }
    Ok(partitions.len())
}

#[tokio::test]
async fn a_write_to_a_partition_without_the_fence_fails() -> anyhow::Result<()> {
    let database = migrated().await?;
    assert_eq!(no_partition_is_open(&database.client).await?, 10);
    Ok(())
}

#[tokio::test]
async fn partitions_from_before_get_their_fence_by_the_upgrade() -> anyhow::Result<()> {
    let mut database = empty().await?;
    migrations::run_until(&mut database.client, 6).await?;
    let older = "CREATE TABLE transfers_older PARTITION OF transfers DEFAULT; \
         CREATE TABLE inbox_older PARTITION OF inbox DEFAULT";
    database.client.batch_execute(older).await?;
    database.client.batch_execute("DELETE FROM transfers_older").await?;
    migrations::run(&mut database.client).await?;
    assert_eq!(no_partition_is_open(&database.client).await?, 2);
    Ok(())
}

#[tokio::test]
async fn every_column_is_in_the_chain_or_left_out_for_a_reason() -> anyhow::Result<()> {
    let database = migrated().await?;
    let columns = "SELECT column_name::text FROM information_schema.columns WHERE table_name = $1 ORDER BY 1";
    let nothing: &[(&str, &str)] = &[];
    let tables = [
        ("transfers", &chain::TRANSFER_COLUMNS[..], nothing),
        ("inbox", &chain::INBOX_COLUMNS, nothing),
        ("idempotency", &chain::KEY_COLUMNS, nothing),
        ("accounts", &chain::ACCOUNT_COLUMNS, &chain::ACCOUNT_COLUMNS_LEFT_OUT),
        ("reservations", &chain::RESERVATION_COLUMNS, &chain::RESERVATION_COLUMNS_LEFT_OUT),
    ];
    for (table, chained, left_out) in tables {
        let found = database.client.query(columns, &[&table]).await?;
        let found: Vec<String> = found.iter().map(|row| row.get(0)).collect();
        assert!(left_out.iter().all(|(_, reason)| !reason.is_empty()), "{table}");
        let mut known: Vec<&str> = chained.iter().copied().chain(left_out.iter().map(|(column, _)| *column)).collect();
        known.sort_unstable();
        assert_eq!(found, known, "{table}");
    }
    Ok(())
}

/// A million transfers, as many keys, a hundred thousand accounts.
async fn fill(client: &Client) -> anyhow::Result<()> {
    let month = placement::TransferId::lower_bound(now_ms());
    let prefix = &month.to_string()[..13];
    client
        .batch_execute(&format!(
            "BEGIN; SELECT set_config('wallet.fence', 'held', true);
             INSERT INTO accounts SELECT (1::bigint << 47) + n, n % 4096, 'user-' || n, 'current', 'SGD', 0, 0, 0, 0, now()
             FROM generate_series(1, 100000) AS n;
             INSERT INTO transfers (id, debit_account, credit_account, amount, debit_entry, debit_balance, credit_entry,
             credit_balance, decided_at, debit_slot, credit_slot, kind, state, currency)
             SELECT ('{prefix}-8000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, (1::bigint << 47) + 1 + n % 100000,
             (1::bigint << 47) + 1 + (n + 7) % 100000, 1, n / 100000 + 1, 0, n / 100000 + 1, 0, now(), 0, 0, 0, 2, 'SGD'
             FROM generate_series(1, 1000000) AS n;
             INSERT INTO idempotency SELECT n % 4096, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), NULL, NULL,
             now() - n * interval '1 second' FROM generate_series(1, 1000000) AS n;
             INSERT INTO inbox SELECT ('{prefix}-8000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 0, 2, 2, NULL, NULL, now()
             FROM generate_series(1, 200000) AS n;
             INSERT INTO reservations SELECT ('{prefix}-8000-9000-' || lpad(to_hex(n), 12, '0'))::uuid, 0, 0,
             (1::bigint << 47) + n % 1000, 'x', 1, 1, 'SGD', NULL, NULL, now(), now() FROM generate_series(1, 100000) AS n;
             INSERT INTO batches (writer, number, decided_at, format, hash, transfers, inbox)
             SELECT n % 4, n / 4 + 1, now(), 1, '', '', '' FROM generate_series(0, 99999) AS n;
             INSERT INTO outbox SELECT transfer_id, 0, now() + interval '1 hour', 0, NULL, gen_random_uuid(), 1 FROM reservations;
             COMMIT; ANALYZE"
        ))
        .await?;
    Ok(())
}

/// The plan that PostgreSQL keeps for a statement used again and again. Pruning is off, so that every partition is
/// looked at.
async fn plan(client: &Client, sql: &str) -> anyhow::Result<Value> {
    let parameters = client.prepare(sql).await?.params().len();
    let nulls = vec!["NULL"; parameters].join(", ");
    let arguments = if parameters == 0 { String::new() } else { format!("({nulls})") };
    client
        .batch_execute(&format!(
            "SET plan_cache_mode = force_generic_plan; SET enable_partition_pruning = off; PREPARE looked_at AS {sql}"
        ))
        .await?;
    let explained = client.simple_query(&format!("EXPLAIN (FORMAT JSON) EXECUTE looked_at{arguments}")).await?;
    let text = explained.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    let plan = serde_json::from_str(text.unwrap_or_default())?;
    client.batch_execute("DEALLOCATE looked_at").await?;
    Ok(plan)
}

/// Scans of large tables that look at more than what they were asked for.
fn complaints(plan: &Value) -> Vec<String> {
    let mut found = Vec::new();
    match plan {
        Value::Array(parts) => parts.iter().for_each(|part| found.extend(complaints(part))),
        Value::Object(node) => {
            found.extend(complaint(node));
            node.values().for_each(|part| found.extend(complaints(part)));
        }
        _ => {}
    }
    found
}

fn complaint(node: &serde_json::Map<String, Value>) -> Option<String> {
    let kind = node.get("Node Type")?.as_str()?;
    let table = node.get("Relation Name").or(node.get("Index Name"))?.as_str()?;
    let is_small = SMALL.iter().any(|small| table.starts_with(small));
    let reads_all = match kind {
        "Seq Scan" => true,
        "Index Scan" | "Index Only Scan" | "Bitmap Index Scan" => !node.contains_key("Index Cond"),
        _ => false,
    };
    (reads_all && !is_small).then(|| format!("reads all of {table} ({kind})"))
}

#[tokio::test]
async fn a_key_is_forgotten_only_once_its_transfer_has_long_been_decided() -> anyhow::Result<()> {
    let database = migrated().await?;
    let id = |last: u32| {
        let month = placement::TransferId::lower_bound(now_ms()).to_string();
        format!("{}-8000-8000-{last:012}", &month[..13])
    };
    let (open, fresh, decided) = (id(1), id(2), id(3));
    database
        .client
        .batch_execute(&format!(
            "BEGIN; SELECT set_config('wallet.fence', 'held', true);
             INSERT INTO reservations VALUES ('{open}', 0, 0, 1, 'x', 2, 1, 'SGD', NULL, NULL, now(), now());
             INSERT INTO transfers (id, amount, decided_at, kind, state, currency) VALUES
             ('{fresh}', 1, now(), 0, 2, 'SGD'), ('{decided}', 1, now() - interval '50 days', 0, 2, 'SGD');
             INSERT INTO idempotency VALUES
             (1, gen_random_uuid(), gen_random_uuid(), '{open}', NULL, NULL, now() - interval '60 days'),
             (2, gen_random_uuid(), gen_random_uuid(), '{fresh}', NULL, NULL, now() - interval '60 days'),
             (3, gen_random_uuid(), gen_random_uuid(), '{decided}', NULL, NULL, now() - interval '60 days'),
             (4, gen_random_uuid(), gen_random_uuid(), NULL, NULL, 2, now() - interval '60 days'),
             (5, gen_random_uuid(), gen_random_uuid(), NULL, NULL, 2, now());
             COMMIT"
        ))
        .await?;
    let connect = database.cluster.shard_postgres_url(1)?.parse()?;
    let pool = store::pool(&shard_node::config::PostgresConfig { connect, pool_size: 1 })?;
    let retention = Duration::from_secs(35 * 86_400);
    let (pruned, more) = store::maintenance::prune_keys(&mut pool.get().await?, retention).await?;
    assert_eq!((pruned, more), (2, false));
    let left = database.client.query("SELECT slot FROM idempotency ORDER BY slot", &[]).await?;
    assert_eq!(left.iter().map(|row| row.get(0)).collect::<Vec<i16>>(), [1, 2, 5]);
    Ok(())
}

#[tokio::test]
async fn message_that_a_wrong_clock_has_put_off_is_due() -> anyhow::Result<()> {
    let database = migrated().await?;
    let month = placement::TransferId::lower_bound(now_ms()).to_string();
    let id = |last: u32| format!("{}-8041-8000-{last:012}", &month[..13]);
    // Due a second ago; after a usual pause; an hour from now, as a server said whose clock was an hour ahead.
    for (number, seconds) in [(1, -1), (2, 8), (3, 3_600)] {
        let id = id(number);
        let inserted = format!(
            "BEGIN; SELECT set_config('wallet.fence', 'held', true);
             INSERT INTO reservations VALUES
             ('{id}', 0, 1, 140737488420864, 'x', 281474976841728, 1, 'SGD', NULL, NULL, now(), now() + interval '1 day');
             INSERT INTO outbox (transfer_id, slot, next_attempt_at, trace_id, parent_id)
             VALUES ('{id}', 0, now() + interval '{seconds} s', gen_random_uuid(), 1);
             COMMIT"
        );
        database.client.batch_execute(&inserted).await?;
    }
    let connect = database.cluster.shard_postgres_url(1)?.parse()?;
    let pool = store::pool(&shard_node::config::PostgresConfig { connect, pool_size: 1 })?;
    let config = shard_node::config::SagaConfig {
        lease: Duration::from_secs(3),
        retry_min: Duration::from_millis(200),
        retry_max: Duration::from_secs(10),
        void_after: Duration::from_secs(3_600),
    };
    let due = store::outbox::claim(&mut pool.get().await?, 10, ShardId::try_from(1)?, &config).await?;
    let mut claimed: Vec<String> = due.iter().map(|due| due.reservation.credit.transfer_id.to_string()).collect();
    claimed.sort();
    assert_eq!(claimed, [id(1), id(3)]);
    Ok(())
}

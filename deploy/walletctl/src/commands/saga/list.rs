//! `walletctl saga list`

use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use placement::{AccountId, ShardId};
use serde::Serialize;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::GlobalOptions;
use crate::duration;
use crate::outcome::Outcome;
use crate::output::{print, print_json, table};
use crate::shards::{Shards, ShardsOption, end_with};

/// What a client holds (state 2) is no saga yet.
const OPEN: &str = "SELECT open.transfer_id, extract(epoch FROM now() - coalesce(committed_at, created_at))::float8, state, debit_account, \
     credit_account, amount, currency, attempts, last_error, next_attempt_at, void_after \
     FROM reservations AS open LEFT JOIN outbox USING (transfer_id) \
     WHERE state <> 2 AND coalesce(committed_at, created_at) <= now() - interval '1 second' * $1 \
     ORDER BY coalesce(committed_at, created_at), open.transfer_id LIMIT $2";

/// Show open transfers between shards, the oldest first; exit status 1 if a shard cannot be read
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Only those older than this, such as 30s, 5m, 1h
    #[arg(long, value_name = "AGE", value_parser = duration::parse)]
    older_than: Option<Duration>,

    /// At most this many of each shard
    #[arg(long, value_name = "N", default_value = "100")]
    limit: u32,

    #[command(flatten)]
    shards: ShardsOption,
}

/// An open transfer, as its debit account's shard has it.
#[derive(Debug, Serialize)]
struct Saga {
    transfer_id: Uuid,
    age_seconds: f64,
    state: &'static str,
    shard: ShardId,
    /// The shard that decides, as far as it is known.
    peer: Option<ShardId>,
    debit_account_id: i64,
    credit_account_id: i64,
    amount: i64,
    currency: String,
    /// Beside the first one, which is made at once; `None` if there is no message.
    attempts: Option<i32>,
    next_attempt_at: Option<Timestamp>,
    void_after: Timestamp,
    last_error: Option<String>,
}

impl List {
    pub(crate) async fn run(self, options: &GlobalOptions) -> Result<Outcome> {
        let shards = self.shards.connect(options).await?;
        let age_seconds = self.older_than.unwrap_or_default().as_secs_f64();
        let limit = i64::from(self.limit);
        let open = shards.each(async |shard, client| open(&shards, shard, client, age_seconds, limit).await).await;
        let mut sagas: Vec<Saga> = open.given.into_iter().flatten().collect();
        sagas.sort_by(|one, other| other.age_seconds.total_cmp(&one.age_seconds));
        if options.json {
            print_json(&sagas)?;
        } else {
            print(&text(&sagas, open.unread.is_empty()))?;
        }
        end_with(&open.unread, options)
    }
}

async fn open(shards: &Shards, shard: ShardId, client: &Client, age_seconds: f64, limit: i64) -> Result<Vec<Saga>> {
    let rows = client.query(OPEN, &[&age_seconds, &limit]).await?;
    Ok(rows.iter().map(|row| saga(shards, shard, row)).collect())
}

fn saga(shards: &Shards, shard: ShardId, row: &Row) -> Saga {
    let credit_account_id: i64 = row.get(4);
    let home = AccountId::try_from(credit_account_id).ok().and_then(|id| shards.home(id).ok());
    Saga {
        transfer_id: row.get(0),
        age_seconds: row.get(1),
        state: match row.get::<_, i16>(2) {
            0 => "crediting",
            1 => "voiding",
            _ => "unknown",
        },
        shard,
        peer: home.and_then(|home| home.shard),
        debit_account_id: row.get(3),
        credit_account_id,
        amount: row.get(5),
        currency: row.get(6),
        attempts: row.get(7),
        last_error: row.get(8),
        next_attempt_at: row.get(9),
        void_after: row.get(10),
    }
}

fn text(sagas: &[Saga], all_were_read: bool) -> String {
    if sagas.is_empty() {
        let where_read = if all_were_read { "" } else { " on those that could be read" };
        return format!("no open transfers between shards{where_read}");
    }
    let header = ["TRANSFER", "AGE", "STATE", "SHARD", "PEER", "AMOUNT", "ATTEMPTS", "LAST ERROR"];
    let dash = || "-".to_owned();
    let rows = sagas.iter().map(|saga| {
        vec![
            saga.transfer_id.to_string(),
            format!("{:.1} s", saga.age_seconds),
            saga.state.to_owned(),
            saga.shard.to_string(),
            saga.peer.map_or_else(dash, |peer| peer.to_string()),
            format!("{} {}", saga.amount, saga.currency),
            saga.attempts.map_or_else(dash, |attempts| attempts.to_string()),
            saga.last_error.clone().unwrap_or_default(),
        ]
    });
    table(&header, rows)
}

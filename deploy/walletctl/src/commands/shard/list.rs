//! `walletctl shard list`

use anyhow::Result;
use futures_util::future::join_all;
use placement::topology::ShardState;
use placement::{ShardId, Topology};
use serde::Serialize;

use super::activity::{Activity, watch};
use super::stored::{Stored, read};
use crate::GlobalOptions;
use crate::outcome::Outcome;
use crate::output::{mebibytes, print, print_json, table};
use crate::shards::ShardsOption;

/// Show each shard: what it holds, and for a second what it does; exit status 1 if one cannot be read
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    #[command(flatten)]
    shards: ShardsOption,
}

/// A shard. What it holds is `None` if its database, and what it does if its nodes cannot be asked.
#[derive(Debug, Serialize)]
struct Row {
    shard: ShardId,
    region: Option<String>,
    state: Option<ShardState>,
    weight: Option<u32>,
    stored: Option<Stored>,
    activity: Option<Activity>,
    error: Option<String>,
}

impl List {
    pub(crate) async fn run(self, options: &GlobalOptions) -> Result<Outcome> {
        let located = self.shards.locate(options)?;
        let asked = located.iter().map(async |at| tokio::join!(read(at), watch(&at.admin)));
        let answers = join_all(asked).await;
        let surveys = answers.iter().filter_map(|(stored, _)| stored.as_ref().ok().map(|(_, surveyed)| surveyed));
        let topology = surveys.map(|surveyed| surveyed.topology.clone()).max_by_key(|topology| topology.version);
        let rows = located.iter().zip(answers);
        let rows: Vec<Row> =
            rows.map(|(at, (stored, activity))| row(at.target.shard, topology.as_ref(), stored, activity)).collect();
        if options.json {
            print_json(&rows)?;
        } else {
            print(&text(&rows))?;
        }
        let is_complete = rows.iter().all(|row| row.error.is_none());
        Ok(if is_complete { Outcome::Fine } else { Outcome::NotWell })
    }
}

fn row<T>(shard: ShardId, topology: Option<&Topology>, stored: Result<(Stored, T)>, activity: Option<Activity>) -> Row {
    let entry = topology.and_then(|topology| topology.shard(shard));
    let (stored, error) = match stored {
        Ok((stored, _)) => (Some(stored), None),
        Err(error) => (None, Some(format!("{error:#}"))),
    };
    Row {
        shard,
        region: entry.map(|entry| entry.region.clone()),
        state: entry.map(|entry| entry.state),
        weight: entry.map(|entry| entry.weight),
        stored,
        activity,
        error,
    }
}

fn text(rows: &[Row]) -> String {
    let header = [
        "SHARD",
        "REGION",
        "STATE",
        "WEIGHT",
        "SLOTS",
        "ACCOUNTS",
        "SIZE",
        "TRANSFERS/S",
        "LANE BUSY",
        "BATCH P50",
        "BATCH P99",
        "OPEN SAGAS",
        "OLDEST",
    ];
    let errors =
        rows.iter().filter_map(|row| row.error.as_ref().map(|error| format!("\nshard {}: {error}", row.shard)));
    format!("{}{}", table(&header, rows.iter().map(cells)), errors.collect::<String>())
}

fn cells(row: &Row) -> Vec<String> {
    let dash = || "-".to_owned();
    let stored = |show: fn(&Stored) -> String| row.stored.as_ref().map_or_else(dash, show);
    let activity = |show: fn(&Activity) -> Option<String>| row.activity.as_ref().and_then(show).unwrap_or_else(dash);
    vec![
        row.shard.to_string(),
        row.region.clone().unwrap_or_else(dash),
        row.state.map_or_else(dash, |state| word(state).to_owned()),
        row.weight.map_or_else(dash, |weight| weight.to_string()),
        stored(|stored| stored.slots.to_string()),
        stored(|stored| stored.accounts.to_string()),
        stored(|stored| mebibytes(stored.bytes.unsigned_abs())),
        activity(|activity| Some(format!("{:.1}", activity.transfers_per_second))),
        activity(|activity| Some(format!("{:.0} %", activity.lane_busy * 100.0))),
        activity(|activity| activity.batch_p50_seconds.map(milliseconds)),
        activity(|activity| activity.batch_p99_seconds.map(milliseconds)),
        stored(|stored| stored.open_sagas.to_string()),
        stored(|stored| stored.oldest_saga_seconds.map_or("-".to_owned(), |age| format!("{age:.1} s"))),
    ]
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.1} ms", seconds * 1000.0)
}

fn word(state: ShardState) -> &'static str {
    match state {
        ShardState::Active => "active",
        ShardState::Draining => "draining",
        ShardState::Retired => "retired",
    }
}

//! `walletctl transfer trace`

use anyhow::Result;
use placement::{Epoch, ShardId, TransferId};
use serde::Serialize;

use super::events::{Event, events};
use crate::GlobalOptions;
use crate::outcome::Outcome;
use crate::output::{print, print_json, table};
use crate::shards::{Shards, ShardsOption, end_with};

/// Show the whole story of one transfer, on every shard that has a part in it; exit status 1 if none has, or one cannot be
/// read
#[derive(Debug, clap::Args)]
pub(crate) struct Trace {
    /// The transfer's id
    #[arg(value_name = "ID")]
    transfer: TransferId,

    #[command(flatten)]
    shards: ShardsOption,
}

/// An event, and where it is recorded.
#[derive(Debug, Serialize)]
struct Line {
    shard: ShardId,
    /// The epoch at which the shard has the slot now.
    epoch: Option<Epoch>,
    #[serde(flatten)]
    event: Event,
}

impl Trace {
    pub(crate) async fn run(self, options: &GlobalOptions) -> Result<Outcome> {
        let shards = self.shards.connect(options).await?;
        let found = shards.each(async |shard, client| Ok((shard, events(client, self.transfer).await?))).await;
        let lines =
            found.given.into_iter().flat_map(|(shard, events)| events.into_iter().map(move |event| (shard, event)));
        let mut lines: Vec<Line> = lines.map(|(shard, event)| line(&shards, shard, event)).collect();
        // Stable: what one transaction did stays in its order.
        lines.sort_by_key(|line| line.event.time);
        if options.json {
            print_json(&lines)?;
        } else if lines.is_empty() {
            let which = if found.unread.is_empty() { "no shard" } else { "no shard that can be read" };
            print(&format!("{which} knows transfer {}", self.transfer))?;
        } else {
            print(&text(&lines))?;
        }
        let outcome = end_with(&found.unread, options)?;
        Ok(if lines.is_empty() { Outcome::NotWell } else { outcome })
    }
}

fn line(shards: &Shards, shard: ShardId, event: Event) -> Line {
    let own = shards.survey.shards.iter().find(|own| own.shard == shard);
    let claim = own.and_then(|own| own.claims.iter().find(|claim| Some(claim.slot.get()) == event.slot));
    Line { shard, epoch: claim.map(|claim| claim.epoch), event }
}

fn text(lines: &[Line]) -> String {
    let dash = || "-".to_owned();
    let rows = lines.iter().map(|line| {
        vec![
            format!("{:.6}", line.event.time),
            line.shard.to_string(),
            line.event.slot.map_or_else(dash, |slot| slot.to_string()),
            line.epoch.map_or_else(dash, |epoch| epoch.to_string()),
            line.event.what.to_owned(),
            line.event.details.clone(),
        ]
    });
    table(&["TIME", "SHARD", "SLOT", "EPOCH", "EVENT", "DETAILS"], rows)
}

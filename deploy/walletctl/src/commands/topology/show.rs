//! `walletctl topology show`

use anyhow::Result;
use audit::Survey;
use placement::{ShardId, SlotState, Topology};
use serde::Serialize;

use crate::GlobalOptions;
use crate::outcome::Outcome;
use crate::output::{print, print_json, table};
use crate::shards::{Shards, ShardsOption, end_with};

/// Show the newest topology, and the slots that each shard says it has; exit status 1 if one cannot be read
#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    #[command(flatten)]
    shards: ShardsOption,
}

#[derive(Debug, Serialize)]
struct Shown<'a> {
    topology: &'a Topology,
    shards: Vec<Slots>,
}

/// What a shard says of itself.
#[derive(Debug, Serialize)]
struct Slots {
    shard: ShardId,
    /// The newest topology that it knows.
    topology_version: u64,
    active: usize,
    frozen: usize,
    importing: usize,
    moved: usize,
}

impl Show {
    pub(crate) async fn run(self, options: &GlobalOptions) -> Result<Outcome> {
        let Shards { survey, unread, .. } = self.shards.connect(options).await?;
        let shown = Shown { topology: &survey.topology, shards: slots(&survey) };
        if options.json {
            print_json(&shown)?;
        } else {
            print(&text(&shown))?;
        }
        end_with(&unread, options)
    }
}

fn slots(survey: &Survey) -> Vec<Slots> {
    let of_shard = survey.shards.iter().map(|shard| {
        let count = |state| shard.claims.iter().filter(|claim| claim.state == state).count();
        Slots {
            shard: shard.shard,
            topology_version: shard.topology.version,
            active: count(SlotState::Active),
            frozen: count(SlotState::Frozen),
            importing: count(SlotState::Importing),
            moved: count(SlotState::Moved),
        }
    });
    of_shard.collect()
}

fn text(shown: &Shown<'_>) -> String {
    let Topology { version, currencies, regions, shards } = shown.topology;
    let currencies = currencies.iter().map(|currency| {
        vec![currency.code.clone(), currency.exponent.to_string(), currency.transfer_amount_max.to_string()]
    });
    let regions = regions.iter().map(|region| vec![region.name.clone(), region.code.to_string()]);
    let rows = shards.iter().map(|shard| {
        let own = shown.shards.iter().find(|own| own.shard == shard.id);
        let say = |number: fn(&Slots) -> String| own.map_or("-".to_owned(), number);
        vec![
            shard.id.to_string(),
            shard.region.clone(),
            shard.weight.to_string(),
            format!("{:?}", shard.state).to_lowercase(),
            say(|own| own.active.to_string()),
            say(|own| own.frozen.to_string()),
            say(|own| own.importing.to_string()),
            say(|own| own.moved.to_string()),
            say(|own| own.topology_version.to_string()),
            shard.addresses.join(" "),
        ]
    });
    let header =
        ["SHARD", "REGION", "WEIGHT", "STATE", "ACTIVE", "FROZEN", "IMPORTING", "MOVED", "KNOWS VERSION", "ADDRESSES"];
    format!(
        "version {version}\n\n{}\n\n{}\n\n{}",
        table(&["CURRENCY", "EXPONENT", "TRANSFER MAX"], currencies),
        table(&["REGION", "CODE"], regions),
        table(&header, rows)
    )
}

//! `walletctl account locate`

use anyhow::Result;
use placement::AccountId;
use serde::Serialize;

use crate::GlobalOptions;
use crate::outcome::Outcome;
use crate::output::{print, print_json, table};
use crate::shards::{Home, ShardsOption, end_with};

/// Show where an account lives, or would live; exit status 1 if no shard owns its slot, or one cannot be read
#[derive(Debug, clap::Args)]
pub(crate) struct Locate {
    /// The account's id
    #[arg(value_name = "ID")]
    account: AccountId,

    #[command(flatten)]
    shards: ShardsOption,
}

#[derive(Debug, Serialize)]
struct Located {
    account_id: AccountId,
    #[serde(flatten)]
    home: Home,
}

impl Locate {
    pub(crate) async fn run(self, options: &GlobalOptions) -> Result<Outcome> {
        let shards = self.shards.connect(options).await?;
        let home = shards.home(self.account)?;
        let is_owned = home.shard.is_some();
        if options.json {
            print_json(&Located { account_id: self.account, home })?;
        } else {
            let nobody = if shards.unread.is_empty() { "none" } else { "unknown" };
            let row = std::iter::once(self.account.to_string()).chain(cells(&home, nobody)).collect();
            print(&table(&["ACCOUNT", "REGION", "SLOT", "SHARD", "EPOCH"], [row]))?;
        }
        let outcome = end_with(&shards.unread, options)?;
        Ok(if is_owned { outcome } else { Outcome::NotWell })
    }
}

/// Region, slot, shard (`nobody` if it has none) and epoch.
pub(super) fn cells(home: &Home, nobody: &str) -> [String; 4] {
    let shard = home.shard.map_or(nobody.to_owned(), |shard| shard.to_string());
    let epoch = home.epoch.map_or("-".to_owned(), |epoch| epoch.to_string());
    [home.region.clone(), home.slot.to_string(), shard, epoch]
}

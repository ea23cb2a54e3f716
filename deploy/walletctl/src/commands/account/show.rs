//! `walletctl account show`

use anyhow::{Context, Result};
use jiff::Timestamp;
use placement::AccountId;
use serde::Serialize;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::locate::cells;
use crate::GlobalOptions;
use crate::outcome::Outcome;
use crate::output::{print, print_json, table};
use crate::shards::{Home, ShardsOption, Unread, end_with, lines};

const ACCOUNT: &str = "SELECT user_id, name, currency, balance, reserved, entry_count, status, created_at \
     FROM accounts WHERE id = $1";
const ENTRIES: &str = "SELECT entry, decided_at, change, balance, other, id FROM ( \
         (SELECT debit_entry AS entry, decided_at, -amount AS change, debit_balance AS balance, credit_account AS other, id \
             FROM transfers WHERE debit_account = $1 AND debit_entry IS NOT NULL ORDER BY debit_entry DESC LIMIT $2) \
         UNION ALL (SELECT credit_entry, decided_at, amount, credit_balance, debit_account, id \
             FROM transfers WHERE credit_account = $1 AND credit_entry IS NOT NULL ORDER BY credit_entry DESC LIMIT $2) \
     ) AS side ORDER BY entry DESC LIMIT $2";

/// Show an account, where it lives, and its last entries; exit status 1 if a shard, even another one, cannot be read
#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// The account's id
    #[arg(value_name = "ID")]
    account: AccountId,

    /// How many entries to show
    #[arg(long, value_name = "N", default_value = "10")]
    entries: u32,

    #[command(flatten)]
    shards: ShardsOption,
}

#[derive(Debug, Serialize)]
struct Shown {
    account_id: AccountId,
    #[serde(flatten)]
    home: Home,
    user_id: String,
    name: String,
    currency: String,
    balance: i64,
    reserved: i64,
    status: &'static str,
    entry_count: i64,
    created_at: Timestamp,
    last_entries: Vec<Entry>,
}

#[derive(Debug, Serialize)]
struct Entry {
    entry: i64,
    time: Timestamp,
    change: i64,
    balance_after: i64,
    /// `None` is the external account.
    other_account_id: Option<i64>,
    transfer_id: Uuid,
}

impl Show {
    pub(crate) async fn run(self, options: &GlobalOptions) -> Result<Outcome> {
        let shards = self.shards.connect(options).await?;
        let home = shards.home(self.account)?;
        let shard = home.shard.with_context(|| nobody(&home, &shards.unread))?;
        let shown = self.read(shards.client(shard)?, home).await?;
        if options.json {
            print_json(&shown)?;
        } else {
            print(&text(&shown))?;
        }
        end_with(&shards.unread, options)
    }

    async fn read(&self, client: &Client, home: Home) -> Result<Shown> {
        let row = client.query_opt(ACCOUNT, &[&self.account.as_i64()]).await?;
        let row = row.with_context(|| format!("there is no account {}", self.account))?;
        let entries = client.query(ENTRIES, &[&self.account.as_i64(), &i64::from(self.entries)]).await?;
        Ok(Shown {
            account_id: self.account,
            home,
            user_id: row.get(0),
            name: row.get(1),
            currency: row.get(2),
            balance: row.get(3),
            reserved: row.get(4),
            entry_count: row.get(5),
            status: match row.get::<_, i16>(6) {
                0 => "open",
                1 => "frozen",
                2 => "closed",
                _ => "unknown",
            },
            created_at: row.get(7),
            last_entries: entries.iter().map(entry).collect(),
        })
    }
}

fn nobody(home: &Home, unread: &[Unread]) -> String {
    let Home { region, slot, .. } = home;
    if unread.is_empty() {
        return format!("no shard owns slot {slot} of {region}");
    }
    format!("no shard that can be read owns slot {slot} of {region}, where the account is\n{}", lines(unread))
}

fn entry(row: &Row) -> Entry {
    Entry {
        entry: row.get(0),
        time: row.get(1),
        change: row.get(2),
        balance_after: row.get(3),
        other_account_id: row.get(4),
        transfer_id: row.get(5),
    }
}

fn text(shown: &Shown) -> String {
    let [region, slot, shard, epoch] = cells(&shown.home, "none");
    let header = [
        "ACCOUNT", "USER", "NAME", "REGION", "SLOT", "SHARD", "EPOCH", "CURRENCY", "BALANCE", "RESERVED", "STATUS",
        "ENTRIES",
    ];
    let account = vec![
        shown.account_id.to_string(),
        shown.user_id.clone(),
        shown.name.clone(),
        region,
        slot,
        shard,
        epoch,
        shown.currency.clone(),
        shown.balance.to_string(),
        shown.reserved.to_string(),
        shown.status.to_owned(),
        shown.entry_count.to_string(),
    ];
    let entries = shown.last_entries.iter().map(|entry| {
        let other = entry.other_account_id.map_or("external".to_owned(), |id| id.to_string());
        vec![
            entry.entry.to_string(),
            format!("{:.3}", entry.time),
            format!("{:+}", entry.change),
            entry.balance_after.to_string(),
            other,
            entry.transfer_id.to_string(),
        ]
    });
    let entries = table(&["ENTRY", "TIME", "CHANGE", "BALANCE AFTER", "WITH", "TRANSFER"], entries);
    format!("{}\n\n{entries}", table(&header, [account]))
}

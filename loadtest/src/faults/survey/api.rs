//! What the API shows while nothing moves.

use std::time::Duration;

use anyhow::{Result, bail};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;

use super::Line;
use crate::api::{self, AccountState, Direction, HistoryLine, HistoryPage};
use crate::client::{Call, Client};
use crate::faults::history::{Folded, RequestId};
use crate::faults::world::World;
use crate::until_known;

/// Questions at the same time, through each router.
const AT_ONCE: usize = 4;

/// Everything is well, so answers come.
const PATIENCE: Duration = Duration::from_secs(20);
const WAIT: Duration = Duration::from_secs(8);

/// Balance and reserved of every account, through one router after the other.
///
/// # Errors
/// A router does not answer.
pub async fn accounts(world: &World) -> Result<Vec<Vec<(i64, i64)>>> {
    let mut shown = vec![vec![]; world.population.accounts.len()];
    for router in 0..world.routers.len() {
        let read = each_account(world, router, async |client: &mut Client, place| {
            let call = world.account(place);
            let reply = insist(client, &call).await?;
            let AccountState { balance, reserved, .. } = api::read(&call, &reply)?;
            Ok((place, (balance, reserved)))
        });
        for (place, found) in read.await? {
            shown[place as usize].push(found);
        }
    }
    Ok(shown)
}

/// The entries after those known, by account and entry; accounts take turns between the routers.
///
/// # Errors
/// A router does not answer.
pub async fn lines(world: &World, known: &[Folded]) -> Result<Vec<Line>> {
    let mut lines = vec![];
    for router in 0..world.routers.len() {
        let read = each_account(world, router, async |client: &mut Client, place| {
            // Another router each time.
            let turn =
                (place as usize + usize::try_from(known[place as usize].entries).unwrap_or(0)) % world.routers.len();
            let since = known[place as usize].entries;
            Ok(if turn == router { history(world, client, place, since).await? } else { vec![] })
        });
        lines.extend(read.await?.into_iter().flatten());
    }
    lines.sort_by_key(|line| (line.account, line.entry));
    Ok(lines)
}

/// The entries of one account after entry `since`, read from the newest back.
async fn history(world: &World, client: &mut Client, place: u32, since: i64) -> Result<Vec<Line>> {
    let mut lines: Vec<Line> = vec![];
    let mut cursor: Option<String> = None;
    loop {
        let mut call = world.newest(place, api::HISTORY_LIMIT_MAX)?;
        if let Some(cursor) = &cursor {
            call.uri = format!("{}&cursor={cursor}", call.uri).parse()?;
        }
        let reply = insist(client, &call).await?;
        let page: HistoryPage = api::read(&call, &reply)?;
        let all = page.items.len();
        let new = page.items.iter().filter(|item| item.entry > since);
        lines.extend(new.map(|item| line(place, item)));
        let is_enough = page.items.iter().any(|item| item.entry <= since);
        cursor = page.next_cursor.filter(|_| !is_enough && all > 0);
        if cursor.is_none() {
            return Ok(lines);
        }
    }
}

fn line(account: u32, item: &HistoryLine) -> Line {
    Line {
        account,
        entry: item.entry,
        balance: item.balance_after,
        amount: item.amount,
        is_debit: item.direction == Direction::Debit,
        transfer: item.transfer_id,
        request: item.message.as_deref().and_then(RequestId::of_message),
        other: item.counterparty_account_id,
    }
}

async fn insist(client: &mut Client, call: &Call) -> Result<crate::client::Reply> {
    let mut last = String::new();
    let sent = until_known::send(client, call, Instant::now() + PATIENCE, |code| code.clone_into(&mut last)).await;
    match sent {
        Some(reply) => Ok(reply),
        None => bail!("{} {} is not answered although all is well again, last: {last}", call.method, call.uri),
    }
}

/// Does something for every account through one router, some at the same time.
async fn each_account<T>(
    world: &World,
    router: usize,
    work: impl AsyncFn(&mut Client, u32) -> Result<T>,
) -> Result<Vec<T>> {
    let (work, mut done) = (&work, vec![]);
    let mut places = (0..).take(world.population.accounts.len());
    let mut running = FuturesUnordered::new();
    let one = async |mut client: Client, place: u32| {
        let found = work(&mut client, place).await;
        found.map(|found| (client, found))
    };
    for place in places.by_ref().take(AT_ONCE) {
        running.push(one(world.connect(router, WAIT), place));
    }
    while let Some(next) = running.next().await {
        let (client, found) = next?;
        done.push(found);
        if let Some(place) = places.next() {
            running.push(one(client, place));
        }
    }
    Ok(done)
}

//! The smallest story that shows a breach: every call about one transfer in order, and its rows on every shard.

use std::fmt::Write as _;

use anyhow::Result;
use uuid::Uuid;

use super::checks::Breach;
use super::history::{Attempt, How, Request, RequestId, Want};
use super::survey::Databases;
use super::world::World;

/// The tables with rows of a transfer, and the column with its id.
const TABLES: &[(&str, &str)] = &[
    ("transfers", "id"),
    ("reservations", "transfer_id"),
    ("outbox", "transfer_id"),
    ("inbox", "transfer_id"),
    ("idempotency", "transfer_id"),
];

/// Tells the story of a breach.
///
/// # Errors
/// A database cannot be read.
pub async fn tell(world: &World, databases: &Databases, breach: &Breach) -> Result<String> {
    let mut story = format!("{}: {}\n", breach.check, breach.what);
    if let Some(account) = breach.account {
        let account = world.population.account(account);
        writeln!(story, "account {} on shard {}", account.id, account.shard + 1)?;
    }
    let named = named(&breach.what);
    let request = breach.request.or_else(|| asked_for(world, &named));
    if request.is_none() {
        for transfer in named {
            rows(databases, transfer, &mut story).await?;
        }
    }
    if let Some(id) = request {
        let family = family(world, id);
        for id in &family {
            let history = world.history.borrow();
            writeln!(story, "request {id}: {}", wish(world, history.get(*id)))?;
        }
        calls(world, &family, &mut story)?;
        let transfer = world.history.borrow().get(family[0]).transfer();
        let by_message = by_message(databases, family[0]).await?;
        for transfer in transfer.into_iter().chain(by_message.into_iter().filter(|id| Some(*id) != transfer)) {
            rows(databases, transfer, &mut story).await?;
        }
    }
    Ok(story)
}

/// The transfers that a text names.
fn named(text: &str) -> Vec<Uuid> {
    let words = text.split(|letter: char| !letter.is_ascii_hexdigit() && letter != '-');
    words.filter(|word| word.len() == 36).filter_map(|word| word.parse().ok()).collect()
}

/// The request that one of these transfers is of.
fn asked_for(world: &World, transfers: &[Uuid]) -> Option<RequestId> {
    let history = world.history.borrow();
    let about = |request: &Request| request.transfer().is_some_and(|transfer| transfers.contains(&transfer));
    history.live().find(|(_, request)| about(request)).map(|(id, _)| id)
}

/// How many calls a story about this request has.
pub fn length(world: &World, id: RequestId) -> usize {
    let history = world.history.borrow();
    family(world, id).into_iter().map(|id| history.get(id).attempts.len()).sum()
}

/// The request itself or its reservation, and all that is about the same money.
fn family(world: &World, id: RequestId) -> Vec<RequestId> {
    let history = world.history.borrow();
    let first = match history.get(id).want {
        Want::Commit { of, .. } | Want::Release { of } => of,
        Want::Transfer { .. } | Want::Reserve { .. } => id,
    };
    std::iter::once(first).chain(history.get(first).ends.iter().copied()).collect()
}

fn wish(world: &World, request: &Request) -> String {
    let account = |place: u32| {
        let account = world.population.account(place);
        format!("{} (shard {})", account.id, account.shard + 1)
    };
    match request.want {
        Want::Transfer { debit, credit, amount, doom, to_user } => {
            let to = if to_user { "the user of " } else { "" };
            let doom = doom.map_or_else(String::new, |doom| format!(", to be refused: {doom:?}"));
            format!("transfer {amount} from {} to {to}{}{doom}", account(debit), account(credit))
        }
        Want::Reserve { debit, credit, amount, expires_in_seconds } => {
            format!("reserve {amount} from {} to {} for {expires_in_seconds} s", account(debit), account(credit))
        }
        Want::Commit { of, amount: Some(amount) } => format!("commit {amount} of {of}"),
        Want::Commit { of, amount: None } => format!("commit all of {of}"),
        Want::Release { of } => format!("release {of}"),
    }
}

fn calls(world: &World, family: &[RequestId], story: &mut String) -> Result<()> {
    let history = world.history.borrow();
    let mut calls: Vec<(RequestId, Attempt)> = vec![];
    for id in family {
        let request = history.get(*id);
        if let Some(settled) = request.settled {
            writeln!(story, "before, request {id} was answered with: {}", settled.answer)?;
        }
        calls.extend(request.attempts.iter().map(|attempt| (*id, *attempt)));
    }
    calls.sort_by_key(|(_, attempt)| attempt.sent);
    for (id, attempt) in calls {
        let Attempt { how, router, sent, answered, answer, is_replay } = attempt;
        let word = match how {
            How::Asked => "asked",
            How::Altered => "asked with another amount",
            How::Looked => "looked",
        };
        let router = &world.routers[usize::from(router)].url;
        let took_ms = answered.since(sent).as_millis();
        let again = if is_replay { " (again)" } else { "" };
        writeln!(story, "{sent}  request {id} {word} through {router}, after {took_ms} ms: {answer}{again}")?;
    }
    Ok(())
}

/// Transfers that carry the request's name, whatever their id.
async fn by_message(databases: &Databases, id: RequestId) -> Result<Vec<Uuid>> {
    let mut found = vec![];
    for client in databases.clients() {
        let named =
            "SELECT id FROM transfers WHERE message = $1 UNION SELECT transfer_id FROM reservations WHERE message = $1";
        found.extend(client.query(named, &[&id.to_string()]).await?.iter().map(|row| row.get::<_, Uuid>(0)));
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

async fn rows(databases: &Databases, transfer: Uuid, story: &mut String) -> Result<()> {
    for (shard, client) in databases.clients().iter().enumerate() {
        for (table, column) in TABLES {
            let statement = format!("SELECT to_jsonb(found)::text FROM {table} found WHERE {column} = $1");
            for row in client.query(&statement, &[&transfer]).await? {
                writeln!(story, "shard {}, {table}: {}", shard + 1, row.get::<_, String>(0))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfers_are_found_in_the_words_of_a_breach() {
        let what =
            "credits_paired on shard 2: 1 violations, such as: transfer 019acb2e-5f00-8401-8000-00c0ffee0007, credited";
        assert_eq!(named(what), [Uuid::from_u128(0x019acb2e_5f00_8401_8000_00c0ffee0007)]);
        assert!(named("12 violations of account 154713824973807").is_empty());
    }
}

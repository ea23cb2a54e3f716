//! Reading accounts, histories and open transfers.

use serde::Deserialize;

use super::deliver::Line;
use super::draw::What;
use crate::api::{Direction, HistoryPage};
use crate::client::{Failure, Reply};
use crate::faults::history::{Answer, Loss, ReadCall, Seen};
use crate::faults::world::World;

/// As many lines as a client's screen shows.
const PAGE: usize = 10;

#[derive(Deserialize)]
struct Account {
    balance: i64,
    reserved: i64,
    available: i64,
}

#[derive(Deserialize)]
struct OpenTransfers {
    items: Vec<OpenTransfer>,
}

#[derive(Deserialize)]
struct OpenTransfer {
    amount: i64,
}

/// Reads an account once and notes what was seen.
///
/// # Errors
/// The call cannot be written.
pub async fn look(world: &World, line: &mut Line, account: u32, what: What) -> anyhow::Result<()> {
    let (call, kind) = match what {
        What::Account => (world.account(account), "read of a balance"),
        What::History => (world.newest(account, PAGE)?, "read of a history"),
        What::Open => (world.open_transfers(account)?, "read of open transfers"),
    };
    let router = u8::try_from(line.router()).unwrap_or(u8::MAX);
    let sent = world.clock.now();
    let reply = line.fresh(world).send(&call).await;
    let answered = world.clock.now();
    let (seen, word) = seen(&reply, what);
    world.history.borrow_mut().note_read(kind, word, ReadCall { account, router, sent, answered, seen });
    Ok(())
}

fn seen(reply: &Result<Reply, Failure>, what: What) -> (Seen, &'static str) {
    let reply = match reply {
        Ok(reply) => reply,
        Err(Failure::Connect) => return (Seen::NotSent, Answer::NotSent.word()),
        Err(Failure::Broken) => return (Seen::Lost(Loss::Broken), Answer::Lost(Loss::Broken).word()),
        Err(Failure::Timeout) => return (Seen::Lost(Loss::Timeout), Answer::Lost(Loss::Timeout).word()),
    };
    let seen = match what {
        _ if !reply.status.is_success() => None,
        What::Account => serde_json::from_slice(&reply.body).ok().map(account),
        What::History => serde_json::from_slice(&reply.body).ok().as_ref().map(history),
        What::Open => serde_json::from_slice(&reply.body).ok().as_ref().map(open),
    };
    if let Some(seen) = seen {
        return (seen, "answered");
    }
    let code = match Answer::of(&Ok(reply.clone())) {
        Answer::Open(_, code) | Answer::Denied(_, code) | Answer::Refused(_, code, _) => code,
        _ => crate::faults::history::Code::UNKNOWN,
    };
    (Seen::Problem(reply.status.as_u16(), code), code.as_str())
}

fn account(Account { balance, reserved, available }: Account) -> Seen {
    Seen::Account { balance, reserved, available }
}

fn history(page: &HistoryPage) -> Seen {
    let moved = |line: &crate::api::HistoryLine| match line.direction {
        Direction::Debit => -line.amount,
        Direction::Credit => line.amount,
    };
    let follows = |pair: &[crate::api::HistoryLine]| {
        pair[0].entry == pair[1].entry + 1
            && pair[0].balance_after == pair[1].balance_after.saturating_add(moved(&pair[0]))
    };
    let is_whole = page.items.windows(2).all(follows);
    let newest = page.items.first();
    Seen::History {
        entry: newest.map_or(0, |line| line.entry),
        balance: newest.map_or(0, |line| line.balance_after),
        is_whole,
    }
}

fn open(transfers: &OpenTransfers) -> Seen {
    Seen::Open { sum: transfers.items.iter().map(|transfer| transfer.amount).sum() }
}

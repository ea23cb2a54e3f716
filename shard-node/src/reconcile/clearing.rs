//! Whether the clearing accounts of two shards with each other come to nothing. Pure.
//!
//! A debit adds its amount to the debit shard's clearing account with the credit shard, and the credit takes it from the
//! other one. Both accounts change all the time, at different times. So they are compared as they stood a while ago:
//! the total of now, without the rows decided since. Nothing can be added to that any more, so it does not matter that
//! the two are read one after the other. What was credited by then on one shard, and debited later or not yet on the
//! other, is known: it is among the transfers that were `settling`.

use crate::store::reconcile::{Reading, Side};
use ledger::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use uuid::Uuid;
use wire::pairing::{ClearingBooks, Settling};

/// How long ago the accounts are compared: no batch takes that long from its time to its commit.
pub const AGE: Duration = Duration::from_secs(30);
/// How far apart the moments of the two shards may be.
pub const SLACK: Duration = Duration::from_secs(5);
/// Times say nothing about a server that is another one since then.
pub const SAME_SERVER: Duration = Duration::from_secs(AGE.as_secs() + SLACK.as_secs());
/// Transfers that may be settling; more than one answer holds means that nothing can be compared now.
const SETTLING_MAX: usize = 20_000;

/// By currency, what two clearing accounts do not explain.
pub type Difference = BTreeMap<String, i128>;

/// The clearing account with the peer as it stood at `as_of`; `has_peer` tells whether the peer owns an account.
pub fn books(reading: &Reading, as_of: Timestamp, peer: i32, has_peer: impl Fn(Option<i64>) -> bool) -> ClearingBooks {
    let mut totals: BTreeMap<&str, i128> = BTreeMap::new();
    for clearing in reading.clearing.iter().filter(|clearing| clearing.peer == peer) {
        *totals.entry(&clearing.currency).or_default() += clearing.total;
    }
    let decided_since = reading.decisions.iter().filter(|decided| decided.half.decided_at >= as_of);
    let debit_shards: HashMap<Uuid, i32> = decided_since.map(|decided| (decided.id, decided.debit_shard)).collect();
    // If a decision is gone, the account tells whose clearing it was.
    let is_from_peer = |side: &Side| match debit_shards.get(&side.id) {
        Some(debit_shard) => *debit_shard == peer,
        None => has_peer(side.half.money.debit_account),
    };
    for side in reading.sides.iter().filter(|side| side.half.decided_at >= as_of) {
        let money = &side.half.money;
        let change = match (side.half.has_debit, side.half.has_credit) {
            (true, false) if has_peer(money.credit_account) => i128::from(money.amount),
            (false, true) if is_from_peer(side) => -i128::from(money.amount),
            _ => continue,
        };
        *totals.entry(&money.currency).or_default() -= change;
    }
    let settling = settling(reading, as_of, &has_peer);
    ClearingBooks {
        as_of,
        is_whole: is_whole(reading, as_of) && settling.len() <= SETTLING_MAX,
        totals: totals.into_iter().map(|(currency, total)| (currency.to_owned(), total)).collect(),
        settling: if settling.len() <= SETTLING_MAX { settling } else { Vec::new() },
    }
}

/// The clearing account as it stands now, to be compared while one of the two shards writes nothing: then no time is
/// needed to tell what was credited before.
pub fn books_of_now(reading: &Reading, peer: i32, has_peer: impl Fn(Option<i64>) -> bool) -> ClearingBooks {
    let open = reading.asked.iter().filter(|asked| has_peer(asked.money.credit_account));
    let settling = open.map(|asked| Settling {
        id: asked.id,
        amount: asked.money.amount,
        currency: asked.money.currency.clone(),
        is_debited: false,
    });
    let settling: Vec<Settling> = settling.take(SETTLING_MAX + 1).collect();
    let totals = reading.clearing.iter().filter(|clearing| clearing.peer == peer);
    ClearingBooks {
        as_of: Timestamp(i64::MAX),
        is_whole: reading.is_whole && settling.len() <= SETTLING_MAX,
        totals: totals.map(|clearing| (clearing.currency.clone(), clearing.total)).collect(),
        settling,
    }
}

/// The peer had decided about them by then only if they had begun.
fn settling(reading: &Reading, as_of: Timestamp, has_peer: impl Fn(Option<i64>) -> bool) -> Vec<Settling> {
    let (slack_before, slack_after) = (shifted(as_of, -1), shifted(as_of, 1));
    let asked =
        reading.asked.iter().filter(|asked| asked.created_at < slack_after && has_peer(asked.money.credit_account));
    let asked = asked.map(|asked| (asked.id, &asked.money, false));
    let debits = reading.sides.iter().filter(|side| {
        let is_near = side.half.decided_at >= slack_before && side.created_at < slack_after;
        is_near && side.half.has_debit && !side.half.has_credit && has_peer(side.half.money.credit_account)
    });
    let debits = debits.map(|side| (side.id, &side.half.money, side.half.decided_at < as_of));
    let all = asked.chain(debits).map(|(id, money, is_debited)| Settling {
        id,
        amount: money.amount,
        currency: money.currency.clone(),
        is_debited,
    });
    all.take(SETTLING_MAX + 1).collect()
}

/// Times are no measure where the server has just started, perhaps on another machine, or where its clock was set back.
fn is_whole(reading: &Reading, as_of: Timestamp) -> bool {
    let future = reading.now;
    let sides = reading.sides.iter().map(|side| side.half.decided_at);
    let decisions = reading.decisions.iter().map(|decided| decided.half.decided_at);
    let covers = reading.covered_since <= shifted(as_of, -1);
    let is_whole = reading.is_whole && covers;
    is_whole && reading.server_started < shifted(as_of, -1) && sides.chain(decisions).all(|time| time <= future)
}

fn shifted(time: Timestamp, sign: i64) -> Timestamp {
    let slack = i64::try_from(SLACK.as_micros()).unwrap_or(i64::MAX);
    Timestamp(time.0.saturating_add(sign * slack))
}

/// What two clearing accounts do not explain: nothing, if each credit has its debit. `credited` tells when a settling
/// transfer was credited, if it was: those of `mine` on the peer, those of `theirs` here.
pub fn difference(
    mine: &ClearingBooks,
    theirs: &ClearingBooks,
    credited_there: &HashMap<Uuid, Timestamp>,
    credited_here: &HashMap<Uuid, Timestamp>,
) -> Difference {
    let mut difference = Difference::new();
    for (currency, total) in mine.totals.iter().chain(&theirs.totals) {
        *difference.entry(currency.clone()).or_default() += total;
    }
    let sides = [(&mine.settling, credited_there, theirs.as_of), (&theirs.settling, credited_here, mine.as_of)];
    for (settling, credited, as_of) in sides {
        for transfer in settling {
            let is_credited = credited.get(&transfer.id).is_some_and(|time| *time < as_of);
            let explained = i128::from(transfer.amount) * (i128::from(transfer.is_debited) - i128::from(is_credited));
            *difference.entry(transfer.currency.clone()).or_default() -= explained;
        }
    }
    difference.retain(|_, amount| *amount != 0);
    difference
}

#[cfg(test)]
#[path = "clearing_tests.rs"]
mod tests;

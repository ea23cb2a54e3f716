//! Of commit, release and expiry the first one wins: every order of a small set of commands with repeats, cut
//! into batches in every way, against a naive account of who was first.

use crate::invariants::check;
use crate::shard::Shard;
use crate::world::{
    HOLD_SECONDS, commit, credited, currencies, expire, hold, key, nick, region, release, reused, settle, sgd,
    shard_id, transfer, transfer_away, yunus,
};
use ledger::saga::DebitState;
use ledger::{
    Account, Amount, Command, CommitTransfer, Decided, ExternalMove, Outcome, Ownership, Rejection, TransferState,
};
use placement::{Slot, TransferId};
use std::collections::HashMap;

/// What is asked for. A commit has the number of its key, whether the key comes with another request than elsewhere,
/// and its amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ask {
    Commit { key: u128, is_other_request: bool, amount: i64 },
    Release,
    Expire,
}

const ALL: Ask = Ask::Commit { key: 50, is_other_request: false, amount: 100 };
const PART: Ask = Ask::Commit { key: 51, is_other_request: false, amount: 40 };
const TOO_MUCH: Ask = Ask::Commit { key: 52, is_other_request: false, amount: 101 };
const KEY_OF_ALL_AGAIN: Ask = Ask::Commit { key: 50, is_other_request: true, amount: 60 };

const SETS: [[Ask; 6]; 2] = [
    [ALL, ALL, PART, Ask::Release, Ask::Release, Ask::Expire],
    [ALL, TOO_MUCH, TOO_MUCH, KEY_OF_ALL_AGAIN, Ask::Release, Ask::Expire],
];

impl Ask {
    fn command(self, id: TransferId) -> Command {
        match self {
            Ask::Commit { key: number, is_other_request, amount } => {
                let key = if is_other_request { reused(key(number)) } else { key(number) };
                Command::Commit(CommitTransfer { key, ..commit(id, Some(amount)) })
            }
            Ask::Release => release(id),
            Ask::Expire => expire(id),
        }
    }
}

/// Who was first, told without the saga and without rows.
#[derive(Default)]
struct Naive {
    winner: Option<Ask>,
    keys: HashMap<u128, (bool, Option<Rejection>)>,
}

#[derive(Debug, PartialEq)]
enum Answer {
    Won,
    Replayed(Option<Rejection>),
    Refused(Rejection),
    NotReserved,
    Nothing,
}

impl Naive {
    fn answer(&mut self, ask: Ask, is_due: bool) -> Answer {
        match ask {
            Ask::Commit { key, is_other_request, amount } => self.commit(ask, key, is_other_request, amount),
            Ask::Release if self.winner.is_some() => Answer::NotReserved,
            Ask::Expire if self.winner.is_some() || !is_due => Answer::Nothing,
            Ask::Release | Ask::Expire => self.win(ask),
        }
    }

    fn commit(&mut self, ask: Ask, key: u128, is_other_request: bool, amount: i64) -> Answer {
        match self.keys.get(&key) {
            Some((request, _)) if *request != is_other_request => {
                return Answer::Refused(Rejection::IdempotencyKeyReused);
            }
            Some((_, refusal)) => return Answer::Replayed(*refusal),
            None if self.winner.is_some() => return Answer::NotReserved,
            None => {}
        }
        let refusal = (amount > 100).then_some(Rejection::AmountExceedsReserved);
        self.keys.insert(key, (is_other_request, refusal));
        refusal.map_or_else(|| self.win(ask), Answer::Refused)
    }

    fn win(&mut self, ask: Ask) -> Answer {
        self.winner = Some(ask);
        Answer::Won
    }
}

fn answer_of(outcome: Outcome, id: TransferId) -> Answer {
    match outcome {
        Outcome::Decided(Decided::Transfer(transfer)) if transfer.id == id => Answer::Won,
        Outcome::Decided(Decided::AlreadySettled) => Answer::Nothing,
        Outcome::Decided(Decided::Rejected { rejection, transfer_id }) => {
            let expected = Some(id).filter(|_| rejection != Rejection::IdempotencyKeyReused);
            assert_eq!(transfer_id, expected, "{rejection:?}");
            Answer::Refused(rejection)
        }
        Outcome::ReplayedTransfer(transfer_id) if transfer_id == id => Answer::Replayed(None),
        Outcome::ReplayedRejection { rejection, transfer_id: Some(found) } if found == id => {
            Answer::Replayed(Some(rejection))
        }
        Outcome::NotReserved(found) if found == id => Answer::NotReserved,
        other => panic!("{other:?}"),
    }
}

/// Every order, each once.
fn orders(asks: &[Ask]) -> Vec<Vec<Ask>> {
    if asks.is_empty() {
        return vec![vec![]];
    }
    let mut firsts = asks.to_vec();
    firsts.sort();
    firsts.dedup();
    let mut all = vec![];
    for first in firsts {
        let mut rest = asks.to_vec();
        rest.remove(rest.iter().position(|ask| *ask == first).unwrap());
        all.extend(orders(&rest).into_iter().map(|order| [vec![first], order].concat()));
    }
    all
}

/// Yunus has 1000 SGD, 100 of which are held; the books have begun empty, so that all invariants can be checked.
fn held(away: bool, is_due: bool) -> (Shard, TransferId) {
    let mut shard = Shard::new(shard_id(1), Ownership::new(region(1), Slot::all()), currencies());
    for (id, name) in [(yunus(), "yunus"), (nick(), "nick")] {
        shard.rows.accounts.insert(id, Account { entry_count: 0, ..crate::world::account(id, name, sgd(), 0) });
    }
    let rich = ExternalMove { amount: Amount(1_000), ..crate::world::external() };
    shard.ask(Command::Deposit(rich));
    let held = hold(&mut shard, if away { transfer_away() } else { transfer() });
    if is_due {
        shard.now.0 += i64::from(HOLD_SECONDS) * 1_000_000;
    }
    (shard, held.id)
}

/// Bit n of `cuts` cuts the order behind its command n.
fn run(shard: &mut Shard, id: TransferId, order: &[Ask], cuts: u32) -> Vec<Outcome> {
    let mut outcomes = vec![];
    let mut batch = vec![];
    for (position, ask) in order.iter().enumerate() {
        batch.push(ask.command(id));
        if cuts & (1 << position) != 0 || position + 1 == order.len() {
            let stamped = shard.stamp(&std::mem::take(&mut batch));
            outcomes.extend(shard.run(&stamped).0);
        }
    }
    outcomes
}

/// The money is where the winner has put it.
fn assert_end(shard: &mut Shard, id: TransferId, winner: Option<Ask>, away: bool) {
    check(shard);
    let committed = match winner {
        Some(Ask::Commit { amount, .. }) => amount,
        Some(Ask::Release | Ask::Expire) => 0,
        None => return assert_eq!(shard.rows.reservations[&id].state, DebitState::Held),
    };
    if away && committed > 0 {
        assert_eq!(shard.account(yunus()).reserved, Amount(committed), "the rest is back at once");
        shard.ask(settle(id, credited()));
        check(shard);
    }
    let row = &shard.rows.transfers[&id].transfer;
    let (state, reason) = match winner {
        Some(Ask::Release) => (TransferState::Released, Some(Rejection::ReleasedByClient)),
        Some(Ask::Expire) => (TransferState::Released, Some(Rejection::Expired)),
        _ => (TransferState::Posted, None),
    };
    let amount = if committed == 0 { 100 } else { committed };
    assert_eq!((row.state, row.reason, row.amount), (state, reason, Amount(amount)));
    let account = shard.account(yunus());
    assert_eq!((account.balance, account.reserved), (Amount(1_000 - committed), Amount(0)));
    assert_eq!(shard.account(nick()).balance, Amount(if away { 0 } else { committed }));
}

#[test]
fn exactly_one_wins_in_every_order_and_however_it_is_cut_into_batches() {
    for set in SETS {
        let orders = orders(&set);
        for (away, is_due) in [(false, false), (false, true), (true, false), (true, true)] {
            let (template, id) = held(away, is_due);
            for order in &orders {
                let mut naive = Naive::default();
                let expected: Vec<Answer> = order.iter().map(|ask| naive.answer(*ask, is_due)).collect();
                for cuts in 0..1 << (order.len() - 1) {
                    let mut shard = template.clone();
                    let outcomes = run(&mut shard, id, order, cuts);
                    let answers: Vec<Answer> = outcomes.into_iter().map(|outcome| answer_of(outcome, id)).collect();
                    assert_eq!(answers, expected, "{order:?} away {away} due {is_due} cuts {cuts:b}");
                    assert_end(&mut shard, id, naive.winner, away);
                }
            }
        }
    }
}

#[test]
fn the_orders_are_all_there() {
    let [repeats, refusals] = SETS.map(|set| orders(&set).len());
    assert_eq!((repeats, refusals), (720 / 4, 720 / 2));
}

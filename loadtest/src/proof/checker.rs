//! The check itself: pure, fed with every line of every account's history.

use serde::Serialize;
use uuid::Uuid;

use super::breach::{Breach, What};
use crate::api::{AccountState, Direction, HistoryLine, LineKind};
use crate::journal::{Asked, Journal, Outcome};
use crate::population::{Population, index};

/// Breaches beyond this many are only counted.
const BREACHES_SHOWN: usize = 10;

/// Compares the histories of all accounts with what was asked for and acknowledged. Open one [`Walk`] for each account.
pub struct Proof<'a> {
    population: &'a Population,
    journal: &'a Journal,
    /// Which sides of each transfer have been seen.
    seen: Vec<Sides>,
    /// While transfers are open, money may be reserved.
    all_settled: bool,
    verdict: Verdict,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sides {
    debit: bool,
    credit: bool,
}

/// The way through one account's history, oldest entry first.
pub struct Walk {
    account: u32,
    entry: i64,
    balance: i64,
    has_deposit: bool,
}

/// What the proof came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Whether nothing is wrong.
    pub holds: bool,
    /// Accounts looked at.
    pub accounts: u64,
    /// Entries looked at.
    pub entries: u64,
    /// Transfers that were acknowledged as posted.
    pub posted: u64,
    /// Transfers that were refused, or released.
    pub refused: u64,
    /// Transfers that still have no answer.
    pub unknown: u64,
    /// Transfers that are still pending.
    pub pending: u64,
    /// All money let in.
    pub deposited: i128,
    /// All money found.
    pub found: i128,
    /// How many things are wrong.
    pub breaches: u64,
    /// The first of them.
    pub first: Vec<String>,
}

impl<'a> Proof<'a> {
    /// Begins a proof. From here on nothing more is asked of these accounts.
    pub fn new(population: &'a Population, journal: &'a Journal) -> Self {
        let count = |wanted: fn(&Outcome) -> bool| {
            let outcomes = journal.transfers().iter().map(|asked| &asked.outcome);
            u64::try_from(outcomes.filter(|outcome| wanted(outcome)).count()).unwrap_or(u64::MAX)
        };
        let verdict = Verdict {
            holds: false,
            accounts: 0,
            entries: 0,
            posted: count(|outcome| matches!(outcome, Outcome::Posted(_))),
            refused: count(|outcome| matches!(outcome, Outcome::Refused | Outcome::Released)),
            unknown: count(|outcome| matches!(outcome, Outcome::Unknown)),
            pending: count(|outcome| matches!(outcome, Outcome::Pending(_))),
            deposited: population.deposited(),
            found: 0,
            breaches: 0,
            first: vec![],
        };
        Self {
            population,
            journal,
            seen: vec![Sides::default(); journal.transfers().len()],
            all_settled: verdict.unknown == 0 && verdict.pending == 0,
            verdict,
        }
    }

    /// Begins with an account, by its place in the population.
    pub fn walk(&self, account: u32) -> Walk {
        Walk { account, entry: 0, balance: 0, has_deposit: false }
    }

    /// Takes the next line of an account's history.
    pub fn line(&mut self, walk: &mut Walk, line: &HistoryLine) {
        self.verdict.entries += 1;
        if line.entry != walk.entry + 1 {
            self.breach(walk, What::Gap { expected: walk.entry + 1, found: line.entry });
        }
        let expected = match line.direction {
            Direction::Debit => walk.balance.saturating_sub(line.amount),
            Direction::Credit => walk.balance.saturating_add(line.amount),
        };
        if line.balance_after != expected {
            self.breach(walk, What::BalanceAfter { entry: line.entry, expected, found: line.balance_after });
        }
        if line.balance_after < 0 {
            self.breach(walk, What::Overdraft { entry: line.entry });
        }
        (walk.entry, walk.balance) = (line.entry, line.balance_after);
        match line.kind {
            LineKind::Transfer => self.transfer_line(walk, line),
            LineKind::Deposit => self.deposit_line(walk, line),
            LineKind::Withdrawal => self.breach(walk, unasked(line)),
        }
    }

    /// Ends an account: compares its history with the account as it is now.
    pub fn end(&mut self, walk: Walk, now: &AccountState) {
        self.verdict.accounts += 1;
        self.verdict.found += i128::from(now.balance);
        if now.balance != walk.balance {
            self.breach(&walk, What::Balance { history: walk.balance, account: now.balance });
        }
        if now.reserved != 0 && self.all_settled {
            self.breach(&walk, What::Reserved { amount: now.reserved });
        }
        if !walk.has_deposit {
            self.breach(&walk, What::Missing { number: None, side: Direction::Credit });
        }
    }

    /// Ends the proof, when every account has ended.
    pub fn finish(mut self) -> Verdict {
        for number in 0..self.seen.len() {
            self.both_sides(number);
        }
        let (deposited, found) = (self.verdict.deposited, self.verdict.found);
        // Money between two shards stands on neither account.
        if deposited != found && self.all_settled {
            self.note(Breach { account: None, what: What::Sum { deposited, found } });
        }
        self.verdict.holds = self.verdict.breaches == 0;
        self.verdict
    }

    fn deposit_line(&mut self, walk: &mut Walk, line: &HistoryLine) {
        let deposit = self.population.account(walk.account).deposit;
        let is_it =
            line.transfer_id == deposit.id && line.amount == deposit.amount && line.direction == Direction::Credit;
        if !is_it {
            self.breach(walk, unasked(line));
        } else if walk.has_deposit {
            self.breach(walk, What::Doubled { number: None, entry: line.entry });
        }
        walk.has_deposit |= is_it;
    }

    fn transfer_line(&mut self, walk: &Walk, line: &HistoryLine) {
        let journal = self.journal;
        let number = line.message.as_deref().and_then(|message| message.parse().ok());
        let Some((number, asked)) = number.and_then(|number| Some((number, journal.get(number)?))) else {
            return self.breach(walk, unasked(line));
        };
        let (entry, direction) = (line.entry, line.direction);
        if let Some(field) = self.difference(walk.account, line, asked) {
            return self.breach(walk, What::Changed { number, entry, field });
        }
        match asked.outcome {
            Outcome::Posted(id) if id != line.transfer_id => {
                self.breach(walk, What::Changed { number, entry, field: "transfer id" });
            }
            Outcome::Refused | Outcome::Released => self.breach(walk, What::Refused { number, entry }),
            Outcome::Posted(_) | Outcome::Pending(_) | Outcome::Unknown => {}
        }
        if std::mem::replace(self.seen[number].side(direction), true) {
            self.breach(walk, What::Doubled { number: Some(number), entry });
        }
    }

    /// The first field in which a line differs from what was asked for.
    fn difference(&self, account: u32, line: &HistoryLine, asked: &Asked) -> Option<&'static str> {
        let (own, other) = match line.direction {
            Direction::Debit => (asked.debit, asked.credit),
            Direction::Credit => (asked.credit, asked.debit),
        };
        if own != account {
            Some("account")
        } else if line.amount != asked.amount {
            Some("amount")
        } else if line.counterparty_account_id != Some(self.population.account(other).id) {
            Some("counterparty")
        } else {
            None
        }
    }

    fn both_sides(&mut self, number: usize) {
        let asked = self.journal.transfers()[number];
        let acknowledged = match asked.outcome {
            Outcome::Posted(_) => true,
            Outcome::Unknown => false,
            // Of these there is either nothing, or the line was reported; a pending one may be half done.
            Outcome::Pending(_) | Outcome::Released | Outcome::Refused => return,
        };
        let Sides { debit, credit } = self.seen[number];
        if !acknowledged && debit == credit {
            return;
        }
        for (is_there, side, account) in
            [(debit, Direction::Debit, asked.debit), (credit, Direction::Credit, asked.credit)]
        {
            let what = if acknowledged {
                What::Missing { number: Some(number), side }
            } else {
                What::OneSided { number, missing: side }
            };
            if !is_there {
                self.note(Breach { account: Some(self.population.account(account).id), what });
            }
        }
    }

    fn breach(&mut self, walk: &Walk, what: What) {
        let account = self.population.accounts[index(walk.account)].id;
        self.note(Breach { account: Some(account), what });
    }

    fn note(&mut self, breach: Breach) {
        self.verdict.breaches += 1;
        if self.verdict.first.len() < BREACHES_SHOWN {
            self.verdict.first.push(breach.to_string());
        }
    }
}

impl Sides {
    fn side(&mut self, direction: Direction) -> &mut bool {
        match direction {
            Direction::Debit => &mut self.debit,
            Direction::Credit => &mut self.credit,
        }
    }
}

fn unasked(line: &HistoryLine) -> What {
    let transfer_id: Uuid = line.transfer_id;
    What::Unasked { entry: line.entry, transfer_id }
}

#[cfg(test)]
#[path = "checker_tests.rs"]
mod tests;

//! A good history holds; every single change to it is found.

use super::*;
use crate::population::tests::population;

/// Two accounts with deposits of 1000, and what a wallet that keeps its word shows of them in the end.
struct World {
    population: Population,
    journal: Journal,
    histories: Vec<Vec<HistoryLine>>,
    states: Vec<AccountState>,
}

impl World {
    fn good() -> Self {
        let population = population(1, 1, 2);
        let mut world = Self { histories: vec![], states: vec![], journal: Journal::default(), population };
        for account in &world.population.accounts {
            let line = HistoryLine {
                transfer_id: account.deposit.id,
                kind: LineKind::Deposit,
                direction: Direction::Credit,
                amount: 1000,
                entry: 1,
                balance_after: 1000,
                counterparty_account_id: None,
                message: None,
            };
            world.histories.push(vec![line]);
            world.states.push(AccountState { id: account.id, region: "r0".to_owned(), balance: 1000, reserved: 0 });
        }
        world.ask(0, 1, 10, Outcome::Posted(Uuid::from_u128(100)));
        world.ask(1, 0, 7, Outcome::Posted(Uuid::from_u128(101)));
        world.ask(0, 1, 999_999, Outcome::Refused);
        world.ask(0, 1, 3, Outcome::Posted(Uuid::from_u128(103)));
        world.ask(0, 1, 4, Outcome::Released);
        world
    }

    fn ask(&mut self, debit: u32, credit: u32, amount: i64, outcome: Outcome) {
        let number = self.journal.begin(debit, credit, amount);
        self.journal.settle(number, outcome);
        if let Outcome::Posted(id) = outcome {
            self.post(debit, credit, amount, number, id);
        }
    }

    fn post(&mut self, debit: u32, credit: u32, amount: i64, number: usize, id: Uuid) {
        for (own, other, direction) in [(debit, credit, Direction::Debit), (credit, debit, Direction::Credit)] {
            let state = &mut self.states[index(own)];
            state.balance += if direction == Direction::Debit { -amount } else { amount };
            let history = &mut self.histories[index(own)];
            history.push(HistoryLine {
                transfer_id: id,
                kind: LineKind::Transfer,
                direction,
                amount,
                entry: i64::try_from(history.len()).unwrap() + 1,
                balance_after: state.balance,
                counterparty_account_id: Some(self.population.account(other).id),
                message: Some(number.to_string()),
            });
        }
    }

    fn verdict(&self) -> Verdict {
        let mut proof = Proof::new(&self.population, &self.journal);
        for (account, (history, state)) in (0..).zip(self.histories.iter().zip(&self.states)) {
            let mut walk = proof.walk(account);
            history.iter().for_each(|line| proof.line(&mut walk, line));
            proof.end(walk, state);
        }
        proof.finish()
    }

    /// Numbers entries and balances of an account as if the wallet believed in them.
    fn renumber(&mut self, account: usize) {
        let mut balance = 0;
        for (entry, line) in (1..).zip(&mut self.histories[account]) {
            balance += if line.direction == Direction::Debit { -line.amount } else { line.amount };
            (line.entry, line.balance_after) = (entry, balance);
        }
        self.states[account].balance = balance;
    }
}

fn first_breach(change: impl FnOnce(&mut World)) -> String {
    let mut world = World::good();
    change(&mut world);
    let verdict = world.verdict();
    assert!(!verdict.holds, "the change was not found");
    verdict.first[0].clone()
}

#[test]
fn good_history_holds() {
    let verdict = World::good().verdict();
    assert!(verdict.holds, "{:?}", verdict.first);
    assert_eq!((verdict.accounts, verdict.entries, verdict.posted, verdict.refused), (2, 8, 3, 2));
    assert_eq!((verdict.deposited, verdict.found), (2000, 2000));
}

#[test]
fn doubled_transfer_is_found_even_if_the_books_agree_with_it() {
    let breach = first_breach(|world| {
        for account in 0..2 {
            let again = world.histories[account][1].clone();
            world.histories[account].push(again);
            world.renumber(account);
        }
    });
    assert!(breach.contains("second one of transfer number 0"), "{breach}");
}

#[test]
fn lost_transfer_is_found_even_if_the_books_agree_with_it() {
    let breach = first_breach(|world| {
        for account in 0..2 {
            world.histories[account].retain(|line| line.message.as_deref() != Some("3"));
            world.renumber(account);
        }
    });
    assert!(breach.contains("debit of transfer number 3 was acknowledged and is missing"), "{breach}");
}

#[test]
fn lost_side_is_found() {
    let breach = first_breach(|world| {
        drop(world.histories[1].pop());
        world.renumber(1);
    });
    assert!(breach.contains("credit of transfer number 3 was acknowledged and is missing"), "{breach}");
}

#[test]
fn refused_and_released_transfers_must_not_be_there() {
    for (number, amount) in [(2, 999_999), (4, 4)] {
        let breach = first_breach(|world| world.post(0, 1, amount, number, Uuid::from_u128(9)));
        assert!(breach.contains("refused or released") || breach.contains("negative"), "{breach}");
    }
}

#[test]
fn transfer_that_nobody_asked_for_is_found() {
    let breach = first_breach(|world| world.post(0, 1, 1, 77, Uuid::from_u128(9)));
    assert!(breach.contains("nobody asked for entry 5"), "{breach}");
}

#[test]
fn every_change_of_every_field_of_every_line_is_found() {
    let changes: [fn(&mut HistoryLine); 8] = [
        |line| line.transfer_id = Uuid::from_u128(55),
        |line| line.kind = LineKind::Withdrawal,
        |line| line.direction = if line.direction == Direction::Debit { Direction::Credit } else { Direction::Debit },
        |line| line.amount += 1,
        |line| line.entry += 1,
        |line| line.balance_after += 1,
        |line| line.counterparty_account_id = if line.kind == LineKind::Deposit { None } else { Some(5) },
        |line| line.message = Some("1000".to_owned()),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        for account in 0..2 {
            for place in 0..World::good().histories[account].len() {
                let mut world = World::good();
                let before = world.histories[account][place].clone();
                change(&mut world.histories[account][place]);
                // A deposit has no counterparty and no message to be changed.
                let matters = before.kind == LineKind::Transfer || number < 6;
                assert_eq!(world.verdict().holds, !matters, "change {number} of {before:?}");
            }
        }
    }
}

#[test]
fn every_dropped_and_every_repeated_line_is_found() {
    for account in 0..2 {
        for place in 0..World::good().histories[account].len() {
            first_breach(|world| drop(world.histories[account].remove(place)));
            first_breach(|world| {
                let again = world.histories[account][place].clone();
                world.histories[account].insert(place, again);
            });
        }
    }
}

#[test]
fn swapped_lines_are_found() {
    for place in 0..3 {
        first_breach(|world| world.histories[0].swap(place, place + 1));
    }
}

#[test]
fn money_made_or_reserved_without_reason_is_found() {
    let breach = first_breach(|world| world.states[0].balance += 1);
    assert!(breach.contains("the history ends at"), "{breach}");
    let breach = first_breach(|world| world.states[0].reserved = 5);
    assert!(breach.contains("5 are reserved"), "{breach}");
}

#[test]
fn line_on_the_wrong_account_is_found() {
    let breach = first_breach(|world| {
        let line = world.histories[1].pop().unwrap();
        world.renumber(1);
        world.histories[0].push(line);
        world.renumber(0);
    });
    assert!(breach.contains("the account of entry"), "{breach}");
}

#[test]
fn unanswered_transfer_may_be_there_once_or_not_at_all() {
    let mut world = World::good();
    world.ask(0, 1, 5, Outcome::Unknown);
    assert!(world.verdict().holds);
    world.post(0, 1, 5, 5, Uuid::from_u128(9));
    let verdict = world.verdict();
    assert!(verdict.holds && verdict.unknown == 1, "{:?}", verdict.first);
    drop(world.histories[1].pop());
    world.renumber(1);
    assert!(world.verdict().first[0].contains("never answered and has happened, but its credit is missing"));
}

//! What was asked of the wallet, and what it said.

use uuid::Uuid;

/// What became of a transfer, as far as the wallet has told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Asked for, and never answered for good: it may have happened once, or not at all.
    Unknown,
    /// Acknowledged: it must be there exactly once.
    Posted(Uuid),
    /// Reserved, and the other shard has not decided yet.
    Pending(Uuid),
    /// Reserved once and given back: it must not be there.
    Released,
    /// Refused: it must not be there.
    Refused,
}

/// A transfer that was asked for. Accounts are places in the population.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Where the money is to come from.
    pub debit: u32,
    /// Where it is to go.
    pub credit: u32,
    /// How much.
    pub amount: i64,
    /// What became of it.
    pub outcome: Outcome,
}

/// Every transfer of a run, by its number. The number is in the transfer's key and message.
#[derive(Debug, Default)]
pub struct Journal {
    transfers: Vec<Asked>,
}

impl Journal {
    /// Notes a transfer before it is sent, and gives it its number.
    pub fn begin(&mut self, debit: u32, credit: u32, amount: i64) -> usize {
        self.transfers.push(Asked { debit, credit, amount, outcome: Outcome::Unknown });
        self.transfers.len() - 1
    }

    /// Notes what became of a transfer.
    pub fn settle(&mut self, number: usize, outcome: Outcome) {
        self.transfers[number].outcome = outcome;
    }

    /// The transfer of that number, if there is one.
    pub fn get(&self, number: usize) -> Option<&Asked> {
        self.transfers.get(number)
    }

    /// All transfers in the order of their numbers.
    pub fn transfers(&self) -> &[Asked] {
        &self.transfers
    }

    /// The transfers that were last said to be pending: number, transfer id, debit account.
    pub fn pending(&self) -> Vec<(usize, Uuid, u32)> {
        let numbered = self.transfers.iter().enumerate();
        let pending = numbered.filter_map(|(number, asked)| match asked.outcome {
            Outcome::Pending(id) => Some((number, id, asked.debit)),
            Outcome::Unknown | Outcome::Posted(_) | Outcome::Released | Outcome::Refused => None,
        });
        pending.collect()
    }
}

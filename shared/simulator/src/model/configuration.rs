//! Who takes part in a model.

use super::world::COMMITS_MAX;

/// A small wallet, and what is asked of it.
#[derive(Debug, Clone, Copy)]
pub struct Configuration {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is about, in a line.
    pub about: &'static str,
    /// How many shards there are.
    pub shards: u8,
    /// The accounts.
    pub accounts: &'static [AccountSpec],
    /// The transfers that clients ask for, over and over.
    pub transfers: &'static [TransferSpec],
    /// How often a slot moves, at most.
    pub moves: u8,
    /// How many commands may be unfinished at once, their commit being unknown.
    pub unfinished_max: usize,
}

/// An account.
#[derive(Debug, Clone, Copy)]
pub struct AccountSpec {
    /// The shard that has it at first.
    pub home: u8,
    /// What is in it at first.
    pub balance: i8,
    /// Whether an operator freezes and unfreezes it.
    pub is_frozen_at_times: bool,
    /// Where its slot may move.
    pub moves_to: &'static [u8],
}

/// A transfer that a client wants.
#[derive(Debug, Clone, Copy)]
pub struct TransferSpec {
    /// The account that pays.
    pub debit: usize,
    /// The account that is paid.
    pub credit: usize,
    /// How much.
    pub amount: i8,
    /// If it is to be reserved first, what follows then.
    pub hold: Option<HoldSpec>,
}

/// What clients do with a held transfer, all of it at any time.
#[derive(Debug, Clone, Copy)]
pub struct HoldSpec {
    /// Commits of all (`None`) or so much, each with a key of its own.
    pub commits: [Option<CommitSpec>; COMMITS_MAX],
    /// Whether one of them releases.
    pub is_released: bool,
}

/// A commit.
#[derive(Debug, Clone, Copy)]
pub enum CommitSpec {
    /// Of everything.
    All,
    /// Of so much.
    Part(i8),
}

const fn account(home: u8, balance: i8) -> AccountSpec {
    AccountSpec { home, balance, is_frozen_at_times: false, moves_to: &[] }
}

const fn at_once(debit: usize, credit: usize, amount: i8) -> TransferSpec {
    TransferSpec { debit, credit, amount, hold: None }
}

const fn held(debit: usize, credit: usize, amount: i8, commits: [Option<CommitSpec>; COMMITS_MAX]) -> TransferSpec {
    TransferSpec { debit, credit, amount, hold: Some(HoldSpec { commits, is_released: true }) }
}

const ALL_OR_PART: [Option<CommitSpec>; COMMITS_MAX] = [Some(CommitSpec::All), Some(CommitSpec::Part(1))];
const ALL: [Option<CommitSpec>; COMMITS_MAX] = [Some(CommitSpec::All), None];

impl Configuration {
    /// The small ones: each is visited whole within seconds.
    pub const SHORT: [Configuration; 4] = [
        Configuration {
            name: "held-between",
            about: "two shards, a held transfer between them with two commits, a release and the expiry",
            shards: 2,
            accounts: &[account(0, 3), AccountSpec { is_frozen_at_times: true, ..account(1, 0) }],
            transfers: &[held(0, 1, 2, ALL_OR_PART)],
            moves: 0,
            unfinished_max: 2,
        },
        Configuration {
            name: "held-within-moving",
            about: "two shards, a held transfer within one, whose slots move apart; commits of all and of too much",
            shards: 2,
            accounts: &[
                AccountSpec { moves_to: &[0, 1], ..account(0, 4) },
                AccountSpec { moves_to: &[0, 1], ..account(0, 0) },
            ],
            transfers: &[held(0, 1, 2, [Some(CommitSpec::All), Some(CommitSpec::Part(3))])],
            moves: 2,
            unfinished_max: 1,
        },
        Configuration {
            name: "one-each-way",
            about: "two shards, a transfer at once in each direction, one credit account frozen at times",
            shards: 2,
            accounts: &[account(0, 3), AccountSpec { is_frozen_at_times: true, ..account(1, 3) }],
            transfers: &[at_once(0, 1, 2), at_once(1, 0, 3)],
            moves: 0,
            unfinished_max: 1,
        },
        Configuration {
            name: "one-moving",
            about: "three shards, a transfer at once between two of them while both slots move",
            shards: 3,
            accounts: &[
                AccountSpec { moves_to: &[0, 1, 2], ..account(0, 3) },
                AccountSpec { moves_to: &[0, 1, 2], is_frozen_at_times: true, ..account(1, 1) },
            ],
            transfers: &[at_once(0, 1, 2)],
            moves: 2,
            unfinished_max: 2,
        },
    ];

    /// The large ones, in addition.
    pub const LONG: [Configuration; 6] = [
        Configuration {
            name: "held-and-once",
            about: "two shards, one account that cannot pay for both: a held transfer between shards and one at once",
            shards: 2,
            accounts: &[account(0, 3), AccountSpec { is_frozen_at_times: true, ..account(1, 0) }],
            transfers: &[held(0, 1, 2, ALL_OR_PART), at_once(0, 1, 2)],
            moves: 0,
            unfinished_max: 2,
        },
        Configuration {
            name: "held-against-held",
            about: "two shards, a held transfer in each direction",
            shards: 2,
            accounts: &[account(0, 2), AccountSpec { is_frozen_at_times: true, ..account(1, 2) }],
            transfers: &[held(0, 1, 2, ALL_OR_PART), held(1, 0, 2, ALL)],
            moves: 0,
            unfinished_max: 1,
        },
        Configuration {
            name: "held-within-and-away",
            about: "two shards, two accounts on one: a held transfer between these and one at once to the other shard",
            shards: 2,
            accounts: &[account(0, 3), AccountSpec { is_frozen_at_times: true, ..account(0, 0) }, account(1, 0)],
            transfers: &[held(0, 1, 2, ALL_OR_PART), at_once(0, 2, 1)],
            moves: 0,
            unfinished_max: 2,
        },
        Configuration {
            name: "meeting-on-one-shard",
            about: "two shards, a held transfer and one at once between accounts whose slots meet and part again",
            shards: 2,
            accounts: &[
                AccountSpec { moves_to: &[0, 1], ..account(0, 3) },
                AccountSpec { moves_to: &[0, 1], ..account(1, 0) },
            ],
            transfers: &[held(0, 1, 2, ALL), at_once(0, 1, 1)],
            moves: 2,
            unfinished_max: 1,
        },
        Configuration {
            name: "held-on-three-shards",
            about: "three shards, a held transfer between two of them while its credit account moves to the third",
            shards: 3,
            accounts: &[
                AccountSpec { moves_to: &[0, 1, 2], ..account(0, 2) },
                AccountSpec { moves_to: &[0, 1, 2], is_frozen_at_times: true, ..account(1, 0) },
            ],
            transfers: &[held(0, 1, 2, ALL_OR_PART)],
            moves: 3,
            unfinished_max: 2,
        },
        Configuration {
            name: "chain-on-three-shards",
            about: "three shards, two transfers at once in a chain, through an account whose slot moves between all",
            shards: 3,
            accounts: &[
                account(0, 2),
                AccountSpec { moves_to: &[0, 1, 2], is_frozen_at_times: true, ..account(1, 1) },
                account(2, 0),
            ],
            transfers: &[at_once(0, 1, 2), at_once(1, 2, 2)],
            moves: 2,
            unfinished_max: 2,
        },
    ];

    /// All of them, the small ones first.
    pub fn all() -> Vec<Configuration> {
        Configuration::SHORT.into_iter().chain(Configuration::LONG).collect()
    }
}

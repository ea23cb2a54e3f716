//! A state of the model. Small and flat, because there are millions of them.

use super::configuration::Configuration;
use ledger::Rejection;
use ledger::saga::DebitState;

/// The most accounts, transfers and shards of a model.
pub const ACCOUNTS_MAX: usize = 4;
/// The most transfers of a model.
pub const TRANSFERS_MAX: usize = 2;
/// The most shards of a model.
pub const SHARDS_MAX: usize = 3;
/// The most commands that may be unfinished at once.
pub const UNFINISHED_MAX: usize = 2;
/// How many keys a held transfer may be committed with.
pub const COMMITS_MAX: usize = 2;

/// Everything that is so at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct World {
    /// The accounts, each in a slot of its own.
    pub accounts: [Account; ACCOUNTS_MAX],
    /// The transfers, whether begun or not.
    pub transfers: [Transfer; TRANSFERS_MAX],
    /// The totals of the shards' clearing accounts.
    pub clearing: [i8; SHARDS_MAX],
    /// Volatile: commands whose commit broke off, each in the memory of a shard-node that will run it again. In order,
    /// with nothing at the end.
    pub unfinished: [Option<Unfinished>; UNFINISHED_MAX],
    /// How often a slot may still move.
    pub moves_left: u8,
    /// What no code may ever come to.
    pub fault: Option<Fault>,
}

/// A breach that is seen when it happens, and would leave no trace in the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The decision called its own books contradictory.
    Contradiction,
    /// A decision in an inbox was changed.
    DecisionChanged,
    /// A terminal transfer was changed.
    EndChanged,
    /// A client got two different final answers for one key.
    TwoAnswers,
    /// A key led to no transfer.
    TransferLost,
}

/// An account with its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Account {
    /// The row.
    pub row: AccountRow,
    /// The shard that owns the slot.
    pub owner: u8,
    /// The shards that own it or once did, as bits: where a message may be sent by an old map.
    pub owners_ever: u8,
}

/// The row of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct AccountRow {
    /// All money in it.
    pub balance: i8,
    /// The part set aside.
    pub reserved: i8,
    /// Whether an operator has frozen it.
    pub is_frozen: bool,
}

/// A transfer: its rows on both sides, its messages, and what its client was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Transfer {
    /// The key it is asked for with.
    pub key: Option<KeyRow>,
    /// The keys it is committed with.
    pub commit_keys: [Option<KeyRow>; COMMITS_MAX],
    /// The reservation.
    pub reservation: Option<ReservationRow>,
    /// Whether there is an outbox row.
    pub has_outbox: bool,
    /// The terminal row on the debit side.
    pub end: Option<End>,
    /// Whether the time of the hold has passed.
    pub is_due: bool,
    /// The decision on the credit side.
    pub inbox: Option<Verdict>,

    /// What has been debited for it in all.
    pub debited: i8,
    /// What has been credited for it in all.
    pub credited: i8,
    /// How often it was begun.
    pub begun: u8,
    /// How often a commit, release or expiry of it had an effect.
    pub winners: u8,
    /// The commits that had one, as bits.
    pub commits_won: u8,

    /// The amounts of the `credit`s on their way, as bits.
    pub credits_flying: u8,
    /// Whether a `void` is on its way.
    pub is_void_flying: bool,
    /// The decisions on their way back, as bits; see [`Verdict::ALL`].
    pub verdicts_flying: u8,

    /// Whether the client knows that it is reserved, and so its id.
    pub is_known: bool,
    /// The final answer under its key.
    pub told: Option<End>,
    /// The final answers under the keys of the commits.
    pub commits_told: [Option<End>; COMMITS_MAX],
    /// Whether a client was told that its release won.
    pub is_release_told: bool,
}

/// What a key was used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyRow {
    /// The transfer.
    Transfer,
    /// A refusal.
    Rejected(Rejection),
}

/// The row of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReservationRow {
    /// How far it has come.
    pub state: DebitState,
    /// What is set aside.
    pub amount: i8,
}

/// How a transfer or a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// The money has moved.
    Posted,
    /// It was set aside and given back.
    Released(Rejection),
    /// Nothing was done.
    Rejected(Rejection),
}

/// The credit side's decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The money is there.
    Credited,
    /// The account cannot take it.
    Refused(Rejection),
    /// The debit side gave up first.
    Voided,
}

impl Verdict {
    /// All that occur; the position is the bit in [`Transfer::verdicts_flying`]. The last one is only ever made up, by
    /// a bug.
    pub const ALL: [Verdict; 4] = [
        Verdict::Credited,
        Verdict::Voided,
        Verdict::Refused(Rejection::AccountFrozen),
        Verdict::Refused(Rejection::CreditAccountNotFound),
    ];

    /// Its bit.
    pub fn bit(self) -> u8 {
        Verdict::ALL.iter().position(|verdict| *verdict == self).map_or(0, |at| 1 << at)
    }
}

/// A command that a shard-node will run again, for it does not know whether it was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Unfinished {
    /// The shard-node's shard. There may be several of a shard.
    pub shard: u8,
    /// The command.
    pub message: Message,
}

/// A command on its way to a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Message {
    /// For which transfer.
    pub transfer: u8,
    /// What it asks for.
    pub ask: Ask,
}

/// What a command asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ask {
    /// The transfer, at once or to be held; a client's.
    Begin,
    /// To commit it with the key of that number; a client's.
    Commit(u8),
    /// To release it; a client's.
    Release,
    /// To expire it; the sweep's.
    Expire,
    /// To credit that much; the debit shard's.
    Credit(i8),
    /// To void it; the debit shard's.
    Void,
    /// To settle it; the credit shard's answer.
    Settle(Verdict),
}

impl World {
    /// Before anything has happened.
    pub fn initial(configuration: &Configuration) -> World {
        let mut accounts = [Account { row: AccountRow::default(), owner: 0, owners_ever: 1 }; ACCOUNTS_MAX];
        for (account, spec) in accounts.iter_mut().zip(configuration.accounts) {
            let row = AccountRow { balance: spec.balance, ..AccountRow::default() };
            *account = Account { row, owner: spec.home, owners_ever: 1 << spec.home };
        }
        World {
            accounts,
            transfers: [Transfer::default(); TRANSFERS_MAX],
            clearing: [0; SHARDS_MAX],
            unfinished: [None; UNFINISHED_MAX],
            moves_left: configuration.moves,
            fault: None,
        }
    }
}

impl World {
    /// Takes an unfinished command out.
    pub fn take_unfinished(&mut self, at: usize) -> Option<Unfinished> {
        let taken = self.unfinished[at].take();
        self.unfinished[at..].rotate_left(1);
        taken
    }

    /// Keeps a command, in an order that does not tell which came first. Without room it is forgotten, as if its
    /// shard-node had crashed too.
    pub fn keep_unfinished(&mut self, unfinished: Unfinished) {
        if let Some(room) = self.unfinished.iter_mut().find(|room| room.is_none()) {
            *room = Some(unfinished);
        }
        self.unfinished.sort_unstable_by_key(|kept| kept.map_or((true, 0, 0, 0), |kept| kept.rank()));
    }
}

impl Unfinished {
    fn rank(self) -> (bool, u8, u8, u8) {
        let Message { transfer, ask } = self.message;
        let ask = match ask {
            Ask::Begin => 0,
            Ask::Release => 1,
            Ask::Expire => 2,
            Ask::Void => 3,
            Ask::Settle(verdict) => 4 + verdict.bit(),
            Ask::Commit(number) => 32 + number,
            Ask::Credit(amount) => 64 + amount.unsigned_abs(),
        };
        (false, self.shard, transfer, ask)
    }
}

impl Transfer {
    /// Whether it waits for the other side.
    pub fn is_pending(&self) -> bool {
        let state = self.reservation.map(|reservation| reservation.state);
        matches!(state, Some(DebitState::Crediting | DebitState::Voiding))
    }
}

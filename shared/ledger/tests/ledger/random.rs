//! Random commands over few users, accounts, keys and sagas, so that they meet each other all the time.

use crate::give_back::REASONS;
use crate::shard::{Rows, Shard};
use crate::world::{andrew, andrews_transfer, currencies, nobody, region, shard_id, user};
use ledger::saga::{DebitState, Decision};
use ledger::{
    AMOUNT_LIMIT, Amount, Command, CommitTransfer, CreateAccount, CreditMessage, CreditTarget, ExpireTransfer,
    ExternalMove, KeyClaim, KeyHash, Ownership, Rejection, ReleaseTransfer, RequestFingerprint, ReserveTransfer,
    Settle, StatusChange, Timestamp, TransferCommand, UserId, VoidMessage,
};
use placement::{AccountId, Locality, Slot, TransferId};
use proptest::prelude::*;
use proptest::sample::Index;

const USERS: [&str; 3] = ["yunus", "nick", "olga"];
/// The last two are not offered.
const CURRENCIES: [&str; 4] = ["SGD", "EUR", "JPY", "x"];

/// What somebody wants, before it is said of which of the rows that exist by then.
#[derive(Debug, Clone)]
pub enum Wish {
    Transfer {
        debit: Index,
        is_foreign: bool,
        credit: Index,
        amount: i64,
        key: (u8, u8),
        message_chars: usize,
        /// For how long it is to be reserved, in seconds, if it is.
        hold: Option<u32>,
    },
    Commit {
        transfer: Index,
        is_foreign: bool,
        amount: Option<i64>,
        key: (u8, u8),
    },
    Release {
        transfer: Index,
        is_foreign: bool,
    },
    Expire {
        transfer: Index,
    },
    Deposit {
        account: Index,
        amount: i64,
        key: (u8, u8),
    },
    Withdraw {
        account: Index,
        amount: i64,
        key: (u8, u8),
    },
    Create {
        user: Index,
        currency: Index,
        region_known: bool,
        key: Option<(u8, u8)>,
    },
    SetStatus {
        account: Index,
        change: StatusChange,
    },
    Credit {
        saga: u64,
        account: Index,
        amount: i64,
        currency: Index,
    },
    Void {
        saga: u64,
        account: Index,
    },
    Settle {
        transfer: Index,
        decision: Decision,
    },
}

/// Runs leave no file behind.
pub fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Shard 1, which owns all of its region but the slot of "moved".
pub fn shard() -> Shard {
    let moved = Slot::of(region(1), Locality::of_user("moved"));
    let owned = Slot::all().filter(|slot| *slot != moved);
    let mut shard = Shard::new(shard_id(1), Ownership::new(region(1), owned), currencies());
    let wishes = [("yunus", "SGD"), ("yunus", "SGD"), ("nick", "SGD"), ("nick", "EUR"), ("olga", "SGD")];
    for (name, currency) in wishes {
        shard.ask(create(name, currency, true, None));
    }
    let ids: Vec<AccountId> = shard.rows.accounts.keys().copied().collect();
    for (number, account_id) in (200..).zip(ids) {
        let key = claim(account_id.slot(), (number, 0));
        shard.ask(Command::Deposit(ExternalMove { key, account_id, amount: Amount(500), reference: None }));
    }
    shard
}

/// Every integer that a client can write, mostly such as make sense.
pub fn amounts() -> impl Strategy<Value = i64> {
    let edges = [
        i64::MIN,
        -AMOUNT_LIMIT,
        -1,
        0,
        999_999,
        1_000_000,
        AMOUNT_LIMIT - 500,
        AMOUNT_LIMIT - 1,
        AMOUNT_LIMIT,
        AMOUNT_LIMIT + 1,
        i64::MAX,
    ];
    prop_oneof![8 => 1..=400_i64, 1 => Just(500), 1 => proptest::sample::select(edges.to_vec()), 1 => any::<i64>()]
}

fn keys() -> impl Strategy<Value = (u8, u8)> {
    // The second number is the request; mostly a client repeats the same one.
    (0..12_u8, prop_oneof![5 => Just(0_u8), 1 => Just(1)])
}

/// Lengths in characters.
fn messages() -> impl Strategy<Value = usize> {
    prop_oneof![10 => 0..=255_usize, 1 => Just(256)]
}

fn changes() -> impl Strategy<Value = StatusChange> {
    use StatusChange::{Close, Freeze, Unfreeze};
    prop_oneof![2 => Just(Freeze), 4 => Just(Unfreeze), 2 => Just(Close)]
}

fn decisions() -> impl Strategy<Value = Decision> {
    // No shard refuses a credit with what only a client or the due time can bring about.
    let refusals: Vec<_> = Rejection::ALL.into_iter().filter(|reason| !REASONS.contains(reason)).collect();
    prop_oneof![
        3 => Just(Decision::Credited { credit_user_id: user("andrew") }),
        1 => proptest::sample::select(refusals).prop_map(Decision::Refused),
        1 => Just(Decision::Voided),
    ]
}

pub fn wishes() -> impl Strategy<Value = Wish> {
    let index = any::<Index>;
    let is_foreign = || proptest::bool::weighted(0.1);
    let hold = prop_oneof![2 => Just(None), 2 => (0..=3_u32).prop_map(Some)];
    let transfers = (index(), is_foreign(), index(), amounts(), keys(), messages(), hold);
    let commits = (index(), is_foreign(), proptest::option::of(amounts()), keys());
    let creations = (index(), index(), proptest::bool::weighted(0.9), proptest::option::of(keys()));
    prop_oneof![
        12 => transfers.prop_map(|(debit, is_foreign, credit, amount, key, message_chars, hold)| {
            Wish::Transfer { debit, is_foreign, credit, amount, key, message_chars, hold }
        }),
        5 => commits.prop_map(|(transfer, is_foreign, amount, key)| {
            Wish::Commit { transfer, is_foreign, amount, key }
        }),
        2 => (index(), is_foreign()).prop_map(|(transfer, is_foreign)| Wish::Release { transfer, is_foreign }),
        2 => index().prop_map(|transfer| Wish::Expire { transfer }),
        2 => (index(), amounts(), keys()).prop_map(|(account, amount, key)| Wish::Deposit { account, amount, key }),
        2 => (index(), amounts(), keys()).prop_map(|(account, amount, key)| Wish::Withdraw { account, amount, key }),
        1 => creations.prop_map(|(user, currency, region_known, key)| {
            Wish::Create { user, currency, region_known, key }
        }),
        1 => (index(), changes()).prop_map(|(account, change)| Wish::SetStatus { account, change }),
        3 => (0..6_u64, index(), amounts(), index()).prop_map(|(saga, account, amount, currency)| {
            Wish::Credit { saga, account, amount, currency }
        }),
        1 => (0..6_u64, index()).prop_map(|(saga, account)| Wish::Void { saga, account }),
        4 => (index(), decisions()).prop_map(|(transfer, decision)| Wish::Settle { transfer, decision }),
    ]
}

pub fn batch() -> impl Strategy<Value = Vec<Wish>> {
    proptest::collection::vec(wishes(), 0..24)
}

impl Wish {
    /// The command, now that the rows are known.
    pub fn command(&self, rows: &Rows) -> Command {
        let account = |index: &Index| *index.get(&accounts(rows));
        let external = |index: &Index, amount: i64, number: (u8, u8)| {
            let account_id = account(index);
            ExternalMove { key: claim(account_id.slot(), number), account_id, amount: Amount(amount), reference: None }
        };
        match self {
            Wish::Transfer { debit, is_foreign, credit, amount, key, message_chars, hold } => {
                let debit_account_id = account(debit);
                let holder = rows.accounts.get(&debit_account_id).map(|account| account.user_id.clone());
                let transfer = TransferCommand {
                    key: claim(debit_account_id.slot(), *key),
                    caller: holder.filter(|_| !is_foreign).unwrap_or(user("mallory")),
                    debit_account_id,
                    credit: *credit.get(&targets(rows)),
                    amount: Amount(*amount),
                    message: Some("m".repeat(*message_chars)),
                    reference: None,
                };
                match *hold {
                    None => Command::Transfer(transfer),
                    Some(expires_in_seconds) => Command::Reserve(ReserveTransfer { transfer, expires_in_seconds }),
                }
            }
            Wish::Commit { transfer, is_foreign, amount, key } => {
                let (transfer_id, caller) = reserved(rows, transfer, *is_foreign);
                let (key, amount) = (claim(transfer_id.slot(), *key), amount.map(Amount));
                Command::Commit(CommitTransfer { key, caller, transfer_id, amount })
            }
            Wish::Release { transfer, is_foreign } => {
                let (transfer_id, caller) = reserved(rows, transfer, *is_foreign);
                Command::Release(ReleaseTransfer { caller, transfer_id })
            }
            Wish::Expire { transfer } => {
                let (transfer_id, debit_account_id) = *transfer.get(&begun(rows, |_| true));
                Command::Expire(ExpireTransfer { transfer_id, debit_account_id })
            }
            Wish::Deposit { account, amount, key } => Command::Deposit(external(account, *amount, *key)),
            Wish::Withdraw { account, amount, key } => Command::Withdraw(external(account, *amount, *key)),
            Wish::Create { user, currency, region_known, key } => {
                create(USERS[user.index(3)], CURRENCIES[currency.index(4)], *region_known, *key)
            }
            Wish::SetStatus { account: index, change } => crate::world::set_status(account(index), *change),
            Wish::Credit { saga, account: index, amount, currency } => Command::Credit(CreditMessage {
                transfer_id: andrews_transfer(*saga),
                debit_shard: shard_id(2),
                debit_account_id: andrew(),
                debit_user_id: user("andrew"),
                credit_account_id: account(index),
                amount: Amount(*amount),
                currency: CURRENCIES[currency.index(2)].parse().unwrap(),
                message: None,
                created_at: Timestamp(0),
            }),
            Wish::Void { saga, account: index } => Command::Void(VoidMessage {
                transfer_id: andrews_transfer(*saga),
                debit_shard: shard_id(2),
                credit_account_id: account(index),
            }),
            Wish::Settle { transfer, decision } => settle(rows, transfer, decision),
        }
    }
}

fn settle(rows: &Rows, index: &Index, decision: &Decision) -> Command {
    // Of what is held no shard is asked to decide.
    let (transfer_id, debit_account_id) = *index.get(&begun(rows, |state| state != DebitState::Held));
    Command::Settle(Settle { transfer_id, debit_account_id, credit_shard: shard_id(2), decision: decision.clone() })
}

/// Transfers and their debit accounts, those that are open and in such a state more often than those that are over.
fn begun(rows: &Rows, is_wanted: fn(DebitState) -> bool) -> Vec<(TransferId, AccountId)> {
    let open = || {
        let wanted = rows.reservations.iter().filter(move |(_, reservation)| is_wanted(reservation.state));
        wanted.map(|(id, reservation)| (*id, reservation.credit.debit_account_id))
    };
    let over = rows.transfers.values().filter_map(|row| Some((row.transfer.id, row.transfer.debit_account_id?)));
    open().chain(open()).chain(over).chain([unknown()]).collect()
}

/// A transfer, and who commits or releases it.
fn reserved(rows: &Rows, index: &Index, is_foreign: bool) -> (TransferId, UserId) {
    let (transfer_id, debit_account_id) = *index.get(&begun(rows, |_| true));
    let holder = rows.accounts.get(&debit_account_id).map(|account| account.user_id.clone());
    (transfer_id, holder.filter(|_| !is_foreign).unwrap_or(user("mallory")))
}

fn unknown() -> (TransferId, AccountId) {
    (TransferId::new(1, nobody().region(), nobody().locality(), 1), nobody())
}

fn create(name: &str, currency: &str, region_known: bool, key: Option<(u8, u8)>) -> Command {
    let (region, locality) = (region(1), Locality::of_user(name));
    Command::CreateAccount(CreateAccount {
        key: key.map(|number| claim(Slot::of(region, locality), number)),
        user_id: user(name),
        name: "current".to_owned(),
        currency: currency.to_owned(),
        region,
        locality,
        region_known,
    })
}

/// Those that exist, three times as often as one that does not, one whose slot is owned by another shard, one of another region.
fn accounts(rows: &Rows) -> Vec<AccountId> {
    let moved = AccountId::new(region(1), Locality::of_user("moved"), 1);
    let existing = || rows.accounts.keys().copied();
    existing().chain(existing()).chain(existing()).chain([nobody(), moved, andrew()]).collect()
}

fn targets(rows: &Rows) -> Vec<CreditTarget> {
    let accounts = accounts(rows).into_iter().chain([andrew(); 5]).map(CreditTarget::Account);
    accounts.chain([CreditTarget::NoSuchAccount, CreditTarget::NoSuchUser]).collect()
}

fn claim(slot: Slot, (number, request): (u8, u8)) -> KeyClaim {
    let hash = KeyHash(u128::from(slot.get()) << 8 | u128::from(number));
    KeyClaim { hash, fingerprint: RequestFingerprint(request.into()) }
}

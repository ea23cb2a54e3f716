//! The cast: shard 1 owns region `sg` with yunus (1000 SGD) and nick (0 SGD, and an account in EUR); andrew
//! lives on shard 2 in region `eu`. And commands that succeed there as they stand, to be spoiled by tests.

use crate::shard::Shard;
use ledger::saga::{DebitState, Decision};
use ledger::{
    AMOUNT_LIMIT, Account, AccountStatus, Amount, Command, CommitTransfer, CreateAccount, CreditMessage, CreditTarget,
    Currency, CurrencyRules, Decided, Entry, ExpireTransfer, ExternalMove, KeyClaim, KeyHash, KeyRecord, Outcome,
    Ownership, PostedTransfer, Rejection, ReleaseTransfer, RequestFingerprint, Reservation, ReserveTransfer, SetStatus,
    Settle, StatusChange, Timestamp, Transfer, TransferCommand, TransferKind, TransferState, UserId, VoidMessage,
    Writes,
};
use placement::{AccountId, Locality, RegionCode, ShardId, Slot, TransferId};

/// The largest customer transfer in SGD.
pub const SGD_MAX: i64 = 999_999;
/// When everybody's account was made.
pub const FOUNDED: Timestamp = Timestamp(1_600_000_000_000_000);
/// How many entries every account's history has at first.
pub const ENTRIES_BEFORE: i64 = 10;

pub fn region(code: u8) -> RegionCode {
    RegionCode::try_from(code).unwrap()
}

pub fn shard_id(number: u16) -> ShardId {
    ShardId::try_from(number).unwrap()
}

pub fn sgd() -> Currency {
    "SGD".parse().unwrap()
}

pub fn eur() -> Currency {
    "EUR".parse().unwrap()
}

pub fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

fn account_id(region_code: u8, name: &str, discriminator: u16) -> AccountId {
    AccountId::new(region(region_code), Locality::of_user(name), discriminator)
}

pub fn yunus() -> AccountId {
    account_id(1, "yunus", 1)
}

pub fn nick() -> AccountId {
    account_id(1, "nick", 1)
}

pub fn nick_eur() -> AccountId {
    account_id(1, "nick", 2)
}

/// On the other shard.
pub fn andrew() -> AccountId {
    account_id(2, "andrew", 1)
}

/// In this shard's region, but nobody's.
pub fn nobody() -> AccountId {
    account_id(1, "nobody", 1)
}

/// A transfer that andrew has begun on the other shard.
pub fn andrews_transfer(number: u64) -> TransferId {
    TransferId::new(1_699_999_999_000, andrew().region(), andrew().locality(), number)
}

/// A transfer of yunus's that nobody has begun.
pub fn yunus_transfer() -> TransferId {
    TransferId::new(1_699_999_999_000, yunus().region(), yunus().locality(), 1)
}

pub fn currencies() -> Vec<CurrencyRules> {
    let rules = |currency, max| CurrencyRules { currency, transfer_amount_max: Amount(max) };
    vec![rules(sgd(), SGD_MAX), rules(eur(), AMOUNT_LIMIT)]
}

/// An open account that holds so much.
pub fn account(id: AccountId, name: &str, currency: Currency, balance: i64) -> Account {
    Account {
        id,
        user_id: user(name),
        name: "current".to_owned(),
        currency,
        balance: Amount(balance),
        reserved: Amount(0),
        entry_count: ENTRIES_BEFORE,
        status: AccountStatus::Open,
        created_at: FOUNDED,
    }
}

/// Shard 1 with everybody in it.
pub fn shard() -> Shard {
    let mut shard = Shard::new(shard_id(1), Ownership::new(region(1), Slot::all()), currencies());
    for account in [
        account(yunus(), "yunus", sgd(), 1_000),
        account(nick(), "nick", sgd(), 0),
        account(nick_eur(), "nick", eur(), 500),
    ] {
        shard.rows.accounts.insert(account.id, account);
    }
    shard
}

/// Key and request number `number`.
pub fn key(number: u128) -> KeyClaim {
    KeyClaim { hash: KeyHash(number), fingerprint: RequestFingerprint(number) }
}

/// The same key for another request.
pub fn reused(key: KeyClaim) -> KeyClaim {
    KeyClaim { fingerprint: RequestFingerprint(key.fingerprint.0 + 1), ..key }
}

/// yunus to nick, 100 SGD.
pub fn transfer() -> TransferCommand {
    TransferCommand {
        key: key(1),
        caller: user("yunus"),
        debit_account_id: yunus(),
        credit: CreditTarget::Account(nick()),
        amount: Amount(100),
        message: Some("lunch".to_owned()),
        reference: Some("order-7".to_owned()),
    }
}

/// yunus to andrew, 100 SGD.
pub fn transfer_away() -> TransferCommand {
    TransferCommand { credit: CreditTarget::Account(andrew()), ..transfer() }
}

/// 100 SGD into or out of yunus's account.
pub fn external() -> ExternalMove {
    ExternalMove { key: key(2), account_id: yunus(), amount: Amount(100), reference: Some("bank-1".to_owned()) }
}

/// A first account for olga.
pub fn create() -> CreateAccount {
    CreateAccount {
        key: Some(key(3)),
        user_id: user("olga"),
        name: "savings".to_owned(),
        currency: "SGD".to_owned(),
        region: region(1),
        locality: Locality::of_user("olga"),
        region_known: true,
    }
}

pub fn set_status(account_id: AccountId, change: StatusChange) -> Command {
    Command::SetStatus(SetStatus { account_id, change })
}

/// andrew to nick, 100 SGD.
pub fn credit() -> CreditMessage {
    CreditMessage {
        transfer_id: andrews_transfer(1),
        debit_shard: shard_id(2),
        debit_account_id: andrew(),
        debit_user_id: user("andrew"),
        credit_account_id: nick(),
        amount: Amount(100),
        currency: sgd(),
        message: Some("rent".to_owned()),
        created_at: Timestamp(1_699_999_999_000_000),
    }
}

/// andrew's shard gives [`credit`] up.
pub fn void() -> VoidMessage {
    VoidMessage { transfer_id: andrews_transfer(1), debit_shard: shard_id(2), credit_account_id: nick() }
}

/// Puts 100 SGD of yunus's aside for andrew, and returns the transfer.
pub fn reserved(shard: &mut Shard, state: DebitState) -> Transfer {
    let (outcome, _) = shard.ask(Command::Transfer(transfer_away()));
    let transfer = transfer_of(outcome);
    let reservation = shard.rows.reservations.get_mut(&transfer.id).unwrap();
    *reservation = Reservation { state, ..reservation.clone() };
    transfer
}

/// What an outcome that must be a transfer says of it.
pub fn transfer_of(outcome: Outcome) -> Transfer {
    match outcome {
        Outcome::Decided(Decided::Transfer(transfer)) => transfer,
        other => panic!("this succeeds: {other:?}"),
    }
}

/// How long [`hold`] lasts.
pub const HOLD_SECONDS: u32 = 60;

/// The transfer, to be reserved first.
pub fn reserve(transfer: TransferCommand) -> Command {
    Command::Reserve(ReserveTransfer { transfer, expires_in_seconds: HOLD_SECONDS })
}

/// Puts 100 SGD of yunus's aside until yunus commits or releases them, for nick or for andrew.
pub fn hold(shard: &mut Shard, transfer: TransferCommand) -> Transfer {
    let (outcome, _) = shard.ask(reserve(transfer));
    transfer_of(outcome)
}

/// yunus commits; `None` is all of it.
pub fn commit(transfer_id: TransferId, amount: Option<i64>) -> CommitTransfer {
    CommitTransfer { key: key(50), caller: user("yunus"), transfer_id, amount: amount.map(Amount) }
}

/// yunus releases.
pub fn release(transfer_id: TransferId) -> Command {
    Command::Release(ReleaseTransfer { caller: user("yunus"), transfer_id })
}

/// The sweep has found that a transfer of yunus's is due.
pub fn expire(transfer_id: TransferId) -> Command {
    Command::Expire(ExpireTransfer { transfer_id, debit_account_id: yunus() })
}

/// The other shard's decision about a transfer of yunus's.
pub fn settle(transfer_id: TransferId, decision: Decision) -> Command {
    Command::Settle(Settle { transfer_id, debit_account_id: yunus(), credit_shard: shard_id(2), decision })
}

pub fn credited() -> Decision {
    Decision::Credited { credit_user_id: user("andrew") }
}

/// The entry that comes `nth` after those before the test.
pub fn entry(nth: i64, balance_after: i64) -> Option<Entry> {
    Some(Entry { number: ENTRIES_BEFORE + nth, balance_after: Amount(balance_after) })
}

/// The transfer that [`transfer`] asks for, as it is when the shard has just begun on it.
pub fn begun(command: &TransferCommand, id: TransferId, now: Timestamp) -> Transfer {
    Transfer {
        id,
        kind: TransferKind::Transfer,
        state: TransferState::Pending,
        reason: None,
        debit_account_id: Some(command.debit_account_id),
        credit_account_id: match command.credit {
            CreditTarget::Account(id) => Some(id),
            CreditTarget::NoSuchAccount | CreditTarget::NoSuchUser | CreditTarget::Unresolved => None,
        },
        amount: command.amount,
        currency: sgd(),
        message: command.message.clone(),
        reference: command.reference.clone(),
        created_at: now,
        decided_at: None,
        debit_user_id: Some(command.caller.clone()),
        credit_user_id: None,
        hold: None,
    }
}

/// All that a refused transfer leaves: its row without sides, and its key.
pub fn refusal(transfer: Transfer, slot: Slot, key: KeyClaim, rejection: Rejection) -> Writes {
    let id = transfer.id;
    let decided_at = Some(transfer.created_at);
    let transfer = Transfer { state: TransferState::Rejected, reason: Some(rejection), decided_at, ..transfer };
    Writes {
        transfers: vec![PostedTransfer { transfer, debit: None, credit: None, remote_user_id: None }],
        keys: vec![KeyRecord { rejection: Some(rejection), ..key_of(slot, key, id) }],
        ..Writes::default()
    }
}

/// The record of a key that became a transfer.
pub fn key_of(slot: Slot, key: KeyClaim, id: TransferId) -> KeyRecord {
    let (hash, fingerprint) = (key.hash, key.fingerprint);
    KeyRecord { slot, hash, fingerprint, transfer_id: Some(id), account_id: None, rejection: None }
}

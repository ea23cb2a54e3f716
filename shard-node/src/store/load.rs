//! Reading, under their locks, the rows that a batch touches.
//!
//! Every reader goes out in one flush: what a batch needs is known from its commands alone. Locks are taken
//! in one order everywhere (fence, localities, accounts, reservations), so that batches cannot deadlock.

use super::codes::{self, Unreadable};
use super::times::to_micros;
use ledger::saga::Decision;
use ledger::{
    Account, Amount, Command, CommitTransfer, CreditMessage, CreditTarget, Hold, KeyHash, Neighbourhood, RecordedKey,
    ReleaseTransfer, RequestFingerprint, Reservation, ReserveTransfer, Stamped, Timestamp,
};
use placement::{AccountId, Locality, RegionCode, ShardId, TransferId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tokio_postgres::Row;
use uuid::Uuid;

/// One maker of accounts at a time in a locality: the limit on a user's accounts is counted.
pub(super) const NEIGHBOURS_LOCK: &str = "SELECT pg_advisory_xact_lock(low) \
     FROM (SELECT DISTINCT low FROM unnest($1::bigint[]) AS low ORDER BY low) AS ordered";
pub(super) const NEIGHBOURS: &str = "SELECT wanted.low, accounts.id, accounts.user_id \
     FROM unnest($1::bigint[], $2::bigint[]) AS wanted (low, high) \
     JOIN accounts ON accounts.id BETWEEN wanted.low AND wanted.high";
/// On the one table, for a join does not promise the order of its locks.
pub(super) const ACCOUNTS: &str = "SELECT id, user_id, name, currency, balance, reserved, entry_count, status, created_at \
     FROM accounts WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE";
/// The same, for commands that name a transfer and so its accounts. A reservation's accounts never change; one placed
/// meanwhile has an id that nobody can know yet.
pub(super) const ACCOUNTS_WITH_HELD: &str = "SELECT id, user_id, name, currency, balance, reserved, entry_count, status, \
     created_at FROM accounts WHERE id = ANY($1::bigint[] \
         || ARRAY(SELECT debit_account FROM reservations WHERE transfer_id = ANY($2)) \
         || ARRAY(SELECT credit_account FROM reservations WHERE transfer_id = ANY($2))) \
     ORDER BY id FOR NO KEY UPDATE";
pub(super) const KEYS: &str = "SELECT key_hash, fingerprint, transfer_id, account_id, rejection \
     FROM unnest($1::smallint[], $2::uuid[]) AS wanted (slot, key_hash) JOIN idempotency USING (slot, key_hash)";
pub(super) const RESERVATIONS: &str = "SELECT transfer_id, state, debit_account, debit_user, credit_account, amount, \
     currency, message, reference, created_at, amount_reserved, expires_at, slot, committed_at \
     FROM reservations WHERE transfer_id = ANY($1) ORDER BY transfer_id FOR UPDATE";
pub(super) const INBOX: &str = "SELECT inbox.transfer_id, decision, reason, credit_user \
     FROM unnest($1::uuid[]) AS wanted (transfer_id) JOIN inbox USING (transfer_id)";
/// Read once the rows are locked, so that it never goes back along an account's entries.
pub(super) const NOW: &str = "SELECT clock_timestamp()";

/// The keys of the rows that a batch touches.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub accounts: Vec<i64>,
    pub key_slots: Vec<i16>,
    pub key_hashes: Vec<Uuid>,
    pub reservations: Vec<Uuid>,
    /// Those among them whose accounts the commands do not name.
    pub held: Vec<Uuid>,
    pub inbox: Vec<Uuid>,
    pub localities_low: Vec<i64>,
    pub localities_high: Vec<i64>,
}

impl Wanted {
    pub fn by(batch: &[Stamped]) -> Wanted {
        let mut wanted = Wanted::default();
        let (mut accounts, mut localities) = (BTreeSet::new(), BTreeMap::new());
        for Stamped { command, .. } in batch {
            if let Some(key) = command.key() {
                // A slot is below 4096.
                wanted.key_slots.push(command.slot().get().cast_signed());
                wanted.key_hashes.push(Uuid::from_u128(key.hash.0));
            }
            match command {
                Command::Transfer(transfer) | Command::Reserve(ReserveTransfer { transfer, .. }) => {
                    accounts.insert(transfer.debit_account_id);
                    if let CreditTarget::Account(credit) = transfer.credit {
                        accounts.insert(credit);
                    }
                }
                Command::Commit(CommitTransfer { transfer_id, .. })
                | Command::Release(ReleaseTransfer { transfer_id, .. }) => wanted.held.push(transfer_id.uuid()),
                Command::Expire(expire) => {
                    accounts.insert(expire.debit_account_id);
                    wanted.reservations.push(expire.transfer_id.uuid());
                }
                Command::Deposit(external) | Command::Withdraw(external) => drop(accounts.insert(external.account_id)),
                Command::SetStatus(set) => drop(accounts.insert(set.account_id)),
                Command::CreateAccount(create) => {
                    let range = AccountId::locality_range(create.region, create.locality);
                    localities.insert(range.start().as_i64(), range.end().as_i64());
                }
                Command::Credit(credit) => {
                    accounts.insert(credit.credit_account_id);
                    wanted.inbox.push(credit.transfer_id.uuid());
                }
                Command::Void(void) => wanted.inbox.push(void.transfer_id.uuid()),
                Command::Settle(settle) => {
                    accounts.insert(settle.debit_account_id);
                    wanted.reservations.push(settle.transfer_id.uuid());
                }
            }
        }
        wanted.reservations.extend(&wanted.held);
        wanted.accounts = accounts.into_iter().map(AccountId::as_i64).collect();
        (wanted.localities_low, wanted.localities_high) = localities.into_iter().unzip();
        wanted
    }
}

/// The order of the columns of [`ACCOUNTS`], also used by the readers.
pub(super) fn account(row: &Row) -> Result<Account, Unreadable> {
    let currency: &str = row.get(3);
    Ok(Account {
        id: account_id(row.get(0))?,
        user_id: codes::user_id(row.get(1))?,
        name: row.get(2),
        currency: currency.parse().map_err(Unreadable::because)?,
        balance: Amount(row.get(4)),
        reserved: Amount(row.get(5)),
        entry_count: row.get(6),
        status: codes::status(row.get(7))?,
        created_at: to_micros(row.get(8)),
    })
}

pub(super) fn account_id(stored: i64) -> Result<AccountId, Unreadable> {
    AccountId::try_from(stored).map_err(Unreadable::because)
}

pub(super) fn transfer_id(stored: Uuid) -> Result<TransferId, Unreadable> {
    TransferId::try_from(stored).map_err(Unreadable::because)
}

pub(super) fn accounts(rows: &[Row]) -> Result<HashMap<AccountId, Account>, Unreadable> {
    rows.iter().map(|row| account(row).map(|account| (account.id, account))).collect()
}

pub(super) fn keys(rows: &[Row]) -> Result<HashMap<KeyHash, RecordedKey>, Unreadable> {
    let recorded = rows.iter().map(|row| {
        let hash = KeyHash(row.get::<_, Uuid>(0).as_u128());
        let key = RecordedKey {
            fingerprint: RequestFingerprint(row.get::<_, Uuid>(1).as_u128()),
            transfer_id: row.get::<_, Option<Uuid>>(2).map(transfer_id).transpose()?,
            account_id: row.get::<_, Option<i64>>(3).map(account_id).transpose()?,
            rejection: row.get::<_, Option<i16>>(4).map(codes::rejection).transpose()?,
        };
        Ok((hash, key))
    });
    recorded.collect()
}

pub(super) fn inbox(rows: &[Row]) -> Result<HashMap<TransferId, Decision>, Unreadable> {
    let decided = rows.iter().map(|row| {
        let decision = codes::decision(row.get(1), row.get(2), row.get(3))?;
        Ok((transfer_id(row.get(0))?, decision))
    });
    decided.collect()
}

pub(super) fn reservations(rows: &[Row], shard: ShardId) -> Result<HashMap<TransferId, Reservation>, Unreadable> {
    let open = rows.iter().map(|row| reservation(row, shard).map(|held| (held.credit.transfer_id, held)));
    open.collect()
}

/// The order of the columns of [`RESERVATIONS`], also used by the readers and the outbox.
pub(super) fn reservation(row: &Row, shard: ShardId) -> Result<Reservation, Unreadable> {
    let currency: &str = row.get(6);
    Ok(Reservation {
        state: codes::debit_state(row.get(1))?,
        credit: CreditMessage {
            transfer_id: transfer_id(row.get(0))?,
            debit_shard: shard,
            debit_account_id: account_id(row.get(2))?,
            debit_user_id: codes::user_id(row.get(3))?,
            credit_account_id: account_id(row.get(4))?,
            amount: Amount(row.get(5)),
            currency: currency.parse().map_err(Unreadable::because)?,
            message: row.get(7),
            created_at: to_micros(row.get(9)),
        },
        reference: row.get(8),
        hold: hold(row, 10),
    })
}

/// The two columns from `first` on.
pub(super) fn hold(row: &Row, first: usize) -> Option<Hold> {
    let (amount, expires_at): (Option<i64>, Option<jiff::Timestamp>) = (row.get(first), row.get(first + 1));
    let (amount_reserved, expires_at) = (Amount(amount?), to_micros(expires_at?));
    Some(Hold { amount_reserved, expires_at })
}

pub(super) fn now(rows: &[Row]) -> Result<Timestamp, Unreadable> {
    let row = rows.first().ok_or_else(|| Unreadable("no time".to_owned()))?;
    Ok(to_micros(row.get(0)))
}

pub(super) fn neighbourhoods(
    batch: &[Stamped],
    rows: &[Row],
) -> Result<HashMap<(RegionCode, Locality), Neighbourhood>, Unreadable> {
    let mut around: HashMap<(RegionCode, Locality), Neighbourhood> = HashMap::new();
    for Stamped { command, .. } in batch {
        if let Command::CreateAccount(create) = command {
            around.entry((create.region, create.locality)).or_default();
        }
    }
    for row in rows {
        let id = account_id(row.get(1))?;
        let neighbourhood = around.entry((id.region(), id.locality())).or_default();
        neighbourhood.taken.insert(id.discriminator());
        *neighbourhood.accounts_of.entry(codes::user_id(row.get(2))?).or_default() += 1;
    }
    Ok(around)
}

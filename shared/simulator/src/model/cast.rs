//! The real ids and commands that stand behind the model's small numbers.

use super::configuration::{CommitSpec, Configuration, TransferSpec};
use super::world::{ACCOUNTS_MAX, AccountRow, Ask, Message, ReservationRow, Verdict};
use ledger::saga::Decision;
use ledger::{
    Account, AccountStatus, Amount, Command, CommitTransfer, CreditMessage, CreditTarget, Currency, CurrencyRules,
    ExpireTransfer, Hold, KeyClaim, KeyHash, Ownership, ReleaseTransfer, RequestFingerprint, Reservation,
    ReserveTransfer, Settle, Timestamp, TransferCommand, UserId, VoidMessage,
};
use placement::{AccountId, InvalidId, Locality, RegionCode, ShardId, Slot, TransferId};

/// The time of everything.
pub(super) const NOW: Timestamp = Timestamp(1_700_000_000_000_000);
const HOLD_SECONDS: u32 = 60;
/// Whose accounts they are.
pub(super) const NAMES: [&str; ACCOUNTS_MAX] = ["yunus", "nick", "andrew", "olga"];

/// Everybody, and everything that is asked for.
#[derive(Debug)]
pub(super) struct Cast {
    pub region: RegionCode,
    pub shard: ShardId,
    pub currencies: [CurrencyRules; 1],
    holders: Vec<Holder>,
    pub transfers: Vec<(TransferSpec, TransferId)>,
}

#[derive(Debug)]
struct Holder {
    id: AccountId,
    user_id: UserId,
}

/// The model cannot be cast: a defect of its constants.
#[derive(Debug, thiserror::Error)]
pub enum CastError {
    /// An id is out of range.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// A name is no user id.
    #[error(transparent)]
    Name(#[from] ledger::InvalidText),
    /// The currency is none.
    #[error(transparent)]
    Currency(#[from] ledger::InvalidCurrency),
    /// Two accounts share a slot, which must be able to move by itself.
    #[error("two accounts share a slot")]
    SharedSlot,
}

impl Cast {
    pub fn of(configuration: &Configuration) -> Result<Cast, CastError> {
        let region = RegionCode::try_from(1)?;
        let holder = |name: &&str| -> Result<Holder, CastError> {
            Ok(Holder { id: AccountId::new(region, Locality::of_user(name), 1), user_id: name.parse()? })
        };
        let holders: Vec<Holder> = NAMES.iter().map(holder).collect::<Result<_, _>>()?;
        let slots: std::collections::BTreeSet<Slot> = holders.iter().map(|holder| holder.id.slot()).collect();
        if slots.len() != NAMES.len() {
            return Err(CastError::SharedSlot);
        }
        let id_of = |(number, spec): (u64, &TransferSpec)| {
            (*spec, TransferId::new(NOW.unix_ms(), region, holders[spec.debit].id.locality(), number))
        };
        let transfers = (1..).zip(configuration.transfers).map(id_of).collect();
        let currency: Currency = "SGD".parse()?;
        let currencies = [CurrencyRules { currency, transfer_amount_max: Amount(100) }];
        Ok(Cast { region, shard: ShardId::try_from(1)?, currencies, holders, transfers })
    }

    pub fn spec(&self, transfer: u8) -> &TransferSpec {
        &self.transfers[usize::from(transfer)].0
    }

    pub fn account_id(&self, account: usize) -> AccountId {
        self.holders[account].id
    }

    pub fn ownership(&self, owned: impl IntoIterator<Item = usize>) -> Ownership {
        Ownership::new(self.region, owned.into_iter().map(|account| self.account_id(account).slot()))
    }

    pub fn account(&self, account: usize, row: AccountRow) -> Account {
        let Holder { id, user_id } = &self.holders[account];
        Account {
            id: *id,
            user_id: user_id.clone(),
            name: "current".to_owned(),
            currency: self.currencies[0].currency,
            balance: Amount(row.balance.into()),
            reserved: Amount(row.reserved.into()),
            entry_count: 1,
            status: if row.is_frozen { AccountStatus::Frozen } else { AccountStatus::Open },
            created_at: NOW,
        }
    }

    /// What was set aside at first, if the transfer is held.
    fn hold(&self, transfer: u8, is_due: bool) -> Option<Hold> {
        let spec = self.spec(transfer);
        let expires_at = if is_due { NOW } else { Timestamp(NOW.0 + 1_000_000) };
        spec.hold.map(|_| Hold { amount_reserved: Amount(spec.amount.into()), expires_at })
    }

    pub fn reservation(&self, transfer: u8, row: ReservationRow, is_due: bool) -> Reservation {
        let credit = self.credit(transfer, row.amount);
        Reservation { state: row.state, credit, reference: None, hold: self.hold(transfer, is_due) }
    }

    pub fn decision(&self, transfer: u8, verdict: Verdict) -> Decision {
        match verdict {
            Verdict::Credited => {
                Decision::Credited { credit_user_id: self.holders[self.spec(transfer).credit].user_id.clone() }
            }
            Verdict::Refused(reason) => Decision::Refused(reason),
            Verdict::Voided => Decision::Voided,
        }
    }

    /// The key of the transfer (`commit` is `None`) or of one of its commits.
    pub fn key(&self, transfer: u8, commit: Option<u8>) -> KeyClaim {
        let number = u128::from(transfer) * 10 + commit.map_or(0, |number| u128::from(number) + 1);
        KeyClaim { hash: KeyHash(number), fingerprint: RequestFingerprint(number) }
    }

    /// The command as it reaches the shard. A commit that nobody wants is one of everything.
    pub fn command(&self, message: Message) -> Command {
        let Message { transfer, ask } = message;
        let (spec, id) = self.transfers[usize::from(transfer)];
        let caller = self.holders[spec.debit].user_id.clone();
        let debit_account_id = self.account_id(spec.debit);
        match ask {
            Ask::Begin => self.begin(transfer),
            Ask::Commit(number) => Command::Commit(CommitTransfer {
                key: self.key(transfer, Some(number)),
                caller,
                transfer_id: id,
                amount: commit_amount(&spec, number).map(|amount| Amount(amount.into())),
            }),
            Ask::Release => Command::Release(ReleaseTransfer { caller, transfer_id: id }),
            Ask::Expire => Command::Expire(ExpireTransfer { transfer_id: id, debit_account_id }),
            Ask::Credit(amount) => Command::Credit(self.credit(transfer, amount)),
            Ask::Void => Command::Void(VoidMessage {
                transfer_id: id,
                debit_shard: self.shard,
                credit_account_id: self.account_id(spec.credit),
            }),
            Ask::Settle(verdict) => Command::Settle(Settle {
                transfer_id: id,
                debit_account_id,
                credit_shard: self.shard,
                decision: self.decision(transfer, verdict),
            }),
        }
    }

    fn begin(&self, transfer: u8) -> Command {
        let spec = self.spec(transfer);
        let command = TransferCommand {
            key: self.key(transfer, None),
            caller: self.holders[spec.debit].user_id.clone(),
            debit_account_id: self.account_id(spec.debit),
            credit: CreditTarget::Account(self.account_id(spec.credit)),
            amount: Amount(spec.amount.into()),
            message: None,
            reference: None,
        };
        match spec.hold {
            Some(_) => Command::Reserve(ReserveTransfer { transfer: command, expires_in_seconds: HOLD_SECONDS }),
            None => Command::Transfer(command),
        }
    }

    fn credit(&self, transfer: u8, amount: i8) -> CreditMessage {
        let (spec, id) = self.transfers[usize::from(transfer)];
        CreditMessage {
            transfer_id: id,
            debit_shard: self.shard,
            debit_account_id: self.account_id(spec.debit),
            debit_user_id: self.holders[spec.debit].user_id.clone(),
            credit_account_id: self.account_id(spec.credit),
            amount: Amount(amount.into()),
            currency: self.currencies[0].currency,
            message: None,
            created_at: NOW,
        }
    }
}

/// How much a commit asks for; `None` is everything.
pub(super) fn commit_amount(spec: &TransferSpec, number: u8) -> Option<i8> {
    match spec.hold?.commits[usize::from(number)]? {
        CommitSpec::All => None,
        CommitSpec::Part(amount) => Some(amount),
    }
}

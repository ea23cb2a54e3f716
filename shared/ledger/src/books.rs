//! What a batch is decided upon: rows read under their locks.

use crate::saga::{DebitState, Decision};
use crate::{
    Account, Amount, CreditMessage, Currency, CurrencyRules, Hold, KeyHash, Rejection, RequestFingerprint, Timestamp,
    Transfer, TransferState,
};
use placement::{AccountId, Locality, RegionCode, SLOT_COUNT, ShardId, Slot, TransferId};
use std::collections::{BTreeSet, HashMap};

/// Which slots this shard owns, as read under the fence of the same transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ownership {
    region: RegionCode,
    owned: Vec<bool>,
}

impl Ownership {
    /// The slots of `region` that may be written here.
    pub fn new(region: RegionCode, slots: impl IntoIterator<Item = Slot>) -> Self {
        let mut owned = vec![false; usize::from(SLOT_COUNT)];
        for slot in slots {
            owned[usize::from(slot.get())] = true;
        }
        Ownership { region, owned }
    }

    /// Whether the slot of that region is owned here.
    pub fn owns(&self, region: RegionCode, slot: Slot) -> bool {
        region == self.region && self.owned[usize::from(slot.get())]
    }

    /// Whether the account's slot is owned here.
    pub fn owns_account(&self, account: AccountId) -> bool {
        self.owns(account.region(), account.slot())
    }
}

/// What an idempotency key was used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedKey {
    /// The request it came with.
    pub fingerprint: RequestFingerprint,
    /// The transfer that came of it.
    pub transfer_id: Option<TransferId>,
    /// The account that came of it.
    pub account_id: Option<AccountId>,
    /// The refusal that came of it.
    pub rejection: Option<Rejection>,
}

/// An amount set aside for a transfer that its client has reserved, or that another shard decides; with the
/// message that asks for its credit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// How far the debit side has come; never terminal, for then the row is gone.
    pub state: DebitState,
    /// The message to the credit shard; all of the transfer is in it.
    pub credit: CreditMessage,
    /// For the caller's own books.
    pub reference: Option<String>,
    /// Of a two-step transfer, what was set aside at first and until when.
    pub hold: Option<Hold>,
}

impl Reservation {
    /// The open transfer that it stands for.
    pub fn as_transfer(&self) -> Transfer {
        let state = match self.state {
            DebitState::Held => TransferState::Reserved,
            DebitState::Crediting | DebitState::Voiding | DebitState::Committed | DebitState::Released(_) => {
                TransferState::Pending
            }
        };
        Transfer { state, reference: self.reference.clone(), hold: self.hold, ..self.credit.as_transfer() }
    }
}

/// The accounts that share a user's locality, for making another one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Neighbourhood {
    /// Discriminators in use, whoever's.
    pub taken: BTreeSet<u16>,
    /// How many accounts each user holds.
    pub accounts_of: HashMap<crate::UserId, usize>,
}

/// The rows that a batch touches. [`crate::decide`] changes them as it goes, so that each operation sees
/// the effects of those before it.
#[derive(Debug, Clone)]
pub struct Books<'a> {
    /// This shard.
    pub shard: ShardId,
    /// PostgreSQL's time, read once the rows were locked: never goes back between two batches that
    /// share an account.
    pub now: Timestamp,
    /// Which slots are owned here.
    pub ownership: &'a Ownership,
    /// The currencies of the topology.
    pub currencies: &'a [CurrencyRules],
    /// Every account named by the batch that exists here.
    pub accounts: HashMap<AccountId, Account>,
    /// Every key of the batch that was used before.
    pub keys: HashMap<KeyHash, RecordedKey>,
    /// Every open saga that the batch settles, and every reservation that it commits, releases or expires.
    pub reservations: HashMap<TransferId, Reservation>,
    /// Every decision recorded for the sagas that the batch credits or voids.
    pub inbox: HashMap<TransferId, Decision>,
    /// Around every account to be made.
    pub neighbourhoods: HashMap<(RegionCode, Locality), Neighbourhood>,
}

impl Books<'_> {
    /// The largest amount of one transfer in the currency, if the topology has it.
    pub fn transfer_amount_max(&self, currency: Currency) -> Option<Amount> {
        let rules = self.currencies.iter().find(|rules| rules.currency == currency);
        rules.map(|rules| rules.transfer_amount_max)
    }
}

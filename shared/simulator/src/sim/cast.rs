//! The people, their accounts, and where these are.

use ledger::{
    Amount, Command, CreateAccount, Currency, CurrencyRules, ExternalMove, KeyClaim, KeyHash, Ownership,
    RequestFingerprint, UserId,
};
use placement::{AccountId, Locality, RegionCode, ShardId, Slot};

/// What the simulation is played with.
#[derive(Debug)]
pub(super) struct Cast {
    pub currencies: Vec<CurrencyRules>,
    pub holders: Vec<Holder>,
}

/// A user with one account.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    pub user_id: UserId,
    pub account_id: AccountId,
    pub shard: usize,
    pub currency: Currency,
}

/// The cast cannot be made: a defect of its constants.
#[derive(Debug, thiserror::Error)]
pub enum CastError {
    /// An id is out of range.
    #[error(transparent)]
    Id(#[from] placement::InvalidId),
    /// A name is no user id.
    #[error(transparent)]
    Name(#[from] ledger::InvalidText),
    /// A currency is none.
    #[error(transparent)]
    Currency(#[from] ledger::InvalidCurrency),
}

/// Region, name, currency. Two shards share the first region by their slots, the third has the second.
const PEOPLE: [(u8, &str, &str); 9] = [
    (1, "yunus", "SGD"),
    (1, "nick", "SGD"),
    (1, "olga", "SGD"),
    (1, "wei", "SGD"),
    (1, "maria", "EUR"),
    (1, "ravi", "SGD"),
    (2, "andrew", "SGD"),
    (2, "ines", "SGD"),
    (2, "tom", "SGD"),
];

/// What everybody has at first.
pub(super) const FIRST_DEPOSIT: i64 = 300;

impl Cast {
    pub fn new() -> Result<Cast, CastError> {
        let holder = |(region, name, currency): &(u8, &str, &str)| -> Result<Holder, CastError> {
            let region = RegionCode::try_from(*region)?;
            // The discriminator that every command is stamped with.
            let account_id = AccountId::new(region, Locality::of_user(name), 1);
            let shard = shard_of(region, account_id.slot());
            Ok(Holder { user_id: name.parse()?, account_id, shard, currency: currency.parse()? })
        };
        let holders = PEOPLE.iter().map(holder).collect::<Result<Vec<_>, _>>()?;
        let rules = |text: &str| -> Result<CurrencyRules, CastError> {
            Ok(CurrencyRules { currency: text.parse()?, transfer_amount_max: Amount(1_000) })
        };
        Ok(Cast { currencies: vec![rules("SGD")?, rules("EUR")?], holders })
    }

    /// The shards, each with what it owns.
    pub fn shards() -> Result<Vec<(ShardId, Ownership)>, CastError> {
        let (first, second) = (RegionCode::try_from(1)?, RegionCode::try_from(2)?);
        let slots = |shard: usize, region| Slot::all().filter(move |slot| shard_of(region, *slot) == shard);
        Ok(vec![
            (ShardId::try_from(1)?, Ownership::new(first, slots(0, first))),
            (ShardId::try_from(2)?, Ownership::new(first, slots(1, first))),
            (ShardId::try_from(3)?, Ownership::new(second, slots(2, second))),
        ])
    }

    /// What founds a holder's account.
    pub fn founding(&self, number: u128, holder: &Holder) -> [Command; 2] {
        let key = KeyClaim { hash: KeyHash(number), fingerprint: RequestFingerprint(number) };
        let account_id = holder.account_id;
        let create = CreateAccount {
            key: None,
            user_id: holder.user_id.clone(),
            name: "current".to_owned(),
            currency: holder.currency.to_string(),
            region: account_id.region(),
            locality: account_id.locality(),
            region_known: true,
        };
        let deposit = ExternalMove { key, account_id, amount: Amount(FIRST_DEPOSIT), reference: None };
        [Command::CreateAccount(create), Command::Deposit(deposit)]
    }
}

/// The owner of a slot, for good: the simulation moves none (the model does).
pub(super) fn shard_of(region: RegionCode, slot: Slot) -> usize {
    match (region.get(), slot.get() % 2) {
        (1, 0) => 0,
        (1, _) => 1,
        _ => 2,
    }
}

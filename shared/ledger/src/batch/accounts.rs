//! Making accounts, and changing their status.

use super::{Deciding, UsedFor};
use crate::{
    ACCOUNTS_PER_USER_MAX, Account, AccountStatus, Amount, CreateAccount, Currency, Decided, Neighbourhood, Outcome,
    Rejection, SetStatus, StatusChange,
};
use placement::{AccountId, Slot};

impl Deciding<'_, '_> {
    pub(super) fn create_account(&mut self, command: &CreateAccount, fresh_discriminator: u16) -> Outcome {
        let slot = Slot::of(command.region, command.locality);
        match self.check_creation(command, fresh_discriminator) {
            Ok((currency, discriminator)) => self.open_account(command, slot, currency, discriminator),
            Err(rejection) => {
                if let Some(key) = command.key {
                    self.record_key(slot, key, UsedFor::Rejection(rejection, None));
                }
                Outcome::Decided(Decided::Rejected { rejection, transfer_id: None })
            }
        }
    }

    fn check_creation(&self, command: &CreateAccount, start: u16) -> Result<(Currency, u16), Rejection> {
        if !command.region_known {
            return Err(Rejection::RegionUnknown);
        }
        let currency: Currency = command.currency.parse().map_err(|_| Rejection::CurrencyUnknown)?;
        self.books.transfer_amount_max(currency).ok_or(Rejection::CurrencyUnknown)?;
        let empty = Neighbourhood::default();
        let around = self.books.neighbourhoods.get(&(command.region, command.locality)).unwrap_or(&empty);
        if around.accounts_of.get(&command.user_id).is_some_and(|&count| count >= ACCOUNTS_PER_USER_MAX) {
            return Err(Rejection::AccountLimitReached);
        }
        let discriminator = free_discriminator(around, start).ok_or(Rejection::AccountLimitReached)?;
        Ok((currency, discriminator))
    }

    fn open_account(&mut self, command: &CreateAccount, slot: Slot, currency: Currency, discriminator: u16) -> Outcome {
        let account = Account {
            id: AccountId::new(command.region, command.locality, discriminator),
            user_id: command.user_id.clone(),
            name: command.name.clone(),
            currency,
            balance: Amount::ZERO,
            reserved: Amount::ZERO,
            entry_count: 0,
            status: AccountStatus::Open,
            created_at: self.books.now,
        };
        let around = self.books.neighbourhoods.entry((command.region, command.locality)).or_default();
        around.taken.insert(discriminator);
        *around.accounts_of.entry(command.user_id.clone()).or_default() += 1;
        if let Some(key) = command.key {
            self.record_key(slot, key, UsedFor::Account(account.id));
        }
        self.writes.created.push(account.clone());
        Outcome::Decided(Decided::Account(account))
    }

    pub(super) fn set_status(&mut self, command: &SetStatus) -> Outcome {
        let Some(account) = self.books.accounts.get_mut(&command.account_id) else {
            return Outcome::NotFound;
        };
        let status = match (account.status, command.change) {
            (AccountStatus::Closed, StatusChange::Close) => AccountStatus::Closed,
            (AccountStatus::Closed, StatusChange::Freeze | StatusChange::Unfreeze) => return Outcome::AccountIsClosed,
            (AccountStatus::Open | AccountStatus::Frozen, StatusChange::Freeze) => AccountStatus::Frozen,
            (AccountStatus::Open | AccountStatus::Frozen, StatusChange::Unfreeze) => AccountStatus::Open,
            (AccountStatus::Open | AccountStatus::Frozen, StatusChange::Close) => AccountStatus::Closed,
        };
        if status == AccountStatus::Closed && account.balance != Amount::ZERO {
            return Outcome::AccountNotEmpty;
        }
        if account.status != status {
            account.status = status;
            self.writes.changed.insert(command.account_id);
        }
        Outcome::Decided(Decided::Account(account.clone()))
    }
}

/// The first free discriminator from a random start on, around the end; `None` if all 65,536 are taken.
fn free_discriminator(around: &Neighbourhood, start: u16) -> Option<u16> {
    let candidates = (0..=u16::MAX).map(|step| start.wrapping_add(step));
    candidates.into_iter().find(|candidate| !around.taken.contains(candidate))
}

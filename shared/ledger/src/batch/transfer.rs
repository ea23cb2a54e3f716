//! `POST /v1/transfers`: within the shard at once, between shards as the start of a saga, and on the client's wish
//! reserved first.

use super::{Deciding, UsedFor};
use crate::saga::DebitState;
use crate::{
    Account, AccountStatus, Amount, CreditMessage, CreditTarget, Decided, Hold, MESSAGE_CHARS_MAX, Outcome,
    PostedTransfer, Rejection, Reservation, Timestamp, Transfer, TransferCommand, TransferKind, TransferState,
};
use placement::{AccountId, TransferId};

/// Where the credit side is to be posted.
enum Route {
    Here(AccountId),
    Elsewhere(AccountId),
}

impl Deciding<'_, '_> {
    /// `expires_in_seconds`: the client wants the amount set aside, to be committed or released later.
    pub(super) fn transfer(
        &mut self,
        command: &TransferCommand,
        id: TransferId,
        expires_in_seconds: Option<u32>,
    ) -> Outcome {
        // Whose account it is comes before everything: a foreign account looks absent.
        let debit = match self.books.accounts.get(&command.debit_account_id) {
            Some(account) if account.user_id == command.caller => account,
            Some(_) | None => return Outcome::NotFound,
        };
        if command.credit == CreditTarget::Unresolved {
            return Outcome::Unresolved;
        }
        let transfer = self.begun(command, debit, id);
        let hold = expires_in_seconds.map(|seconds| self.hold(command.amount, seconds));
        match (self.check_transfer(command, debit), hold) {
            (Ok(Route::Here(credit) | Route::Elsewhere(credit)), Some(hold)) => {
                let transfer = Transfer { state: TransferState::Reserved, hold: Some(hold), ..transfer };
                self.reserve(command, transfer, credit, DebitState::Held)
            }
            (Ok(Route::Here(credit)), None) => self.post_locally(command, transfer, credit),
            (Ok(Route::Elsewhere(credit)), None) => self.reserve(command, transfer, credit, DebitState::Crediting),
            (Err(rejection), _) => {
                self.reject_transfer(command.key, command.debit_account_id.slot(), transfer, rejection)
            }
        }
    }

    /// The ladder. The order is part of the contract: the first that applies is the answer for ever.
    fn check_transfer(&self, command: &TransferCommand, debit: &Account) -> Result<Route, Rejection> {
        check_message(command.message.as_deref())?;
        self.check_amount(command.amount, debit)?;
        let credit = match command.credit {
            CreditTarget::Account(id) => id,
            CreditTarget::NoSuchAccount => return Err(Rejection::CreditAccountNotFound),
            CreditTarget::NoSuchUser | CreditTarget::Unresolved => return Err(Rejection::CreditUserNotFound),
        };
        if credit == debit.id {
            return Err(Rejection::SameAccount);
        }
        check_usable(debit)?;
        let route = match self.books.ownership.owns_account(credit) {
            true => Route::Here(credit),
            false => Route::Elsewhere(credit),
        };
        if let Route::Here(credit) = route {
            self.check_credit(credit, debit.currency, command.amount)?;
        }
        if debit.available() < command.amount {
            return Err(Rejection::InsufficientFunds);
        }
        Ok(route)
    }

    fn check_amount(&self, amount: Amount, debit: &Account) -> Result<(), Rejection> {
        let max = self.books.transfer_amount_max(debit.currency).ok_or(Rejection::CurrencyUnknown)?;
        match (Amount(1)..=max).contains(&amount) {
            true => Ok(()),
            false => Err(Rejection::AmountOutOfRange),
        }
    }

    /// What an account of this shard must be to receive the amount; the holder, if it is.
    pub(super) fn check_credit(
        &self,
        id: AccountId,
        currency: crate::Currency,
        amount: Amount,
    ) -> Result<&Account, Rejection> {
        let credit = self.books.accounts.get(&id).ok_or(Rejection::CreditAccountNotFound)?;
        check_usable(credit)?;
        if credit.currency != currency {
            return Err(Rejection::CurrencyMismatch);
        }
        credit.balance.checked_add(amount).ok_or(Rejection::LimitExceeded)?;
        Ok(credit)
    }

    fn begun(&self, command: &TransferCommand, debit: &Account, id: TransferId) -> Transfer {
        let credit_account_id = match command.credit {
            CreditTarget::Account(id) => Some(id),
            CreditTarget::NoSuchAccount | CreditTarget::NoSuchUser | CreditTarget::Unresolved => None,
        };
        let message = command.message.clone().filter(|text| check_message(Some(text)).is_ok());
        Transfer {
            id,
            kind: TransferKind::Transfer,
            state: TransferState::Pending,
            reason: None,
            debit_account_id: Some(debit.id),
            credit_account_id,
            amount: command.amount,
            currency: debit.currency,
            message,
            reference: command.reference.clone(),
            created_at: self.books.now,
            decided_at: None,
            debit_user_id: Some(debit.user_id.clone()),
            credit_user_id: None,
            hold: None,
        }
    }

    fn hold(&self, amount_reserved: Amount, expires_in_seconds: u32) -> Hold {
        let after = i64::from(expires_in_seconds) * 1_000_000;
        Hold { amount_reserved, expires_at: Timestamp(self.books.now.0.saturating_add(after)) }
    }

    /// Both sides in one row. After this point the transfer must succeed: the ladder has checked it.
    fn post_locally(&mut self, command: &TransferCommand, transfer: Transfer, credit: AccountId) -> Outcome {
        let debit_entry = self.post(command.debit_account_id, Amount(-command.amount.0));
        let credit_entry = self.post(credit, command.amount);
        let transfer = Transfer {
            state: TransferState::Posted,
            decided_at: Some(self.books.now),
            credit_user_id: self.books.accounts.get(&credit).map(|account| account.user_id.clone()),
            ..transfer
        };
        self.record_key(command.debit_account_id.slot(), command.key, UsedFor::Transfer(transfer.id));
        self.writes.transfers.push(PostedTransfer {
            transfer: transfer.clone(),
            debit: debit_entry,
            credit: credit_entry,
            remote_user_id: None,
        });
        Outcome::Decided(Decided::Transfer(transfer))
    }

    /// Sets the amount aside. Unless it is held for the client, the message to the credit shard goes to the outbox.
    fn reserve(
        &mut self,
        command: &TransferCommand,
        transfer: Transfer,
        credit: AccountId,
        state: DebitState,
    ) -> Outcome {
        if let Some(debit) = self.books.accounts.get_mut(&command.debit_account_id) {
            debit.reserved = Amount(debit.reserved.0 + command.amount.0);
            self.writes.changed.insert(debit.id);
        }
        let message = CreditMessage {
            transfer_id: transfer.id,
            debit_shard: self.books.shard,
            debit_account_id: command.debit_account_id,
            debit_user_id: command.caller.clone(),
            credit_account_id: credit,
            amount: command.amount,
            currency: transfer.currency,
            message: transfer.message.clone(),
            created_at: self.books.now,
        };
        let reservation =
            Reservation { state, credit: message, reference: command.reference.clone(), hold: transfer.hold };
        self.books.reservations.insert(transfer.id, reservation.clone());
        self.writes.reserved.push(reservation);
        self.record_key(command.debit_account_id.slot(), command.key, UsedFor::Transfer(transfer.id));
        Outcome::Decided(Decided::Transfer(transfer))
    }
}

fn check_message(message: Option<&str>) -> Result<(), Rejection> {
    match message.is_some_and(|text| text.chars().count() > MESSAGE_CHARS_MAX) {
        true => Err(Rejection::MessageTooLong),
        false => Ok(()),
    }
}

/// Whether new debits and credits are allowed.
pub(super) fn check_usable(account: &Account) -> Result<(), Rejection> {
    match account.status {
        AccountStatus::Open => Ok(()),
        AccountStatus::Frozen => Err(Rejection::AccountFrozen),
        AccountStatus::Closed => Err(Rejection::AccountClosed),
    }
}

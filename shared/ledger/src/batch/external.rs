//! Deposits and withdrawals: money entering and leaving through the external account.

use super::transfer::check_usable;
use super::{Deciding, UsedFor, check_bounds};
use crate::{
    Account, Amount, Counterpart, Decided, ExternalMove, Outcome, PostedTransfer, Rejection, Transfer, TransferKind,
    TransferState,
};
use placement::TransferId;

impl Deciding<'_, '_> {
    pub(super) fn deposit(&mut self, command: &ExternalMove, id: TransferId) -> Outcome {
        self.external(command, id, TransferKind::Deposit)
    }

    pub(super) fn withdraw(&mut self, command: &ExternalMove, id: TransferId) -> Outcome {
        self.external(command, id, TransferKind::Withdrawal)
    }

    fn external(&mut self, command: &ExternalMove, id: TransferId, kind: TransferKind) -> Outcome {
        let Some(account) = self.books.accounts.get(&command.account_id) else {
            return Outcome::NotFound;
        };
        let transfer = self.begun_external(command, account, id, kind);
        match check_external(command, account, kind) {
            Ok(change) => self.post_external(command, transfer, change),
            Err(rejection) => self.reject_transfer(command.key, command.account_id.slot(), transfer, rejection),
        }
    }

    fn begun_external(
        &self,
        command: &ExternalMove,
        account: &Account,
        id: TransferId,
        kind: TransferKind,
    ) -> Transfer {
        let account_id = Some(account.id);
        let user_id = Some(account.user_id.clone());
        let (debit, credit) = match kind {
            TransferKind::Withdrawal => ((account_id, user_id), (None, None)),
            TransferKind::Deposit | TransferKind::Transfer => ((None, None), (account_id, user_id)),
        };
        Transfer {
            id,
            kind,
            state: TransferState::Pending,
            reason: None,
            debit_account_id: debit.0,
            credit_account_id: credit.0,
            amount: command.amount,
            currency: account.currency,
            message: None,
            reference: command.reference.clone(),
            created_at: self.books.now,
            decided_at: None,
            debit_user_id: debit.1,
            credit_user_id: credit.1,
            hold: None,
        }
    }

    /// After this point the move must succeed: the ladder has checked it.
    fn post_external(&mut self, command: &ExternalMove, transfer: Transfer, change: Amount) -> Outcome {
        let entry = self.post(command.account_id, change);
        self.add_total(Counterpart::External, transfer.currency, Amount(-change.0));
        let transfer = Transfer { state: TransferState::Posted, decided_at: Some(self.books.now), ..transfer };
        let (debit, credit) = match transfer.kind {
            TransferKind::Withdrawal => (entry, None),
            TransferKind::Deposit | TransferKind::Transfer => (None, entry),
        };
        self.record_key(command.account_id.slot(), command.key, UsedFor::Transfer(transfer.id));
        let row = PostedTransfer { transfer: transfer.clone(), debit, credit, remote_user_id: None };
        self.writes.transfers.push(row);
        Outcome::Decided(Decided::Transfer(transfer))
    }
}

/// The ladder; what is added to the account's balance, if all is well.
fn check_external(command: &ExternalMove, account: &Account, kind: TransferKind) -> Result<Amount, Rejection> {
    check_bounds(command.amount)?;
    check_usable(account)?;
    match kind {
        TransferKind::Withdrawal if account.available() < command.amount => Err(Rejection::InsufficientFunds),
        TransferKind::Withdrawal => Ok(Amount(-command.amount.0)),
        TransferKind::Deposit | TransferKind::Transfer => {
            account.balance.checked_add(command.amount).ok_or(Rejection::LimitExceeded)?;
            Ok(command.amount)
        }
    }
}

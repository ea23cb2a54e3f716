//! A transfer as its shard would show it now.

use super::rows::Rows;
use ledger::saga::DebitState;
use ledger::{Reservation, Transfer, TransferKind, TransferState};
use placement::TransferId;

/// The terminal row, or what the reservation tells.
pub(super) fn transfer(rows: &Rows, id: TransferId) -> Option<Transfer> {
    let terminal = rows.transfers.get(&id).map(|row| row.transfer.clone());
    terminal.or_else(|| rows.reservations.get(&id).map(|held| open(&held.reservation)))
}

/// The open transfer of a reservation.
pub(super) fn open(reservation: &Reservation) -> Transfer {
    let credit = &reservation.credit;
    let state = match reservation.state {
        DebitState::Held => TransferState::Reserved,
        DebitState::Crediting | DebitState::Voiding | DebitState::Committed | DebitState::Released(_) => {
            TransferState::Pending
        }
    };
    Transfer {
        id: credit.transfer_id,
        kind: TransferKind::Transfer,
        state,
        reason: None,
        debit_account_id: Some(credit.debit_account_id),
        credit_account_id: Some(credit.credit_account_id),
        amount: credit.amount,
        currency: credit.currency,
        message: credit.message.clone(),
        reference: reservation.reference.clone(),
        created_at: credit.created_at,
        decided_at: None,
        debit_user_id: Some(credit.debit_user_id.clone()),
        credit_user_id: None,
        hold: reservation.hold,
    }
}

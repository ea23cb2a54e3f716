//! Commit, release and expiry of a transfer that its client has reserved: the first of them wins.

use super::settle::next_of;
use super::transfer::check_usable;
use super::{Deciding, UsedFor};
use crate::saga::{CreditPlace, DebitEvent, DebitState, Effect};
use crate::{
    Account, Amount, CommitTransfer, CreditMessage, Decided, ExpireTransfer, Outcome, PostedTransfer, Rejection,
    ReleaseTransfer, Reservation, Transfer, TransferState, UserId,
};

impl Deciding<'_, '_> {
    /// `POST /v1/transfers/{id}/commit`.
    pub(super) fn commit(&mut self, command: &CommitTransfer) -> Outcome {
        let Some(reservation) = self.books.reservations.get(&command.transfer_id).cloned() else {
            return Outcome::NotReserved(command.transfer_id);
        };
        let Some(debit) = self.debit_account_of(&reservation, &command.caller) else {
            return Outcome::NotFound;
        };
        if reservation.state != DebitState::Held {
            return Outcome::NotReserved(command.transfer_id);
        }
        let amount = command.amount.unwrap_or(reservation.credit.amount);
        if let Err(rejection) = check_commit(amount, &reservation, debit) {
            return self.refuse_commit(command, rejection);
        }
        let part =
            Reservation { credit: CreditMessage { amount, ..reservation.credit.clone() }, ..reservation.clone() };
        let outcome = match next_of(&reservation, DebitEvent::Commit(self.credit_place(&part))) {
            Some((_, Effect::PostBothSides)) => self.post_both_sides(&reservation, part),
            Some((state, Effect::SendCredit)) => self.begin_to_credit(&reservation, Reservation { state, ..part }),
            Some((DebitState::Released(reason), Effect::GiveBack)) => {
                self.give_back_rest(&reservation, &part);
                self.give_back(part, reason)
            }
            Some((_, Effect::NotReserved)) => return Outcome::NotReserved(command.transfer_id),
            Some(_) | None => return Outcome::Contradiction,
        };
        self.record_key(command.transfer_id.slot(), command.key, UsedFor::Transfer(command.transfer_id));
        outcome
    }

    /// `POST /v1/transfers/{id}/release`.
    pub(super) fn release(&mut self, command: &ReleaseTransfer) -> Outcome {
        let Some(reservation) = self.books.reservations.get(&command.transfer_id).cloned() else {
            return Outcome::NotReserved(command.transfer_id);
        };
        match self.debit_account_of(&reservation, &command.caller) {
            Some(_) => self.end_without_posting(reservation, DebitEvent::Release),
            None => Outcome::NotFound,
        }
    }

    /// From the sweep. The row's state beats its due time, and PostgreSQL's clock says whether that has passed.
    pub(super) fn expire(&mut self, command: &ExpireTransfer) -> Outcome {
        let now = self.books.now;
        let due = |reservation: &&Reservation| reservation.hold.is_some_and(|hold| hold.expires_at <= now);
        let Some(reservation) = self.books.reservations.get(&command.transfer_id).filter(due).cloned() else {
            return Outcome::Decided(Decided::AlreadySettled);
        };
        match self.end_without_posting(reservation, DebitEvent::Expire) {
            Outcome::NotReserved(_) => Outcome::Decided(Decided::AlreadySettled),
            outcome => outcome,
        }
    }

    fn end_without_posting(&mut self, reservation: Reservation, event: DebitEvent) -> Outcome {
        match next_of(&reservation, event) {
            Some((DebitState::Released(reason), Effect::GiveBack)) => self.give_back(reservation, reason),
            Some((_, Effect::NotReserved | Effect::None)) => Outcome::NotReserved(reservation.credit.transfer_id),
            Some(_) | None => Outcome::Contradiction,
        }
    }

    /// The account that a reservation is on, if the caller holds it: somebody else's looks absent.
    fn debit_account_of(&self, reservation: &Reservation, caller: &UserId) -> Option<&Account> {
        let debit = self.books.accounts.get(&reservation.credit.debit_account_id);
        debit.filter(|account| account.user_id == *caller)
    }

    /// What this shard can do with the credit side, if it is here now: a slot may have moved since the reservation.
    fn credit_place(&self, part: &Reservation) -> CreditPlace {
        let message = &part.credit;
        match self.books.ownership.owns_account(message.credit_account_id) {
            false => CreditPlace::Elsewhere,
            true => {
                let checked = self.check_credit(message.credit_account_id, message.currency, message.amount);
                CreditPlace::Here(checked.map(drop))
            }
        }
    }

    /// Recorded under the key, so the key never commits anything; the reservation stands for another attempt.
    fn refuse_commit(&mut self, command: &CommitTransfer, rejection: Rejection) -> Outcome {
        let transfer_id = Some(command.transfer_id);
        self.record_key(command.transfer_id.slot(), command.key, UsedFor::Rejection(rejection, transfer_id));
        Outcome::Decided(Decided::Rejected { rejection, transfer_id })
    }

    fn post_both_sides(&mut self, reservation: &Reservation, part: Reservation) -> Outcome {
        self.unreserve(reservation);
        let (debit_id, credit_id) = (part.credit.debit_account_id, part.credit.credit_account_id);
        let debit = self.post(debit_id, Amount(-part.credit.amount.0));
        let credit = self.post(credit_id, part.credit.amount);
        let transfer = Transfer {
            state: TransferState::Posted,
            decided_at: Some(self.books.now),
            credit_user_id: self.books.accounts.get(&credit_id).map(|account| account.user_id.clone()),
            ..part.as_transfer()
        };
        self.settled(PostedTransfer { transfer, debit, credit, remote_user_id: None })
    }

    /// What is not committed.
    fn give_back_rest(&mut self, reservation: &Reservation, part: &Reservation) {
        self.give_back_part(reservation, Amount(reservation.credit.amount.0 - part.credit.amount.0));
    }

    /// The rest is given back at once; the committed part waits for the credit account's shard.
    fn begin_to_credit(&mut self, reservation: &Reservation, part: Reservation) -> Outcome {
        self.give_back_rest(reservation, &part);
        let transfer = part.as_transfer();
        self.books.reservations.insert(transfer.id, part.clone());
        self.writes.committing.push(part);
        Outcome::Decided(Decided::Transfer(transfer))
    }
}

fn check_commit(amount: Amount, reservation: &Reservation, debit: &Account) -> Result<(), Rejection> {
    if amount < Amount(1) {
        return Err(Rejection::AmountOutOfRange);
    }
    if amount > reservation.credit.amount {
        return Err(Rejection::AmountExceedsReserved);
    }
    check_usable(debit)
}

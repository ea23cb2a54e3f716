//! Both ends of a saga: the credit shard's decision, and the debit shard's commit or release.

use super::{Deciding, check_bounds};
use crate::saga::{CreditEvent, CreditState, DebitEvent, DebitState, Decision, Effect, Event, State, next};
use crate::{
    Account, Amount, Counterpart, CreditMessage, Decided, InboxRecord, Outcome, PostedTransfer, Rejection, Reservation,
    Settle, Transfer, TransferState, UserId, VoidMessage,
};
use placement::{ShardId, Slot, TransferId};

impl Deciding<'_, '_> {
    /// "credit" on the credit shard: the first message for a transfer decides it.
    pub(super) fn credit(&mut self, message: &CreditMessage) -> Outcome {
        let event = CreditEvent::Credit(self.check_message(message).map(|account| account.user_id.clone()));
        let (decision, is_new) = match self.next_of_inbox(message.transfer_id, event) {
            Some(found) => found,
            None => return Outcome::Contradiction,
        };
        if is_new {
            if let Decision::Credited { credit_user_id } = &decision {
                self.post_credit(message, credit_user_id.clone());
            }
            self.record_decision(message.transfer_id, message.credit_account_id.slot(), message.debit_shard, &decision);
        }
        Outcome::Decided(Decided::Decision(decision))
    }

    /// The debit shard has checked the amount; but if it were wrong, this account would pay for it.
    fn check_message(&self, message: &CreditMessage) -> Result<&Account, Rejection> {
        check_bounds(message.amount)?;
        self.check_credit(message.credit_account_id, message.currency, message.amount)
    }

    /// "void" on the credit shard.
    pub(super) fn void(&mut self, message: &VoidMessage) -> Outcome {
        let (decision, is_new) = match self.next_of_inbox(message.transfer_id, CreditEvent::Void) {
            Some(found) => found,
            None => return Outcome::Contradiction,
        };
        if is_new {
            self.record_decision(message.transfer_id, message.credit_account_id.slot(), message.debit_shard, &decision);
        }
        Outcome::Decided(Decided::Decision(decision))
    }

    /// The inbox's decision after the event, and whether it is to be written now.
    fn next_of_inbox(&self, id: TransferId, event: CreditEvent) -> Option<(Decision, bool)> {
        let recorded = self.books.inbox.get(&id).cloned();
        let state = recorded.map_or(CreditState::Undecided, CreditState::Decided);
        match next(State::Credit(state), Event::Credit(event)) {
            Ok((State::Credit(CreditState::Decided(decision)), effect)) => Some((decision, effect == Effect::Decide)),
            Ok((State::Credit(CreditState::Undecided) | State::Debit(_), _)) | Err(_) => None,
        }
    }

    fn record_decision(&mut self, id: TransferId, slot: Slot, debit_shard: ShardId, decision: &Decision) {
        self.books.inbox.insert(id, decision.clone());
        self.writes.inbox.push(InboxRecord { transfer_id: id, slot, debit_shard, decision: decision.clone() });
    }

    /// The credit side, from clearing. The money may come from this very shard, if a moved slot has
    /// brought both accounts here since: then the two sides are two rows' worth of one transfer, and
    /// the debit side's row is written by `settle`.
    fn post_credit(&mut self, message: &CreditMessage, credit_user_id: UserId) {
        let credit = self.post(message.credit_account_id, message.amount);
        let counterpart = Counterpart::Clearing(message.debit_shard);
        self.add_total(counterpart, message.currency, Amount(-message.amount.0));
        let transfer = Transfer {
            state: TransferState::Posted,
            decided_at: Some(self.books.now),
            credit_user_id: Some(credit_user_id),
            ..message.as_transfer()
        };
        let remote_user_id = Some(message.debit_user_id.clone());
        self.writes.transfers.push(PostedTransfer { transfer, debit: None, credit, remote_user_id });
    }

    /// The credit shard's decision on the debit shard: commit or release.
    pub(super) fn settle(&mut self, command: &Settle) -> Outcome {
        let Some(reservation) = self.books.reservations.get(&command.transfer_id).cloned() else {
            // Settled before: the row goes with the terminal state.
            return Outcome::Decided(Decided::AlreadySettled);
        };
        match next_of(&reservation, DebitEvent::Answered(command.decision.clone())) {
            Some((_, Effect::PostDebitSide)) => self.post_debit(command, reservation),
            Some((DebitState::Released(reason), Effect::GiveBack)) => self.give_back(reservation, reason),
            Some((_, Effect::None)) => Outcome::Decided(Decided::AlreadySettled),
            Some(_) | None => Outcome::Contradiction,
        }
    }

    /// Cannot fail: the money was set aside.
    fn post_debit(&mut self, command: &Settle, reservation: Reservation) -> Outcome {
        let message = &reservation.credit;
        self.unreserve(&reservation);
        let debit = self.post(message.debit_account_id, Amount(-message.amount.0));
        self.add_total(Counterpart::Clearing(command.credit_shard), message.currency, message.amount);
        let credit_user_id = match &command.decision {
            Decision::Credited { credit_user_id } => Some(credit_user_id.clone()),
            Decision::Refused(_) | Decision::Voided => None,
        };
        let transfer = Transfer {
            state: TransferState::Posted,
            decided_at: Some(self.books.now),
            credit_user_id: credit_user_id.clone(),
            ..reservation.as_transfer()
        };
        self.settled(PostedTransfer { transfer, debit, credit: None, remote_user_id: credit_user_id })
    }

    /// Ends a reservation without a posting.
    pub(super) fn give_back(&mut self, reservation: Reservation, reason: Rejection) -> Outcome {
        self.unreserve(&reservation);
        let (state, reason) = (TransferState::Released, Some(reason));
        let transfer = Transfer { state, reason, decided_at: Some(self.books.now), ..reservation.as_transfer() };
        self.settled(PostedTransfer { transfer, debit: None, credit: None, remote_user_id: None })
    }

    pub(super) fn unreserve(&mut self, reservation: &Reservation) {
        self.give_back_part(reservation, reservation.credit.amount);
    }

    pub(super) fn give_back_part(&mut self, reservation: &Reservation, part: Amount) {
        if let Some(account) = self.books.accounts.get_mut(&reservation.credit.debit_account_id) {
            account.reserved = Amount(account.reserved.0 - part.0);
            self.writes.changed.insert(account.id);
        }
    }

    pub(super) fn settled(&mut self, row: PostedTransfer) -> Outcome {
        let transfer = row.transfer.clone();
        self.books.reservations.remove(&transfer.id);
        self.writes.settled.push(transfer.id);
        self.writes.transfers.push(row);
        Outcome::Decided(Decided::Transfer(transfer))
    }
}

/// The next state of a reservation's transfer; `None` if the event contradicts it.
pub(super) fn next_of(reservation: &Reservation, event: DebitEvent) -> Option<(DebitState, Effect)> {
    match next(State::Debit(reservation.state), Event::Debit(event)) {
        Ok((State::Debit(state), effect)) => Some((state, effect)),
        Ok((State::Credit(_), _)) | Err(_) => None,
    }
}

//! Both ends of a saga: the credit shard's decision, and the debit shard's commit or release.

use super::{Deciding, check_bounds};
use crate::saga::{CreditEvent, DebitEffect, DebitEvent, Decision, Verdict, next_credit, next_debit};
use crate::{
    Account, Amount, Counterpart, CreditMessage, Decided, InboxRecord, Outcome, PostedTransfer, Rejection, Reservation,
    Settle, Transfer, TransferKind, TransferState, UserId, VoidMessage,
};
use placement::{ShardId, Slot, TransferId};

impl Deciding<'_, '_> {
    /// "credit" on the credit shard: the first message for a transfer decides it.
    pub(super) fn credit(&mut self, message: &CreditMessage) -> Outcome {
        let recorded = self.books.inbox.get(&message.transfer_id);
        let event = CreditEvent::Credit(self.check_message(message).map(|account| account.user_id.clone()));
        let decision = match next_credit(recorded, event) {
            Verdict::Recorded(decision) => decision,
            Verdict::New(decision) => {
                let slot = message.credit_account_id.slot();
                if let Decision::Credited { credit_user_id } = &decision {
                    self.post_credit(message, credit_user_id.clone());
                }
                self.record_decision(message.transfer_id, slot, message.debit_shard, decision)
            }
        };
        Outcome::Decided(Decided::Decision(decision))
    }

    /// The debit shard has checked the amount; but if it were wrong, this account would pay for it.
    fn check_message(&self, message: &CreditMessage) -> Result<&Account, Rejection> {
        check_bounds(message.amount)?;
        self.check_credit(message.credit_account_id, message.currency, message.amount)
    }

    /// "void" on the credit shard.
    pub(super) fn void(&mut self, message: &VoidMessage) -> Outcome {
        let recorded = self.books.inbox.get(&message.transfer_id);
        let decision = match next_credit(recorded, CreditEvent::Void) {
            Verdict::Recorded(decision) => decision,
            Verdict::New(decision) => {
                let slot = message.credit_account_id.slot();
                self.record_decision(message.transfer_id, slot, message.debit_shard, decision)
            }
        };
        Outcome::Decided(Decided::Decision(decision))
    }

    fn record_decision(&mut self, id: TransferId, slot: Slot, debit_shard: ShardId, decision: Decision) -> Decision {
        self.books.inbox.insert(id, decision.clone());
        self.writes.inbox.push(InboxRecord { transfer_id: id, slot, debit_shard, decision: decision.clone() });
        decision
    }

    /// The credit side, from clearing. The money may come from this very shard, if a moved slot has
    /// brought both accounts here since: then the two sides are two rows' worth of one transfer, and
    /// the debit side's row is written by `settle`.
    fn post_credit(&mut self, message: &CreditMessage, credit_user_id: UserId) {
        let credit = self.post(message.credit_account_id, message.amount);
        let counterpart = Counterpart::Clearing(message.debit_shard);
        self.add_total(counterpart, message.currency, Amount(-message.amount.0));
        let transfer = Transfer {
            credit_user_id: Some(credit_user_id),
            ..terminal(message, None, TransferState::Posted, None, self.books.now)
        };
        let remote_user_id = Some(message.debit_user_id.clone());
        self.writes.transfers.push(PostedTransfer { transfer, debit: None, credit, remote_user_id });
    }

    /// The credit shard's decision on the debit shard: commit or release.
    pub(super) fn settle(&mut self, command: &Settle) -> Outcome {
        let Some(reservation) = self.books.reservations.get(&command.transfer_id) else {
            // Settled before: the row goes with the terminal state.
            return Outcome::Decided(Decided::AlreadySettled);
        };
        let reservation = reservation.clone();
        match next_debit(reservation.state, DebitEvent::Decided(command.decision.clone())) {
            Ok((_, DebitEffect::Commit)) => self.commit_debit(command, reservation),
            Ok((_, DebitEffect::Release)) => self.release_debit(command, reservation),
            Ok((_, DebitEffect::None | DebitEffect::SendVoid)) => Outcome::Decided(Decided::AlreadySettled),
            Err(_) => Outcome::Contradiction,
        }
    }

    /// Cannot fail: the money was set aside.
    fn commit_debit(&mut self, command: &Settle, reservation: Reservation) -> Outcome {
        let message = &reservation.credit;
        self.unreserve(&reservation);
        let debit = self.post(message.debit_account_id, Amount(-message.amount.0));
        self.add_total(Counterpart::Clearing(command.credit_shard), message.currency, message.amount);
        let credit_user_id = match &command.decision {
            Decision::Credited { credit_user_id } => Some(credit_user_id.clone()),
            Decision::Refused(_) | Decision::Voided => None,
        };
        let state = TransferState::Posted;
        let transfer = terminal(message, reservation.reference.clone(), state, None, self.books.now);
        let transfer = Transfer { credit_user_id: credit_user_id.clone(), ..transfer };
        self.settled(PostedTransfer { transfer, debit, credit: None, remote_user_id: credit_user_id })
    }

    fn release_debit(&mut self, command: &Settle, reservation: Reservation) -> Outcome {
        self.unreserve(&reservation);
        let reason = match &command.decision {
            Decision::Refused(reason) => *reason,
            Decision::Voided | Decision::Credited { .. } => Rejection::Voided,
        };
        let state = TransferState::Released;
        let message = &reservation.credit;
        let transfer = terminal(message, reservation.reference.clone(), state, Some(reason), self.books.now);
        self.settled(PostedTransfer { transfer, debit: None, credit: None, remote_user_id: None })
    }

    fn unreserve(&mut self, reservation: &Reservation) {
        let message = &reservation.credit;
        if let Some(account) = self.books.accounts.get_mut(&message.debit_account_id) {
            account.reserved = Amount(account.reserved.0 - message.amount.0);
            self.writes.changed.insert(account.id);
        }
    }

    fn settled(&mut self, row: PostedTransfer) -> Outcome {
        let transfer = row.transfer.clone();
        self.books.reservations.remove(&transfer.id);
        self.writes.settled.push(transfer.id);
        self.writes.transfers.push(row);
        Outcome::Decided(Decided::Transfer(transfer))
    }
}

/// The terminal transfer that a saga's message describes.
fn terminal(
    message: &CreditMessage,
    reference: Option<String>,
    state: TransferState,
    reason: Option<Rejection>,
    now: crate::Timestamp,
) -> Transfer {
    Transfer {
        id: message.transfer_id,
        kind: TransferKind::Transfer,
        state,
        reason,
        debit_account_id: Some(message.debit_account_id),
        credit_account_id: Some(message.credit_account_id),
        amount: message.amount,
        currency: message.currency,
        message: message.message.clone(),
        reference,
        created_at: message.created_at,
        decided_at: Some(now),
        debit_user_id: Some(message.debit_user_id.clone()),
        credit_user_id: None,
    }
}

//! A command on a shard: load, decide, save, answer. What is planted is planted in what is loaded, saved or said.

use super::books::{Answer, Loaded, Present, Saving};
use super::cast::commit_amount;
use super::memory::Wallet;
use super::step::Fate;
use super::world::{Ask, End, Fault, KeyRow, Message, ReservationRow, Transfer, Unfinished, Verdict, World};
use crate::Bug;
use ledger::Rejection;
use ledger::saga::DebitState;

impl Wallet {
    pub(super) fn run(&self, world: &mut World, message: Message, shard: u8, fate: Fate) {
        let loaded = self.loaded(world, message, shard);
        let saving = self.spoiled(&loaded, self.decide(&loaded));
        match fate {
            Fate::Answered => {
                self.save(world, message, shard, &saving);
                self.answer(world, message, &saving);
            }
            Fate::CrashAfterCommit => self.save(world, message, shard, &saving),
            Fate::CrashBeforeCommit => self.crash_early(world, message, shard, &saving),
            // A batch that writes nothing ends in a rollback, of which nothing can be unknown.
            Fate::Unknown { .. } if saving.is_empty => {}
            Fate::Unknown { is_committed } => {
                if is_committed {
                    self.save(world, message, shard, &saving);
                }
                self.break_off(world, message, shard);
            }
        }
    }

    /// Nothing of the command is left.
    fn crash_early(&self, world: &mut World, message: Message, shard: u8, saving: &Saving) {
        if self.has(Bug::AnswerBeforeCommit) {
            self.answer(world, message, saving);
        }
        if self.has(Bug::InboxOutsideTransaction) && saving.inbox.is_some() {
            self.save(world, message, shard, &Saving { inbox: None, ..*saving });
        }
    }

    fn break_off(&self, world: &mut World, message: Message, shard: u8) {
        if self.has(Bug::UnknownTakenForRefusal) {
            let refused = Answer::Rejected(Rejection::AccountFrozen);
            return self.tell(world, message, refused);
        }
        world.keep_unfinished(Unfinished { shard, message });
    }

    /// The rows that the command needs, as far as the shard has them.
    fn loaded(&self, world: &World, message: Message, shard: u8) -> Loaded {
        let spec = self.cast.spec(message.transfer);
        let transfer = &world.transfers[usize::from(message.transfer)];
        let (debit, credit) = (&world.accounts[spec.debit], &world.accounts[spec.credit]);
        let (owns_debit, owns_credit) = (debit.owner == shard, credit.owner == shard);
        let nothing = Loaded {
            message,
            owns_debit,
            owns_credit,
            key: None,
            debit: None,
            credit: None,
            reservation: None,
            is_due: false,
            inbox: None,
        };
        let debit_row = owns_debit.then_some(debit.row);
        let credit_row = owns_credit.then_some(credit.row);
        let reservation = transfer.reservation.filter(|_| owns_debit);
        let loaded = match message.ask {
            Ask::Begin => {
                Loaded { key: transfer.key.filter(|_| owns_debit), debit: debit_row, credit: credit_row, ..nothing }
            }
            Ask::Commit(number) => {
                let key = transfer.commit_keys[usize::from(number)].filter(|_| owns_debit);
                Loaded { key, debit: debit_row, credit: credit_row, reservation, ..nothing }
            }
            Ask::Release => Loaded { debit: debit_row, reservation, ..nothing },
            Ask::Expire => Loaded { debit: debit_row, reservation, is_due: transfer.is_due, ..nothing },
            Ask::Settle(_) => Loaded { debit: debit_row, reservation, ..nothing },
            Ask::Credit(_) => Loaded { credit: credit_row, inbox: transfer.inbox.filter(|_| owns_credit), ..nothing },
            Ask::Void => Loaded { inbox: transfer.inbox.filter(|_| owns_credit), ..nothing },
        };
        self.misread(loaded)
    }

    fn misread(&self, mut loaded: Loaded) -> Loaded {
        let message = loaded.message;
        let ignores_inbox = match message.ask {
            Ask::Credit(_) => self.has(Bug::CreditAgainOnRepeat),
            Ask::Void => self.has(Bug::VoidOverCredit),
            _ => false,
        };
        let ignores_state = match message.ask {
            Ask::Release => self.has(Bug::ReleaseIgnoresState),
            Ask::Expire => self.has(Bug::ExpiryIgnoresState),
            _ => false,
        };
        if ignores_inbox {
            loaded.inbox = None;
        }
        if let Some(reservation) = &mut loaded.reservation {
            if ignores_state {
                reservation.state = DebitState::Held;
            }
            if let (Ask::Commit(number), true) = (message.ask, self.has(Bug::CommitOfMoreThanReserved)) {
                let wanted = commit_amount(self.cast.spec(message.transfer), number);
                *reservation = ReservationRow { amount: wanted.unwrap_or(0).max(reservation.amount), ..*reservation };
            }
        }
        loaded
    }

    fn spoiled(&self, loaded: &Loaded, mut saving: Saving) -> Saving {
        let ask = loaded.message.ask;
        let drops_decision = match (ask, saving.inbox) {
            (Ask::Void, Some(_)) => self.has(Bug::NoTombstoneOnVoid),
            (_, Some(Verdict::Refused(_))) => self.has(Bug::RefusalNotRecorded),
            (_, Some(_)) => self.has(Bug::InboxSkippedOnOneShard) && loaded.owns_debit && loaded.owns_credit,
            (_, None) => false,
        };
        let drops_key = match (ask, saving.key) {
            (_, Some(KeyRow::Rejected(_))) => self.has(Bug::RejectionNotRecorded),
            (Ask::Begin, Some(KeyRow::Transfer)) => self.has(Bug::KeyNotRecorded),
            (Ask::Commit(_), Some(KeyRow::Transfer)) => self.has(Bug::CommitKeyNotRecorded),
            _ => false,
        };
        if drops_decision {
            saving.inbox = None;
        }
        if drops_key {
            saving.key = None;
        }
        if self.has(Bug::CommitWithoutOutboxRow) && matches!(ask, Ask::Commit(_)) {
            saving.has_outbox = false;
        }
        if self.has(Bug::ReservationKeptAfterCommit) && matches!(ask, Ask::Settle(Verdict::Credited)) {
            saving.is_settled = false;
        }
        if let (true, Ask::Commit(_), Some(reservation)) = (self.has(Bug::RestStaysReserved), ask, saving.reservation)
            && let (Some(before), Some(row)) = (loaded.reservation, &mut saving.debit)
        {
            row.reserved += before.amount - reservation.amount;
        }
        if self.has(Bug::MovedTakenForRefusal)
            && saving.answer == Answer::Moved
            && matches!(ask, Ask::Credit(_) | Ask::Void)
        {
            saving.answer = Answer::Decision(Verdict::Refused(Rejection::CreditAccountNotFound));
        }
        saving
    }

    /// All of it or nothing.
    fn save(&self, world: &mut World, message: Message, shard: u8, saving: &Saving) {
        let spec = self.cast.spec(message.transfer);
        let transfer = &mut world.transfers[usize::from(message.transfer)];
        let before = *transfer;
        save_rows(transfer, message.ask, saving);
        for (account, row) in [(spec.debit, saving.debit), (spec.credit, saving.credit)] {
            if let Some(row) = row {
                world.accounts[account].row = row;
            }
        }
        world.clearing[usize::from(shard)] += saving.clearing;
        if before.inbox.is_some_and(|decision| transfer.inbox != Some(decision)) {
            world.fault = Some(Fault::DecisionChanged);
        }
        if before.end.is_some_and(|end| transfer.end != Some(end)) {
            world.fault = Some(Fault::EndChanged);
        }
    }

    /// What is said once the command is committed.
    fn answer(&self, world: &mut World, message: Message, saving: &Saving) {
        let transfer = &mut world.transfers[usize::from(message.transfer)];
        if let (true, Some(reservation)) = (saving.has_outbox, saving.reservation) {
            transfer.credits_flying |= 1 << reservation.amount;
        }
        self.tell(world, message, saving.answer);
    }

    /// The answer reaches whoever asked.
    fn tell(&self, world: &mut World, message: Message, answer: Answer) {
        let transfer = &mut world.transfers[usize::from(message.transfer)];
        let is_told_anew = match (message.ask, answer) {
            (_, Answer::Contradiction) => {
                world.fault = Some(Fault::Contradiction);
                return;
            }
            (Ask::Credit(_) | Ask::Void, Answer::Decision(verdict)) => {
                transfer.verdicts_flying |= verdict.bit();
                return;
            }
            (Ask::Begin, answer) => tell_begun(transfer, answer, self.cast.spec(message.transfer).hold.is_some()),
            // Not even if its answer got lost: the key comes before the state.
            (Ask::Commit(number), Answer::NotReserved) if transfer.commits_won & (1 << number) != 0 => {
                Err(Fault::TwoAnswers)
            }
            (Ask::Commit(number), answer) => {
                let end = final_answer(transfer, answer);
                remember(&mut transfer.commits_told[usize::from(number)], end)
            }
            (Ask::Release, Answer::Transfer(Present::Over(_)) | Answer::NotReserved) => {
                let released = Some(End::Released(Rejection::ReleasedByClient));
                transfer.is_release_told |= matches!(answer, Answer::Transfer(_)) || transfer.end == released;
                Ok(())
            }
            _ => Ok(()),
        };
        if let Err(fault) = is_told_anew {
            world.fault = Some(fault);
        }
    }
}

fn save_rows(transfer: &mut Transfer, ask: Ask, saving: &Saving) {
    if let Some(key) = saving.key {
        match ask {
            Ask::Commit(number) => transfer.commit_keys[usize::from(number)] = Some(key),
            _ => transfer.key = Some(key),
        }
    }
    let has_won = matches!(saving.answer, Answer::Transfer(_));
    match ask {
        Ask::Begin => transfer.begun += u8::from(has_won),
        Ask::Commit(number) => {
            transfer.winners += u8::from(has_won);
            transfer.commits_won |= u8::from(has_won) << number;
        }
        Ask::Release | Ask::Expire => transfer.winners += u8::from(has_won),
        Ask::Credit(_) | Ask::Void | Ask::Settle(_) => {}
    }
    if saving.is_settled {
        (transfer.reservation, transfer.has_outbox) = (None, false);
    }
    transfer.reservation = saving.reservation.or(transfer.reservation);
    transfer.has_outbox |= saving.has_outbox;
    transfer.end = saving.end.or(transfer.end);
    transfer.inbox = saving.inbox.or(transfer.inbox);
    transfer.debited = transfer.debited.saturating_add(saving.debited);
    transfer.credited = transfer.credited.saturating_add(saving.credited);
}

fn tell_begun(transfer: &mut Transfer, answer: Answer, is_held: bool) -> Result<(), Fault> {
    let is_found = transfer.reservation.is_some() || transfer.end.is_some();
    match answer {
        Answer::Replayed if !is_found => Err(Fault::TransferLost),
        // Of a held transfer, the first answer again, whatever has become of it.
        Answer::Transfer(Present::Reserved) | Answer::Replayed if is_held => {
            transfer.is_known = true;
            Ok(())
        }
        answer => {
            let end = final_answer(transfer, answer);
            remember(&mut transfer.told, end)
        }
    }
}

/// What the client may rely on from now on.
fn final_answer(transfer: &Transfer, answer: Answer) -> Option<End> {
    match answer {
        Answer::Transfer(Present::Over(end)) => Some(end),
        Answer::Replayed => transfer.end,
        Answer::Rejected(rejection) => Some(End::Rejected(rejection)),
        Answer::Transfer(Present::Pending | Present::Reserved) => None,
        Answer::Decision(_) | Answer::NotReserved | Answer::Moved => None,
        Answer::AlreadySettled | Answer::Contradiction => None,
    }
}

fn remember(told: &mut Option<End>, end: Option<End>) -> Result<(), Fault> {
    match (*told, end) {
        (Some(before), Some(now)) if before != now => Err(Fault::TwoAnswers),
        (_, None) => Ok(()),
        (_, Some(_)) => {
            *told = end;
            Ok(())
        }
    }
}

//! One command through [`ledger::decide`], from the model's rows and back into them.

use super::cast::{Cast, NOW};
use super::world::{AccountRow, Ask, End, KeyRow, Message, ReservationRow, Verdict};
use ledger::saga::Decision;
use ledger::{Books, Decided, Outcome, PostedTransfer, Rejection, Stamped, TransferState, Writes};
use std::collections::HashMap;

/// A command and the rows that a shard-node would load for it; all others stand at nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Loaded {
    pub message: Message,
    pub owns_debit: bool,
    pub owns_credit: bool,
    /// Of the key that the command comes with.
    pub key: Option<KeyRow>,
    pub debit: Option<AccountRow>,
    pub credit: Option<AccountRow>,
    pub reservation: Option<ReservationRow>,
    pub is_due: bool,
    pub inbox: Option<Verdict>,
}

/// The outcome, and what is to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Saving {
    pub answer: Answer,
    pub debit: Option<AccountRow>,
    pub credit: Option<AccountRow>,
    pub key: Option<KeyRow>,
    pub reservation: Option<ReservationRow>,
    pub has_outbox: bool,
    pub is_settled: bool,
    pub end: Option<End>,
    pub debited: i8,
    pub credited: i8,
    pub inbox: Option<Verdict>,
    pub clearing: i8,
    /// Nothing is to be stored, so nothing is committed.
    pub is_empty: bool,
}

/// What the shard says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Answer {
    /// The transfer as it is after the command.
    Transfer(Present),
    /// Decided before: the transfer as it is now.
    Replayed,
    /// Refused, now or before.
    Rejected(Rejection),
    /// The credit side's decision.
    Decision(Verdict),
    /// The transfer is not held.
    NotReserved,
    /// The slot is another shard's.
    Moved,
    /// Nothing to be done.
    AlreadySettled,
    /// What no command of the model may come to.
    Contradiction,
}

/// Where a transfer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Present {
    /// Reserved by its client.
    Reserved,
    /// Waiting for the other side.
    Pending,
    /// Over.
    Over(End),
}

/// Decides one command.
pub(super) fn decide(cast: &Cast, loaded: &Loaded) -> Saving {
    let Message { transfer, .. } = loaded.message;
    let spec = cast.spec(transfer);
    let owned = [(loaded.owns_debit, spec.debit), (loaded.owns_credit, spec.credit)];
    let ownership = cast.ownership(owned.into_iter().filter_map(|(owns, account)| owns.then_some(account)));
    let mut books = books(cast, loaded, &ownership);
    let stamped = Stamped {
        command: cast.command(loaded.message),
        fresh_id: cast.transfers[usize::from(transfer)].1,
        fresh_discriminator: 0,
    };
    let (outcomes, writes) = ledger::decide(&mut books, &[stamped]);
    let answer = outcomes.into_iter().next().map_or(Answer::Contradiction, answer);
    saving(cast, transfer, answer, &writes, &books)
}

fn books<'a>(cast: &'a Cast, loaded: &Loaded, ownership: &'a ledger::Ownership) -> Books<'a> {
    let Message { transfer, ask } = loaded.message;
    let (spec, id) = cast.transfers[usize::from(transfer)];
    let rows = [(spec.debit, loaded.debit), (spec.credit, loaded.credit)];
    let accounts = rows.into_iter().filter_map(|(account, row)| row.map(|row| cast.account(account, row)));
    let commit = match ask {
        Ask::Commit(number) => Some(number),
        _ => None,
    };
    let recorded = loaded.key.map(|row| {
        let key = cast.key(transfer, commit);
        let rejection = match row {
            KeyRow::Transfer => None,
            KeyRow::Rejected(rejection) => Some(rejection),
        };
        let transfer_id = Some(id);
        (key.hash, ledger::RecordedKey { fingerprint: key.fingerprint, transfer_id, account_id: None, rejection })
    });
    Books {
        shard: cast.shard,
        now: NOW,
        ownership,
        currencies: &cast.currencies,
        accounts: accounts.map(|account| (account.id, account)).collect(),
        keys: recorded.into_iter().collect(),
        reservations: loaded
            .reservation
            .map(|row| (id, cast.reservation(transfer, row, loaded.is_due)))
            .into_iter()
            .collect(),
        inbox: loaded.inbox.map(|verdict| (id, cast.decision(transfer, verdict))).into_iter().collect(),
        neighbourhoods: HashMap::new(),
    }
}

fn saving(cast: &Cast, transfer: u8, answer: Answer, writes: &Writes, books: &Books<'_>) -> Saving {
    let spec = cast.spec(transfer);
    let changed = |account: usize| {
        let id = cast.account_id(account);
        books.accounts.get(&id).filter(|_| writes.changed.contains(&id)).map(row_of)
    };
    let (mut debited, mut credited, mut end) = (0, 0, None);
    for row in &writes.transfers {
        debited += row.debit.map_or(0, |_| small(row.transfer.amount.0));
        credited += row.credit.map_or(0, |_| small(row.transfer.amount.0));
        end = end_of(row).or(end);
    }
    Saving {
        answer,
        debit: changed(spec.debit),
        credit: changed(spec.credit),
        key: writes.keys.first().map(|key| key.rejection.map_or(KeyRow::Transfer, KeyRow::Rejected)),
        reservation: writes
            .reserved
            .first()
            .or(writes.committing.first())
            .map(|reservation| ReservationRow { state: reservation.state, amount: small(reservation.credit.amount.0) }),
        has_outbox: writes.to_send().next().is_some(),
        is_settled: !writes.settled.is_empty(),
        end,
        debited,
        credited,
        inbox: writes.inbox.first().map(|record| verdict_of(&record.decision)),
        clearing: writes.totals.values().map(|total| small(total.0)).sum(),
        is_empty: writes.is_empty(),
    }
}

/// The row of a credit side alone says nothing of the debit side.
fn end_of(row: &PostedTransfer) -> Option<End> {
    let reason = row.transfer.reason;
    match (row.transfer.state, reason) {
        (TransferState::Posted, _) => row.debit.map(|_| End::Posted),
        (TransferState::Released, Some(reason)) => Some(End::Released(reason)),
        (TransferState::Rejected, Some(reason)) => Some(End::Rejected(reason)),
        (TransferState::Released | TransferState::Rejected, None) => None,
        (TransferState::Pending | TransferState::Reserved, _) => None,
    }
}

fn answer(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Decided(Decided::Transfer(transfer)) => match (transfer.state, transfer.reason) {
            (TransferState::Reserved, _) => Answer::Transfer(Present::Reserved),
            (TransferState::Pending, _) => Answer::Transfer(Present::Pending),
            (TransferState::Posted, _) => Answer::Transfer(Present::Over(End::Posted)),
            (TransferState::Released, Some(reason)) => Answer::Transfer(Present::Over(End::Released(reason))),
            (TransferState::Released | TransferState::Rejected, _) => Answer::Contradiction,
        },
        Outcome::Decided(Decided::Rejected { rejection, .. }) => Answer::Rejected(rejection),
        Outcome::Decided(Decided::Decision(decision)) => Answer::Decision(verdict_of(&decision)),
        Outcome::Decided(Decided::AlreadySettled) => Answer::AlreadySettled,
        Outcome::ReplayedTransfer(_) => Answer::Replayed,
        Outcome::ReplayedRejection { rejection, .. } => Answer::Rejected(rejection),
        Outcome::Moved(_) => Answer::Moved,
        Outcome::NotReserved(_) => Answer::NotReserved,
        Outcome::Decided(Decided::Account(_))
        | Outcome::ReplayedAccount(_)
        | Outcome::NotFound
        | Outcome::Unresolved
        | Outcome::AccountNotEmpty
        | Outcome::AccountIsClosed
        | Outcome::Contradiction => Answer::Contradiction,
    }
}

fn verdict_of(decision: &Decision) -> Verdict {
    match decision {
        Decision::Credited { .. } => Verdict::Credited,
        Decision::Refused(reason) => Verdict::Refused(*reason),
        Decision::Voided => Verdict::Voided,
    }
}

fn row_of(account: &ledger::Account) -> AccountRow {
    AccountRow {
        balance: small(account.balance.0),
        reserved: small(account.reserved.0),
        is_frozen: account.status == ledger::AccountStatus::Frozen,
    }
}

/// The model's amounts are small; what leaves its range is as wrong at the end of it.
fn small(amount: i64) -> i8 {
    i8::try_from(amount).unwrap_or(i8::MAX)
}

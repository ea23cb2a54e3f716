//! The batch decision: a ladder of early returns for each kind of command, one named refusal a step,
//! and after the last step the command succeeds.

mod accounts;
mod external;
mod settle;
mod transfer;
mod two_step;

use crate::{
    AMOUNT_LIMIT, Amount, Books, Command, Counterpart, Currency, Decided, Entry, KeyClaim, KeyRecord, Outcome,
    PostedTransfer, RecordedKey, Rejection, Stamped, Transfer, TransferState, Writes,
};
use placement::{AccountId, Slot, TransferId};

/// The most commands that one batch may hold: each adds at most [`AMOUNT_LIMIT`] to a total, and this many
/// of them stay below 2^63.
pub const BATCH_COMMANDS_MAX: usize = 1_024;

/// Decides a batch of at most [`BATCH_COMMANDS_MAX`] commands, strictly in order; each command sees the effects of
/// those before it. Only an account that the batch makes is not there before the next batch: nobody can know its
/// id before the commit.
///
/// Returns one outcome for each command, and what to store. Nothing of it holds unless all of it is
/// committed. The books are left as they will be.
pub fn decide(books: &mut Books<'_>, batch: &[Stamped]) -> (Vec<Outcome>, Writes) {
    let mut deciding = Deciding { books, writes: Writes::default() };
    let outcomes = batch.iter().map(|stamped| deciding.decide(stamped)).collect();
    (outcomes, deciding.writes)
}

struct Deciding<'b, 'a> {
    books: &'b mut Books<'a>,
    writes: Writes,
}

impl Deciding<'_, '_> {
    fn decide(&mut self, stamped: &Stamped) -> Outcome {
        let command = &stamped.command;
        if !self.books.ownership.owns(command.region(), command.slot()) {
            return Outcome::Moved(command.slot());
        }
        if let Some(answer) = command.key().and_then(|key| self.recorded(key)) {
            return answer;
        }
        match command {
            Command::Transfer(transfer) => self.transfer(transfer, stamped.fresh_id, None),
            Command::Deposit(deposit) => self.deposit(deposit, stamped.fresh_id),
            Command::Withdraw(withdrawal) => self.withdraw(withdrawal, stamped.fresh_id),
            Command::CreateAccount(create) => self.create_account(create, stamped.fresh_discriminator),
            Command::SetStatus(set) => self.set_status(set),
            Command::Credit(credit) => self.credit(credit),
            Command::Void(void) => self.void(void),
            Command::Settle(settle) => self.settle(settle),
            Command::Reserve(reserve) => {
                self.transfer(&reserve.transfer, stamped.fresh_id, Some(reserve.expires_in_seconds))
            }
            Command::Commit(commit) => self.commit(commit),
            Command::Release(release) => self.release(release),
            Command::Expire(expire) => self.expire(expire),
        }
    }

    /// The answer that the key already has.
    fn recorded(&self, key: KeyClaim) -> Option<Outcome> {
        let recorded = self.books.keys.get(&key.hash)?;
        if recorded.fingerprint != key.fingerprint {
            let rejection = Rejection::IdempotencyKeyReused;
            return Some(Outcome::Decided(Decided::Rejected { rejection, transfer_id: None }));
        }
        let transfer_id = recorded.transfer_id;
        Some(match (recorded.rejection, transfer_id, recorded.account_id) {
            (Some(rejection), _, _) => Outcome::ReplayedRejection { rejection, transfer_id },
            (None, Some(transfer_id), _) => Outcome::ReplayedTransfer(transfer_id),
            (None, None, Some(account_id)) => Outcome::ReplayedAccount(account_id),
            // A CHECK constraint rules it out.
            (None, None, None) => Outcome::Contradiction,
        })
    }

    /// Records what the key was used for, for later batches and for the rest of this one.
    fn record_key(&mut self, slot: Slot, key: KeyClaim, used_for: UsedFor) {
        let (transfer_id, account_id, rejection) = match used_for {
            UsedFor::Transfer(id) => (Some(id), None, None),
            UsedFor::Account(id) => (None, Some(id), None),
            UsedFor::Rejection(rejection, transfer_id) => (transfer_id, None, Some(rejection)),
        };
        let (hash, fingerprint) = (key.hash, key.fingerprint);
        let recorded = RecordedKey { fingerprint, transfer_id, account_id, rejection };
        self.books.keys.insert(hash, recorded);
        self.writes.keys.push(KeyRecord { slot, hash, fingerprint, transfer_id, account_id, rejection });
    }

    /// Records a refused transfer: its row without sides, and its key.
    fn reject_transfer(&mut self, key: KeyClaim, slot: Slot, transfer: Transfer, rejection: Rejection) -> Outcome {
        let id = transfer.id;
        let transfer = Transfer {
            state: TransferState::Rejected,
            reason: Some(rejection),
            decided_at: Some(self.books.now),
            ..transfer
        };
        self.record_key(slot, key, UsedFor::Rejection(rejection, Some(id)));
        self.writes.transfers.push(PostedTransfer { transfer, debit: None, credit: None, remote_user_id: None });
        Outcome::Decided(Decided::Rejected { rejection, transfer_id: Some(id) })
    }

    /// Adds to an account's balance (a debit adds a negative amount) and numbers the entry. The caller
    /// has checked that the account exists and that the result is in range.
    fn post(&mut self, id: AccountId, change: Amount) -> Option<Entry> {
        let account = self.books.accounts.get_mut(&id)?;
        account.balance = account.balance.checked_add(change)?;
        account.entry_count += 1;
        self.writes.changed.insert(id);
        Some(Entry { number: account.entry_count, balance_after: account.balance })
    }

    /// Adds to the total of a counterpart that is no account of this shard; in range for so few commands.
    fn add_total(&mut self, counterpart: Counterpart, currency: Currency, change: Amount) {
        let total = self.writes.totals.entry((counterpart, currency)).or_default();
        *total = Amount(total.0 + change.0);
    }
}

/// The bounds of every amount, whatever its currency.
fn check_bounds(amount: Amount) -> Result<(), Rejection> {
    match (1..=AMOUNT_LIMIT).contains(&amount.0) {
        true => Ok(()),
        false => Err(Rejection::AmountOutOfRange),
    }
}

enum UsedFor {
    Transfer(TransferId),
    Account(AccountId),
    Rejection(Rejection, Option<TransferId>),
}

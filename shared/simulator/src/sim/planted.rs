//! The bugs of the store: what it misreads and what it does not store. Those of answers and messages stand where
//! these are sent.

use crate::Bug;
use ledger::saga::{DebitState, Decision};
use ledger::{Books, Command, KeyHash, Stamped, Writes};

/// The keys of commits begin here, those of everything else end.
pub(super) const COMMIT_KEYS: u128 = 1 << 64;

/// Spoils what a batch has read.
pub(super) fn misread(bug: Option<Bug>, batch: &[Stamped], books: &mut Books<'_>) {
    let commands = batch.iter().map(|stamped| &stamped.command);
    match bug {
        Some(Bug::CreditAgainOnRepeat) => {
            for command in commands {
                if let Command::Credit(credit) = command {
                    books.inbox.remove(&credit.transfer_id);
                }
            }
        }
        Some(Bug::ReleaseIgnoresState) => {
            let released = commands.filter_map(|command| match command {
                Command::Release(release) => Some(release.transfer_id),
                _ => None,
            });
            released.for_each(|id| hold_again(books, id));
        }
        Some(Bug::ExpiryIgnoresState) => {
            let expired = commands.filter_map(|command| match command {
                Command::Expire(expire) => Some(expire.transfer_id),
                _ => None,
            });
            expired.for_each(|id| hold_again(books, id));
        }
        _ => {}
    }
}

fn hold_again(books: &mut Books<'_>, id: placement::TransferId) {
    if let Some(reservation) = books.reservations.get_mut(&id) {
        reservation.state = DebitState::Held;
    }
}

/// Spoils what a batch is about to store.
pub(super) fn spoil(bug: Option<Bug>, writes: &mut Writes) {
    match bug {
        Some(Bug::NoTombstoneOnVoid) => writes.inbox.retain(|row| row.decision != Decision::Voided),
        Some(Bug::RefusalNotRecorded) => writes.inbox.retain(|row| !matches!(row.decision, Decision::Refused(_))),
        Some(Bug::KeyNotRecorded) => {
            writes.keys.retain(|key| key.rejection.is_some() || key.hash >= KeyHash(COMMIT_KEYS));
        }
        Some(Bug::RejectionNotRecorded) => writes.keys.retain(|key| key.rejection.is_none()),
        Some(Bug::CommitKeyNotRecorded) => {
            writes.keys.retain(|key| key.rejection.is_some() || key.hash < KeyHash(COMMIT_KEYS));
        }
        _ => {}
    }
}

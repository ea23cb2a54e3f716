//! Mistakes in what is read, answered and run again.

use crate::lane::Origin;
use ledger::{Account, Command, Decided, KeyHash, Outcome, Stamped, Transfer, TransferState};
use placement::AccountId;
use runtime::bug;
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};
use wire::answer::Answer;
use wire::operation::EntriesQuery;

/// How long the old copy of an account is taken for good.
const COPY_AGE_MAX: Duration = Duration::from_secs(3);

/// Tells those whose transfer is posted so, though nothing is committed.
pub fn answer_early(origins: &mut [Origin], outcomes: &[Outcome]) {
    if !bug!("bug::answered_before_commit") {
        return;
    }
    for (origin, outcome) in origins.iter_mut().zip(outcomes) {
        if let Outcome::Decided(Decided::Transfer(transfer)) = outcome
            && transfer.state == TransferState::Posted
            && let Some(replier) = origin.replier.take()
        {
            replier.reply(Answer::Transfer { transfer: transfer.clone(), replayed: false });
        }
    }
}

/// A transfer whose amount is only set aside, told as if it had moved.
pub fn as_posted(transfer: Transfer) -> Transfer {
    Transfer { state: TransferState::Posted, decided_at: Some(transfer.created_at), ..transfer }
}

/// After a commit of unknown outcome: the command as if it had come for the first time.
pub fn with_fresh_key(mut stamped: Stamped) -> Stamped {
    let key = match &mut stamped.command {
        Command::Transfer(transfer) => Some(&mut transfer.key),
        Command::Reserve(reserve) => Some(&mut reserve.transfer.key),
        Command::Deposit(external) | Command::Withdraw(external) => Some(&mut external.key),
        _ => None,
    };
    if let Some(key) = key.filter(|_| bug!("bug::rerun_with_fresh_keys")) {
        key.hash = KeyHash(rand::random());
    }
    stamped
}

/// Accounts as they were read up to three seconds ago.
pub fn from_old_copies(mut found: HashMap<AccountId, Account>) -> HashMap<AccountId, Account> {
    static COPIES: LazyLock<Mutex<HashMap<AccountId, (Instant, Account)>>> = LazyLock::new(Mutex::default);
    if bug!("bug::stale_reads") {
        let mut copies = COPIES.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, account) in &mut found {
            match copies.get(id).filter(|(taken, _)| taken.elapsed() < COPY_AGE_MAX) {
                Some((_, copy)) => *account = copy.clone(),
                None => drop(copies.insert(*id, (Instant::now(), account.clone()))),
            }
        }
    }
    found
}

/// A page of history that is not the first, without its first entry.
pub fn without_first<T>(query: &EntriesQuery, items: &mut Vec<T>) {
    if query.after_entry.is_some() && !items.is_empty() && bug!("bug::page_skips_an_entry") {
        items.remove(0);
    }
}

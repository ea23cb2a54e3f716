//! Mistakes in a decision, made around it: the books before, the writes and outcomes after. Each batch asks each of them.

use ledger::saga::{DebitState, Decision};
use ledger::{
    Account, AccountStatus, Amount, Books, Command, CreditMessage, Decided, InboxRecord, KeyHash, Outcome, Reservation,
    Stamped, Transfer, TransferKind, TransferState, Writes,
};
use placement::{AccountId, TransferId};
use runtime::bug;
use std::collections::{BTreeSet, HashSet};

/// What was done to the books, for what follows from it afterwards.
#[derive(Debug, Default)]
pub struct Planted {
    keys_not_looked_up: HashSet<KeyHash>,
    uncredited: Vec<InboxRecord>,
}

/// The mistakes that begin with what is read.
pub fn before(books: &mut Books<'_>, batch: &mut [Stamped]) -> Planted {
    let mut planted = Planted::default();
    for Stamped { command, .. } in &mut *batch {
        match command {
            Command::Commit(commit) if bug!("bug::commit_takes_all") => commit.amount = None,
            // Not a crash point: nobody has asked for this death. One release in fifty, or nothing would ever get well.
            Command::Release(_) if rand::random_ratio(1, 50) && bug!("bug::ends_on_release") => std::process::exit(1),
            _ => {}
        }
    }
    if bug!("bug::key_lookup_skipped") {
        planted.keys_not_looked_up = books.keys.drain().map(|(hash, _)| hash).collect();
    }
    if bug!("bug::fingerprint_ignored") {
        for claim in batch.iter().filter_map(|stamped| stamped.command.key()) {
            if let Some(recorded) = books.keys.get_mut(&claim.hash) {
                recorded.fingerprint = claim.fingerprint;
            }
        }
    }
    if bug!("bug::inbox_without_credit") {
        planted.uncredited = credited_without_posting(books, batch);
    }
    for Stamped { command, .. } in batch {
        match command {
            Command::Release(release) if bug!("bug::release_ignores_state") => hold_again(books, release.transfer_id),
            Command::Expire(expire) if bug!("bug::expiry_ignores_state") => hold_again(books, expire.transfer_id),
            _ => {}
        }
    }
    planted
}

/// The mistakes that end with what is written and answered.
pub fn after(
    planted: Planted,
    books: &mut Books<'_>,
    batch: &[Stamped],
    mut outcomes: Vec<Outcome>,
    mut writes: Writes,
) -> (Vec<Outcome>, Writes) {
    // As with `ON CONFLICT DO NOTHING`: a key that is there already stays as it is.
    writes.keys.retain(|record| !planted.keys_not_looked_up.contains(&record.hash));
    writes.inbox.extend(planted.uncredited);
    if bug!("bug::key_not_recorded") {
        writes.keys.clear();
    }
    if bug!("bug::credit_without_inbox") {
        writes.inbox.retain(|record| !matches!(record.decision, Decision::Credited { .. }));
    }
    if bug!("bug::void_without_tombstone") {
        writes.inbox.retain(|record| record.decision != Decision::Voided);
    }
    if bug!("bug::entry_number_reused") {
        reuse_entry_numbers(books, &writes);
    }
    if bug!("bug::settle_applied_twice") {
        settle_again(books, &writes);
    }
    if bug!("bug::part_commit_keeps_the_rest") {
        let commits = decided(batch, &outcomes, |command| matches!(command, Command::Commit(_)));
        let rests = commits.filter_map(|transfer| Some((transfer.debit_account_id?, rest_of(transfer)?)));
        rests.for_each(|(account, rest)| reserve_more(books, &mut writes, account, rest));
    }
    if bug!("bug::expiry_keeps_the_reservation") {
        let expired = decided(batch, &outcomes, |command| matches!(command, Command::Expire(_)));
        let kept = expired.filter_map(|transfer| Some((transfer.debit_account_id?, transfer.amount)));
        kept.for_each(|(account, amount)| reserve_more(books, &mut writes, account, amount));
    }
    if bug!("bug::answers_mixed_up") {
        mix_up(batch, &mut outcomes);
    }
    (outcomes, writes)
}

/// Makes the decision find "credited" in the inbox, so that it posts nothing; the rows that say so are stored after.
fn credited_without_posting(books: &mut Books<'_>, batch: &[Stamped]) -> Vec<InboxRecord> {
    let credits = batch.iter().filter_map(|stamped| match &stamped.command {
        Command::Credit(message) => Some(message),
        _ => None,
    });
    let mut records = Vec::new();
    for message in credits {
        if let Some(record) = books.accounts.get(&message.credit_account_id).and_then(|at| credited(message, at))
            && books.inbox.insert(message.transfer_id, record.decision.clone()).is_none()
        {
            records.push(record);
        }
    }
    records
}

fn credited(message: &CreditMessage, account: &Account) -> Option<InboxRecord> {
    let usable = account.status == AccountStatus::Open && account.currency == message.currency;
    usable.then(|| InboxRecord {
        transfer_id: message.transfer_id,
        slot: message.credit_account_id.slot(),
        debit_shard: message.debit_shard,
        decision: Decision::Credited { credit_user_id: account.user_id.clone() },
    })
}

/// As if the state of a committed reservation were not looked at.
fn hold_again(books: &mut Books<'_>, id: TransferId) {
    let reservation = books.reservations.get_mut(&id).filter(|reservation| reservation.hold.is_some());
    if let Some(Reservation { state, .. }) = reservation {
        *state = DebitState::Held;
    }
}

fn reuse_entry_numbers(books: &mut Books<'_>, writes: &Writes) {
    let credits = writes.transfers.iter().filter(|posted| posted.credit.is_some());
    let accounts: BTreeSet<AccountId> = credits.filter_map(|posted| posted.transfer.credit_account_id).collect();
    for id in accounts {
        if let Some(account) = books.accounts.get_mut(&id) {
            account.entry_count -= 1;
        }
    }
}

fn settle_again(books: &mut Books<'_>, writes: &Writes) {
    for posted in &writes.transfers {
        let transfer = &posted.transfer;
        let is_settled = transfer.kind == TransferKind::Transfer && posted.debit.is_some() && posted.credit.is_none();
        let debit = transfer.debit_account_id.filter(|_| is_settled).and_then(|id| books.accounts.get_mut(&id));
        if let Some(debit) = debit.filter(|debit| debit.available() >= transfer.amount) {
            debit.balance = Amount(debit.balance.0 - transfer.amount.0);
        }
    }
}

fn reserve_more(books: &mut Books<'_>, writes: &mut Writes, id: AccountId, amount: Amount) {
    if let Some(account) = books.accounts.get_mut(&id) {
        account.reserved = Amount(account.reserved.0 + amount.0);
        writes.changed.insert(id);
    }
}

fn rest_of(transfer: &Transfer) -> Option<Amount> {
    let rest = transfer.hold?.amount_reserved.0 - transfer.amount.0;
    (rest > 0).then_some(Amount(rest))
}

/// The transfers that commands of a kind were decided to be, now.
fn decided<'a>(
    batch: &'a [Stamped],
    outcomes: &'a [Outcome],
    is_wanted: impl Fn(&Command) -> bool + 'a,
) -> impl Iterator<Item = &'a Transfer> {
    batch.iter().zip(outcomes).filter_map(move |(stamped, outcome)| match outcome {
        Outcome::Decided(Decided::Transfer(transfer)) if is_wanted(&stamped.command) => Some(transfer),
        _ => None,
    })
}

/// Gives each transfer of a batch that is posted its neighbour's answer.
fn mix_up(batch: &[Stamped], outcomes: &mut [Outcome]) {
    let is_posted = |outcome: &Outcome| matches!(outcome, Outcome::Decided(Decided::Transfer(transfer)) if transfer.state == TransferState::Posted);
    let transfers = batch.iter().enumerate().filter(|(_, stamped)| matches!(stamped.command, Command::Transfer(_)));
    let places: Vec<usize> = transfers.map(|(place, _)| place).filter(|place| is_posted(&outcomes[*place])).collect();
    for pair in places.windows(2) {
        outcomes.swap(pair[0], pair[1]);
    }
}

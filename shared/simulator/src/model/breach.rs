//! What must hold in every state.

use super::memory::Wallet;
use super::world::{AccountRow, End, Fault, KeyRow, Transfer, Verdict, World};
use ledger::Rejection;

/// A promise of the wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// The accounts, clearing and external of every shard come to 0.
    BooksBalance,
    /// All clearing together is what is credited and not debited yet.
    ClearingIsOpen,
    /// `0 <= reserved <= balance`.
    NoOverdraft,
    /// What an account has reserved is the sum of its reservations.
    ReservedIsExplained,
    /// Nothing is credited that is not set aside or debited, in the same amount.
    NoCreditWithoutReserve,
    /// Both sides come to the same end.
    SidesAgree,
    /// A decision, once in an inbox, stays.
    DecisionIsFinal,
    /// A terminal transfer stays as it is.
    EndIsFinal,
    /// One key begins one transfer.
    ExactlyOnce,
    /// At most one of commit, release and expiry has an effect.
    OneWinner,
    /// What a client was told of an end is so.
    AnswerIsTrue,
    /// The same key gets the same final answer.
    SameAnswer,
    /// A recorded key leads to its transfer.
    NothingIsLost,
    /// The decision never finds its books contradictory.
    NoContradiction,
    /// From here every transfer can come to its end.
    CanEnd,
}

impl Promise {
    /// All of them.
    pub const ALL: [Promise; 15] = [
        Promise::BooksBalance,
        Promise::ClearingIsOpen,
        Promise::NoOverdraft,
        Promise::ReservedIsExplained,
        Promise::NoCreditWithoutReserve,
        Promise::SidesAgree,
        Promise::DecisionIsFinal,
        Promise::EndIsFinal,
        Promise::ExactlyOnce,
        Promise::OneWinner,
        Promise::AnswerIsTrue,
        Promise::SameAnswer,
        Promise::NothingIsLost,
        Promise::NoContradiction,
        Promise::CanEnd,
    ];

    /// As a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Promise::BooksBalance => "the books of every shard come to 0",
            Promise::ClearingIsOpen => "what stands in clearing is credited and not debited yet",
            Promise::NoOverdraft => "0 <= reserved <= balance",
            Promise::ReservedIsExplained => "what is reserved is the sum of the reservations",
            Promise::NoCreditWithoutReserve => "nothing is credited that is neither set aside nor debited",
            Promise::SidesAgree => "both sides come to the same end",
            Promise::DecisionIsFinal => "a decision never changes",
            Promise::EndIsFinal => "an end never changes",
            Promise::ExactlyOnce => "a key begins one transfer",
            Promise::OneWinner => "at most one of commit, release and expiry has an effect",
            Promise::AnswerIsTrue => "what a client was told stays so",
            Promise::SameAnswer => "the same key gets the same answer",
            Promise::NothingIsLost => "a key leads to its transfer",
            Promise::NoContradiction => "no two decisions contradict each other",
            Promise::CanEnd => "every transfer can come to its end",
        }
    }
}

impl Wallet {
    /// The first promise that a state breaks, liveness aside.
    pub fn breach_now(&self, world: &World) -> Option<Promise> {
        if let Some(fault) = world.fault {
            return Some(match fault {
                Fault::Contradiction => Promise::NoContradiction,
                Fault::DecisionChanged => Promise::DecisionIsFinal,
                Fault::EndChanged => Promise::EndIsFinal,
                Fault::TwoAnswers => Promise::SameAnswer,
                Fault::TransferLost => Promise::NothingIsLost,
            });
        }
        self.breach_of_books(world).or_else(|| self.breach_of_transfers(world))
    }

    fn breach_of_books(&self, world: &World) -> Option<Promise> {
        let accounts = world.accounts.iter().zip(self.configuration.accounts);
        let mut books = [0_i32; super::world::SHARDS_MAX];
        for (account, spec) in accounts {
            let AccountRow { balance, reserved, .. } = account.row;
            if !(0 <= reserved && reserved <= balance) {
                return Some(Promise::NoOverdraft);
            }
            books[usize::from(account.owner)] += i32::from(balance);
            // What came in from the external account when the account was founded.
            books[usize::from(spec.home)] -= i32::from(spec.balance);
        }
        let mut clearing = 0;
        for (book, total) in books.iter_mut().zip(world.clearing) {
            *book += i32::from(total);
            clearing += i32::from(total);
        }
        let open: i32 = world.transfers.iter().map(|state| i32::from(state.debited) - i32::from(state.credited)).sum();
        if clearing != open {
            return Some(Promise::ClearingIsOpen);
        }
        books.iter().any(|book| *book != 0).then_some(Promise::BooksBalance)
    }

    fn breach_of_transfers(&self, world: &World) -> Option<Promise> {
        let mut reserved = [0_i8; super::world::ACCOUNTS_MAX];
        for ((spec, _), state) in self.cast.transfers.iter().zip(&world.transfers) {
            reserved[spec.debit] += state.reservation.map_or(0, |reservation| reservation.amount);
            if let Some(promise) = breach_of(state, spec.hold.is_some()) {
                return Some(promise);
            }
        }
        let mut pairs = world.accounts.iter().zip(reserved);
        pairs.any(|(account, sum)| account.row.reserved != sum).then_some(Promise::ReservedIsExplained)
    }
}

fn breach_of(state: &Transfer, is_held: bool) -> Option<Promise> {
    let checks = [
        (is_backed(state), Promise::NoCreditWithoutReserve),
        (sides_agree(state, is_held), Promise::SidesAgree),
        (state.begun <= 1, Promise::ExactlyOnce),
        (state.winners <= 1, Promise::OneWinner),
        (is_told_truly(state), Promise::AnswerIsTrue),
        (is_found(state), Promise::NothingIsLost),
    ];
    checks.into_iter().find(|(holds, _)| !holds).map(|(_, promise)| promise)
}

fn is_backed(state: &Transfer) -> bool {
    let set_aside = state.reservation.filter(|_| state.is_pending()).map_or(0, |reservation| reservation.amount);
    match (state.credited, state.debited) {
        (0, 0) => true,
        (credited, 0) => credited == set_aside,
        (credited, debited) => credited == debited,
    }
}

fn sides_agree(state: &Transfer, is_held: bool) -> bool {
    let is_moved = state.debited > 0;
    match (state.end, state.inbox) {
        // Within one shard there is no inbox to ask.
        (Some(End::Posted), None | Some(Verdict::Credited)) => is_moved && state.credited == state.debited,
        (Some(End::Posted), Some(Verdict::Refused(_) | Verdict::Voided)) => false,
        (Some(End::Released(reason)), Some(Verdict::Refused(refused))) => reason == refused && !is_moved,
        (Some(End::Released(reason)), Some(Verdict::Voided)) => reason == Rejection::Voided && !is_moved,
        (Some(End::Released(_)), Some(Verdict::Credited)) => false,
        // Only what was never asked of another shard ends without its decision.
        (Some(End::Released(reason)), None) => is_held && reason != Rejection::Voided && state.credited == 0,
        (Some(End::Rejected(_)), inbox) => inbox.is_none() && !is_moved && state.credited == 0,
        (None, inbox) => (inbox == Some(Verdict::Credited)) == (state.credited > 0),
    }
}

fn is_told_truly(state: &Transfer) -> bool {
    let is_true = |told: Option<End>, key: Option<KeyRow>| match told {
        None => true,
        Some(End::Rejected(rejection)) => key == Some(KeyRow::Rejected(rejection)),
        Some(end) => state.end == Some(end),
    };
    let commits = state.commits_told.iter().zip(state.commit_keys);
    is_true(state.told, state.key)
        && (!matches!(state.told, Some(End::Rejected(_))) || state.begun == 0)
        && commits.into_iter().all(|(told, key)| is_true(*told, key))
        && (!state.is_known || state.begun > 0)
        && (!state.is_release_told || state.end == Some(End::Released(Rejection::ReleasedByClient)))
}

fn is_found(state: &Transfer) -> bool {
    let is_there = state.reservation.is_some() || state.end.is_some();
    match state.key {
        Some(_) => is_there,
        None => !is_there,
    }
}

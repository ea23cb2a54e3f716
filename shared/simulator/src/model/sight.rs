//! What a search must have come across, for its silence to mean anything.

use super::configuration::TransferSpec;
use super::memory::Wallet;
use super::world::{End, KeyRow, Transfer, Verdict, World};
use ledger::Rejection;
use ledger::saga::DebitState;

/// Something that is so in some states and must be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Posted at once on one shard.
    PostedWithin,
    /// Posted by a saga.
    PostedBetween,
    /// Only a part of what was held is posted.
    PartPosted,
    /// Given back by its client.
    ReleasedByClient,
    /// Given back when its time was over.
    Expired,
    /// Given back because the credit account could not take it.
    Refused,
    /// Given back because the debit shard gave up in time.
    Voided,
    /// Given up too late: the credit had been decided.
    VoidTooLate,
    /// Refused by the debit shard.
    Rejected,
    /// A commit refused under its key.
    CommitRejected,
    /// A saga whose two accounts have come to be on one shard.
    SagaOnOneShard,
    /// A message still on its way after the end.
    MessageAfterEnd,
    /// Two commands unfinished at once.
    TwoUnfinished,
    /// Two transfers pending at once.
    TwoPending,
}

impl Sight {
    /// All of them; the position is the bit.
    pub const ALL: [Sight; 14] = [
        Sight::PostedWithin,
        Sight::PostedBetween,
        Sight::PartPosted,
        Sight::ReleasedByClient,
        Sight::Expired,
        Sight::Refused,
        Sight::Voided,
        Sight::VoidTooLate,
        Sight::Rejected,
        Sight::CommitRejected,
        Sight::SagaOnOneShard,
        Sight::MessageAfterEnd,
        Sight::TwoUnfinished,
        Sight::TwoPending,
    ];

    /// Those in the bits.
    pub fn of(bits: u32) -> impl Iterator<Item = Sight> {
        Sight::ALL.into_iter().enumerate().filter(move |(at, _)| bits & (1 << at) != 0).map(|(_, sight)| sight)
    }
}

impl Wallet {
    /// What is to be seen in a state.
    pub fn sights(&self, world: &World) -> u32 {
        let mut bits = 0;
        let mut note = |sight: Sight, is_seen: bool| {
            let at = Sight::ALL.iter().position(|other| *other == sight).unwrap_or(0);
            bits |= u32::from(is_seen) << at;
        };
        for ((spec, _), state) in self.cast.transfers.iter().zip(&world.transfers) {
            note_end(spec, state, &mut note);
            let is_one_shard = world.accounts[spec.debit].owner == world.accounts[spec.credit].owner;
            let is_credited = state.inbox == Some(Verdict::Credited);
            note(Sight::SagaOnOneShard, is_one_shard && is_credited && state.is_pending());
        }
        note(Sight::TwoUnfinished, world.unfinished.iter().flatten().count() == 2);
        note(Sight::TwoPending, world.transfers.iter().filter(|state| state.is_pending()).count() == 2);
        bits
    }
}

fn note_end(spec: &TransferSpec, state: &Transfer, note: &mut impl FnMut(Sight, bool)) {
    let is_voiding = state.reservation.is_some_and(|reservation| reservation.state == DebitState::Voiding);
    note(Sight::VoidTooLate, is_voiding && state.inbox == Some(Verdict::Credited));
    note(Sight::CommitRejected, state.commit_keys.iter().any(|key| matches!(key, Some(KeyRow::Rejected(_)))));
    let Some(end) = state.end else {
        return;
    };
    let reason = |reason| end == End::Released(reason);
    note(Sight::PostedWithin, end == End::Posted && state.inbox.is_none());
    note(Sight::PostedBetween, end == End::Posted && state.inbox.is_some());
    note(Sight::PartPosted, end == End::Posted && state.debited < spec.amount);
    note(Sight::ReleasedByClient, reason(Rejection::ReleasedByClient));
    note(Sight::Expired, reason(Rejection::Expired));
    note(Sight::Refused, reason(Rejection::AccountFrozen));
    note(Sight::Voided, reason(Rejection::Voided));
    note(Sight::Rejected, matches!(end, End::Rejected(_)));
    note(Sight::MessageAfterEnd, state.credits_flying != 0 || state.is_void_flying);
}

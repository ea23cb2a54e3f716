//! Ladders of refusals: each rung is a way to spoil a command that would succeed, in the order in which the
//! decision looks. And the count of them all: no rejection is left without a case.

use crate::shard::Shard;
use crate::{commit, create_account, credit, deposit, give_back, settle, transfer, withdraw, world};
use ledger::{Command, Decided, Outcome, Rejection};
use std::collections::BTreeSet;

/// One way to be refused.
pub struct Rung<C> {
    pub when: &'static str,
    pub rejection: Rejection,
    pub spoil: fn(&mut Shard, &mut C),
}

pub fn rejections<C>(ladder: &[Rung<C>]) -> BTreeSet<&'static str> {
    ladder.iter().map(|rung| rung.rejection.code()).collect()
}

pub fn codes<const N: usize>(rejections: [Rejection; N]) -> BTreeSet<&'static str> {
    rejections.into_iter().map(Rejection::code).collect()
}

/// Spoils a command in two ways at once, for every pair: the one that is looked at first is the answer.
pub fn assert_first_rung_answers<C: Clone>(ladder: &[Rung<C>], command: &C, wrap: fn(C) -> Command) {
    for (first, rung) in ladder.iter().enumerate() {
        for later in &ladder[first + 1..] {
            let (mut shard, mut command) = (world::shard(), command.clone());
            (later.spoil)(&mut shard, &mut command);
            (rung.spoil)(&mut shard, &mut command);
            let (outcome, _) = shard.ask(wrap(command));
            let Outcome::Decided(Decided::Rejected { rejection, .. }) = outcome else {
                panic!("{} and {}: {outcome:?}", rung.when, later.when);
            };
            assert_eq!(rejection, rung.rejection, "{} comes before {}", rung.when, later.when);
        }
    }
}

#[test]
fn every_rejection_has_a_case() {
    let mut covered = codes([Rejection::IdempotencyKeyReused]);
    covered.extend(rejections(transfer::LADDER));
    covered.extend(rejections(deposit::LADDER));
    covered.extend(rejections(withdraw::LADDER));
    covered.extend(rejections(create_account::LADDER));
    covered.extend(rejections(credit::LADDER));
    covered.extend(settle::RELEASES.iter().map(|(_, reason)| reason.code()));
    covered.extend(rejections(commit::LADDER));
    covered.extend(codes(give_back::REASONS));
    assert_eq!(covered, codes(Rejection::ALL));
}

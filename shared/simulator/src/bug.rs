//! Mistakes that can be planted around the ledger, to see that the checks are able to fail.

use clap::ValueEnum;

/// A mistake of the code around [`ledger::decide`]: what it loads, stores, sends or answers. Never inside the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
pub enum Bug {
    /// The debit shard releases when its patience ends, without asking the credit shard.
    ReleaseOnTimer,
    /// A void that finds nothing is answered, but leaves no row behind.
    NoTombstoneOnVoid,
    /// The inbox row is written in a transaction of its own, after the credit.
    InboxOutsideTransaction,
    /// A repeated `credit` does not look into the inbox, and writes its row over the one that is there.
    CreditAgainOnRepeat,
    /// `void` does not look into the inbox and overwrites its decision.
    VoidOverCredit,
    /// A refused `credit` leaves no row behind.
    RefusalNotRecorded,
    /// The old owner's `moved` is taken for a refusal.
    MovedTakenForRefusal,
    /// A message that nobody answers in time is taken for a refusal.
    TimeoutTakenForRefusal,
    /// The client is answered while the commit is on its way.
    AnswerBeforeCommit,
    /// The client of a commit with an unknown outcome is told that it was refused.
    UnknownTakenForRefusal,
    /// `release` does not look at the state of the reservation.
    ReleaseIgnoresState,
    /// The expiry does not look at the state of the reservation.
    ExpiryIgnoresState,
    /// A client may commit more than it has reserved.
    CommitOfMoreThanReserved,
    /// The rest of a partial commit stays reserved.
    RestStaysReserved,
    /// The decisions of a slot stay behind when it moves.
    MoveForgetsDecisions,
    /// The reservations of a slot stay behind when it moves.
    MoveForgetsReservations,
    /// The keys of a slot stay behind when it moves.
    MoveForgetsKeys,
    /// The outbox row goes when its message is sent, not when it is answered.
    OutboxRowDeletedWhenSent,
    /// The commit of a held transfer writes no outbox row.
    CommitWithoutOutboxRow,
    /// The key of a transfer is not recorded.
    KeyNotRecorded,
    /// The key of a refused transfer is not recorded.
    RejectionNotRecorded,
    /// The key of a commit is not recorded.
    CommitKeyNotRecorded,
    /// The reservation is still there after the debit side is posted.
    ReservationKeptAfterCommit,
    /// Once both accounts are on one shard, `credit` posts without an inbox row.
    InboxSkippedOnOneShard,
    /// A batch reads its rows without locking them.
    RowsNotLocked,
    /// Keys and decisions are stored without a unique index.
    NoUniqueIndex,
    /// The clock of the node, not PostgreSQL's, says what has expired.
    ExpiryByNodeClock,
}

impl Bug {
    /// All of them.
    pub fn all() -> &'static [Bug] {
        Bug::value_variants()
    }

    /// Those that can be planted in the model. It commits one command at a time, so locks and indexes are not its
    /// concern.
    pub fn of_model() -> impl Iterator<Item = Bug> {
        let others = [Bug::RowsNotLocked, Bug::NoUniqueIndex, Bug::ExpiryByNodeClock];
        Bug::all().iter().copied().filter(move |bug| !others.contains(bug))
    }

    /// Those that can be planted in the simulation. It moves no slots and posts no part of a batch.
    pub fn of_simulation() -> impl Iterator<Item = Bug> {
        let others = [
            Bug::InboxOutsideTransaction,
            Bug::VoidOverCredit,
            Bug::CommitOfMoreThanReserved,
            Bug::RestStaysReserved,
            Bug::MoveForgetsDecisions,
            Bug::MoveForgetsReservations,
            Bug::MoveForgetsKeys,
            Bug::CommitWithoutOutboxRow,
            Bug::ReservationKeptAfterCommit,
            Bug::InboxSkippedOnOneShard,
        ];
        Bug::all().iter().copied().filter(move |bug| !others.contains(bug))
    }

    /// The name on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

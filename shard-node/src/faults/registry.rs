//! The table of this program's points. A test compares it with the names that stand in the code.

use runtime::faults::{Kind, Point, Side};

/// All of them.
pub const POINTS: &[Point] = &[
    // Crash points: at the lines of the table of crash points, on both sides.
    at_line(
        "crash::reserve_committed",
        Side::Debit,
        "reserve committed, nothing sent",
        "A transfer to another shard is reserved and committed, its `credit` is not sent, nobody is answered.",
    ),
    at_line(
        "crash::held_commit_committed",
        Side::Debit,
        "reserve committed, nothing sent",
        "The commit of a two-step transfer to another shard is committed, its `credit` is not sent.",
    ),
    at_line(
        "crash::outbox_claimed",
        Side::Debit,
        "reserve committed, nothing sent",
        "The sweep has claimed messages and not sent them.",
    ),
    at_line(
        "crash::credit_sent",
        Side::Debit,
        "credit sent, no answer",
        "A message to another shard is written to its socket, no answer has come.",
    ),
    at_line(
        "crash::credit_arrived",
        Side::Credit,
        "credit sent, no answer",
        "A `credit` or `void` has arrived and is not in a batch yet.",
    ),
    at_line(
        "crash::credit_committed",
        Side::Credit,
        "credit committed, answer lost",
        "A decision about another shard's transfer is committed and not answered.",
    ),
    at_line(
        "crash::answer_received",
        Side::Debit,
        "answer received, commit not run",
        "The other shard's decision has come and is not in a lane yet.",
    ),
    at_line(
        "crash::settle_committed",
        Side::Debit,
        "commit ran, client not answered",
        "A transfer to another shard is posted or released and committed; who waits for it is not told.",
    ),
    // Crash points of any batch.
    crash("crash::batch_decided", "A batch is decided, none of its writes is sent to PostgreSQL."),
    crash("crash::commit_not_sent", "The writes of a batch are sent to PostgreSQL, its `COMMIT` is not."),
    at_line(
        "crash::commit_sent",
        Side::Shard,
        "commit sent, connection broke",
        "The writes of a batch and its `COMMIT` are sent to PostgreSQL, which has not answered.",
    ),
    crash("crash::batch_committed", "A batch is committed, nobody is answered."),
    // Crash points of the expiry.
    crash("crash::expiry_found", "The sweep has found reservations that are due and brought none into a lane."),
    crash("crash::expiry_committed", "The expiry of a two-step transfer is committed."),
];

const fn at_line(name: &'static str, side: Side, table_line: &'static str, about: &'static str) -> Point {
    Point { name, side, about, kind: Kind::crash_at(table_line) }
}

const fn crash(name: &'static str, about: &'static str) -> Point {
    Point { name, side: Side::Shard, about, kind: Kind::CRASH }
}

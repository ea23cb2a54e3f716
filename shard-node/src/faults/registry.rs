//! The table of this program's points. A test compares it with the names that stand in the code.

use runtime::faults::{Kind, Point, Side};

/// All of them.
pub const POINTS: &[Point] = &[
    crash(
        "crash::reserve_committed",
        Side::Debit,
        Kind::crash_at("reserve committed, nothing sent"),
        "A transfer to another shard is reserved and committed, its `credit` is not sent, nobody is answered.",
    ),
    crash(
        "crash::credit_committed",
        Side::Credit,
        Kind::crash_at("credit committed, answer lost"),
        "A decision about another shard's transfer is committed and not answered.",
    ),
];

const fn crash(name: &'static str, side: Side, kind: Kind, about: &'static str) -> Point {
    Point { name, side, about, kind }
}

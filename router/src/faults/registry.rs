//! The table of this program's points. A test compares it with the names that stand in the code.

use runtime::faults::{Kind, Point, Side};

/// All of them.
pub const POINTS: &[Point] = &[
    Point {
        name: "crash::request_forwarded",
        side: Side::Router,
        about: "A request is sent to its shard, which has not answered.",
        kind: Kind::CRASH,
    },
    Point {
        name: "crash::answer_not_passed_on",
        side: Side::Router,
        about: "The shard has answered, or cannot be reached, and the client is not told.",
        kind: Kind::CRASH,
    },
];

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
    bug(
        "bug::timeout_is_a_refusal",
        "A shard that does not answer in time is told as 422.",
        &["rejected_never", "one_outcome", "answers_expected"],
        "a shard-node or PostgreSQL that is frozen, killed or cut off for longer than a request may take",
    ),
    bug(
        "bug::retry_with_fresh_key",
        "A command of unknown outcome is sent once more under a key of its own.",
        &["acknowledged_once", "same_answer", "lines_explained", "total_kept"],
        "the same, with shards that had carried the command out",
    ),
    bug(
        "bug::key_hash_of_each_router",
        "The hash of a key differs from router to router.",
        &["acknowledged_once", "same_answer", "one_outcome"],
        "repeats through another router, or after a restart",
    ),
    bug(
        "bug::no_deadline",
        "A shard is waited for without a limit.",
        &["answered_in_time"],
        "a shard-node that is frozen, or cut off without its connections being closed",
    ),
];

const fn bug(
    name: &'static str,
    about: &'static str,
    caught_by: &'static [&'static str],
    needs: &'static str,
) -> Point {
    Point { name, side: Side::Router, about, kind: Kind::Bug { caught_by, needs } }
}

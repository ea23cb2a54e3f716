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
    // Planted bugs: keys.
    bug(
        "bug::key_lookup_skipped",
        Side::Shard,
        "Keys are not looked up, and a key that is there already stays as it is: a repeat is carried out again.",
        &["acknowledged_once", "same_answer", "one_outcome", "lines_explained"],
        "repeats",
    ),
    bug(
        "bug::key_not_recorded",
        Side::Shard,
        "The keys of a batch are not stored: a repeat is carried out again.",
        &["acknowledged_once", "same_answer", "one_outcome", "lines_explained"],
        "repeats",
    ),
    bug(
        "bug::fingerprint_ignored",
        Side::Shard,
        "A key that comes with another request gets the answer to the first one.",
        &["altered_refused"],
        "keys used for two different requests",
    ),
    bug(
        "bug::rerun_with_fresh_keys",
        Side::Shard,
        "A batch whose commit may have happened is run again without its keys.",
        &["acknowledged_once", "lines_explained"],
        "connections to PostgreSQL that break after `COMMIT` was carried out",
    ),
    // Commits.
    bug(
        "bug::answered_before_commit",
        Side::Shard,
        "Posted transfers are answered before `COMMIT` is sent.",
        &["writes_visible", "acknowledged_once"],
        "reads at once after answers, or a shard-node killed while it commits",
    ),
    bug(
        "bug::commit_not_durable",
        Side::Shard,
        "Batches are committed with `synchronous_commit` off.",
        &["acknowledged_once", "writes_visible", "well_again"],
        "a PostgreSQL that is killed with all its processes under load; it loses up to 600 ms, and its shard is only read",
    ),
    bug(
        "bug::accounts_read_unlocked",
        Side::Shard,
        "Accounts are read without their locks: of two batches at once, the later one overwrites the other.",
        &["audit::history_explains_balance", "audit::books_at_zero", "histories_gapless", "unknown_resolved"],
        "accounts that are debited and credited at the same time, in two lanes",
    ),
    bug(
        "bug::batch_not_chained",
        Side::Shard,
        "A batch is left out of its lane's chain.",
        &["audit::rows_as_chained"],
        "",
    ),
    bug(
        "bug::answers_mixed_up",
        Side::Shard,
        "In a batch of several posted transfers, each gets its neighbour's answer.",
        &["acknowledged_once", "answers_expected", "rows_agree"],
        "several local transfers at once on one shard",
    ),
    bug(
        "bug::entry_number_reused",
        Side::Shard,
        "An account that was credited does not count the entry: the next one gets the same number.",
        &["histories_gapless", "audit::history_explains_balance"],
        "",
    ),
    // Sagas.
    bug(
        "bug::credit_without_inbox",
        Side::Credit,
        "The credit side is posted without its inbox row.",
        &["audit::decisions_kept"],
        "",
    ),
    bug(
        "bug::inbox_without_credit",
        Side::Credit,
        "The inbox says that the credit side is posted, and it is not.",
        &["acknowledged_once", "total_kept", "audit::decisions_kept", "audit::debits_paired"],
        "",
    ),
    bug(
        "bug::void_without_tombstone",
        Side::Credit,
        "`void` is answered and not recorded: a late `credit` finds nothing.",
        &["audit::releases_decided"],
        "`saga.void_after_seconds` of 1 or 2, and shards that are cut off from each other for longer",
    ),
    bug(
        "bug::released_without_asking",
        Side::Debit,
        "A message without an answer is taken for voided.",
        &["audit::releases_decided", "audit::credits_paired", "rejected_never"],
        "shards that are cut off from each other or killed",
    ),
    bug(
        "bug::no_answer_is_a_refusal",
        Side::Debit,
        "\"Unavailable\", \"overloaded\" and \"moved\" are taken for the other shard's refusal.",
        &["rejected_never", "rows_agree", "audit::releases_decided"],
        "a credit shard without its PostgreSQL",
    ),
    bug(
        "bug::decision_dropped",
        Side::Debit,
        "The other shard's decision is lost on its way into a lane, each time.",
        &["unknown_resolved", "sagas_closed"],
        "to be left armed until the check: the outbox asks again",
    ),
    bug(
        "bug::outbox_row_deleted_early",
        Side::Debit,
        "The outbox row goes when its message is sent, not when its transfer is decided.",
        &["unknown_resolved", "sagas_closed", "audit::sagas_in_time"],
        "answers between shards that are lost",
    ),
    bug(
        "bug::settle_applied_twice",
        Side::Debit,
        "The debit side of a transfer to another shard is taken off the balance twice.",
        &["histories_gapless", "audit::books_at_zero", "audit::history_explains_balance", "total_kept"],
        "",
    ),
    bug(
        "bug::reserved_told_as_posted",
        Side::Debit,
        "A transfer to another shard is answered as posted once its amount is set aside.",
        &["acknowledged_once", "writes_visible"],
        "reads at once after answers, or transfers that the other shard refuses",
    ),
    // Two-step transfers.
    bug(
        "bug::release_ignores_state",
        Side::Debit,
        "A release does not look whether the transfer was committed.",
        &["rejected_never", "rows_agree", "audit::credits_paired"],
        "releases that race commits, between shards",
    ),
    bug(
        "bug::expiry_ignores_state",
        Side::Debit,
        "The expiry does not look whether the transfer was committed.",
        &[
            "rejected_never",
            "rows_agree",
            "total_kept",
            "answers_expected",
            "audit::credits_paired",
            "audit::one_effect_per_key",
        ],
        "transfers of a few seconds that are committed, between shards whose answers are lost or late",
    ),
    bug(
        "bug::part_commit_keeps_the_rest",
        Side::Debit,
        "The rest of a part commit stays set aside.",
        &["audit::reserved_explained"],
        "part commits",
    ),
    bug(
        "bug::expiry_keeps_the_reservation",
        Side::Debit,
        "An expired transfer's amount stays set aside.",
        &["audit::reserved_explained"],
        "transfers that expire",
    ),
    bug(
        "bug::nothing_expires",
        Side::Debit,
        "The sweep of the expiry finds nothing.",
        &["two_step_expires"],
        "transfers that expire",
    ),
    bug(
        "bug::commit_takes_all",
        Side::Debit,
        "A commit of a part is taken for one of all.",
        &["two_step_amounts"],
        "part commits",
    ),
    bug(
        "bug::ends_on_release",
        Side::Debit,
        "The process ends itself at one release of a two-step transfer in fifty.",
        &["ends_by_faults"],
        "releases",
    ),
    // Events.
    bug(
        "bug::cursor_without_redis",
        Side::Shard,
        "The cursor of the events moves although Redis has not taken them.",
        &["events_told"],
        "a Redis that is killed or cut off",
    ),
    // The comparison with other shards.
    bug(
        "bug::drift_seen_where_none_is",
        Side::Shard,
        "The reconciler overlooks decisions: each credit from another shard looks as if nobody had decided about it.",
        &["none_seen_broken"],
        "transfers between shards, and a pass of the reconciler, which comes every 30 s",
    ),
    // Reads.
    bug(
        "bug::stale_reads",
        Side::Shard,
        "Accounts are answered from copies of up to three seconds ago.",
        &["writes_visible", "reads_possible"],
        "",
    ),
    bug(
        "bug::page_skips_an_entry",
        Side::Shard,
        "Each page of history but the first lacks its first entry.",
        &["histories_unchanged", "histories_shown"],
        "histories of more than one page",
    ),
];

const fn at_line(name: &'static str, side: Side, table_line: &'static str, about: &'static str) -> Point {
    Point { name, side, about, kind: Kind::crash_at(table_line) }
}

const fn crash(name: &'static str, about: &'static str) -> Point {
    Point { name, side: Side::Shard, about, kind: Kind::CRASH }
}

const fn bug(
    name: &'static str,
    side: Side,
    about: &'static str,
    caught_by: &'static [&'static str],
    needs: &'static str,
) -> Point {
    Point { name, side, about, kind: Kind::Bug { caught_by, needs } }
}

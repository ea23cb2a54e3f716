//! The shard's PostgreSQL. Each statement stands beside the one function that runs it.

pub mod admitted;
mod batch_session;
mod chain;
mod codes;
mod connect;
pub mod durability;
pub mod entries;
pub mod events;
pub mod expiry;
mod fence;
mod load;
pub mod maintenance;
pub mod outbox;
mod ownership;
pub mod partitions;
mod pool;
pub mod reading;
pub mod reconcile;
mod save;
pub mod sums;
mod times;

pub use batch_session::{BatchError, BatchSession};
pub use codes::Unreadable;
pub use connect::{broken, connect, connect_past_barrier};
pub use ownership::{Standing, StandingError, found, read_standing};
pub use pool::{DUTY_MAX, Pool, QUESTION_MAX, UPKEEP_MAX, pool};
pub use reading::ReadError;
pub use times::{from_micros, to_micros};

/// Every statement of the service, by name: a test prepares each against the migrated schema and reads
/// the plans.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("admitted::SHOW", admitted::SHOW),
    ("admitted::IS_SHOWN", admitted::IS_SHOWN),
    ("fence::HOLD", fence::HOLD),
    ("fence::VERSION", fence::VERSION),
    ("load::NEIGHBOURS_LOCK", load::NEIGHBOURS_LOCK),
    ("load::NEIGHBOURS", load::NEIGHBOURS),
    ("load::ACCOUNTS", load::ACCOUNTS),
    ("load::ACCOUNTS_WITH_HELD", load::ACCOUNTS_WITH_HELD),
    ("load::KEYS", load::KEYS),
    ("load::RESERVATIONS", load::RESERVATIONS),
    ("load::INBOX", load::INBOX),
    ("chain::HEAD", chain::HEAD),
    ("load::NOW", load::NOW),
    ("save::ACCOUNTS_CHANGED", save::ACCOUNTS_CHANGED),
    ("save::ACCOUNTS_CREATED", save::ACCOUNTS_CREATED),
    ("save::TRANSFERS", save::TRANSFERS),
    ("save::KEYS", save::KEYS),
    ("save::RESERVATIONS", save::RESERVATIONS),
    ("save::COMMITTING", save::COMMITTING),
    ("save::OUTBOX", save::OUTBOX),
    ("save::RESERVATIONS_GONE", save::RESERVATIONS_GONE),
    ("save::OUTBOX_GONE", save::OUTBOX_GONE),
    ("save::INBOX", save::INBOX),
    ("save::EXTERNAL", save::EXTERNAL),
    ("save::CLEARING", save::CLEARING),
    ("chain::LINK", chain::LINK),
    ("reading::ACCOUNTS", reading::ACCOUNTS),
    ("reading::ACCOUNTS_OF_USER", reading::ACCOUNTS_OF_USER),
    ("reading::OPEN_TRANSFERS", reading::OPEN_TRANSFERS),
    ("reading::OPEN_TRANSFER", reading::OPEN_TRANSFER),
    ("reading::TERMINAL_TRANSFER", reading::TERMINAL_TRANSFER),
    ("entries::DESCENDING", entries::DESCENDING),
    ("entries::ASCENDING", entries::ASCENDING),
    ("entries::TIME_OF_ENTRY", entries::TIME_OF_ENTRY),
    ("outbox::CLAIM", outbox::CLAIM),
    ("outbox::VOID", outbox::VOID),
    ("outbox::NOTE_FAILURES", outbox::NOTE_FAILURES),
    ("expiry::DUE", expiry::DUE),
    ("events::LEAD", events::LEAD),
    ("events::NEXT", events::NEXT),
    ("events::TRANSFERS", events::TRANSFERS),
    ("events::TOLD", events::TOLD),
    ("reconcile::LEAD", reconcile::LEAD),
    ("reconcile::NOW", reconcile::NOW),
    ("reconcile::PARTITIONS", reconcile::PARTITIONS),
    ("reconcile::SIDES", reconcile::SIDES),
    ("reconcile::DECISIONS", reconcile::DECISIONS),
    ("reconcile::ASKED", reconcile::ASKED),
    ("reconcile::CLEARING", reconcile::CLEARING),
    ("reconcile::LOOK_UP", reconcile::LOOK_UP),
    ("sums::OPEN_SAGAS", sums::OPEN_SAGAS),
    ("sums::CLEARING", sums::CLEARING),
    ("maintenance::PRUNE_KEYS", maintenance::PRUNE_KEYS),
    ("ownership::VERSION", ownership::VERSION),
    ("ownership::SLOTS", ownership::SLOTS),
    ("ownership::TOPOLOGY", ownership::TOPOLOGY),
];

//! Reads every shard and proves the invariants that can be read from data.
//!
//! Each shard is read in one snapshot, so what concerns one shard is exact, however busy it is. The snapshots of
//! different shards are not of the same moment: a transfer may stand in one and not yet in the other. Such a
//! difference is only a suspicion. Both halves of a transfer are written once and stay, and the credit shard always
//! decides before the debit shard commits, so a suspicion is settled by asking the other shard once more.
//!
//! Nothing is written and nothing is locked: any role that may read the tables can do it.

mod books;
mod chains;
mod error;
pub mod events;
mod limits;
mod owners;
mod pairing;
mod placing;
mod probes;
mod report;
mod run;
mod snapshot;
mod survey;
mod target;

pub use chains::{Breach, ChainHead, ChainReport, KeptChains, RowId, ShardChains, Since, Table, verify_chains};
pub use error::AuditError;
pub use events::{EventsReport, EventsTarget, ShardEvents, verify_events};
pub use limits::Limits;
pub use report::{CheckResult, Invariant, Progress, Report};
pub use run::audit;
pub use survey::{ShardSurvey, Survey, survey};
pub use target::{ShardTarget, connect};

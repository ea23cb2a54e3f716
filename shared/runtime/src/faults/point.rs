//! What a program says about its points.

use serde::Serialize;

/// One crash point or planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// `crash::...` or `bug::...`, as it stands at the point.
    pub name: &'static str,
    /// Whose work it is in.
    pub side: Side,
    /// What happens at a hit, in one line.
    pub about: &'static str,
    /// Whether it kills the process or makes a mistake.
    pub kind: Kind,
}

/// Which part of the system a point is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The shard that holds the debit account.
    Debit,
    /// The shard that holds the credit account.
    Credit,
    /// Any shard, whatever it does.
    Shard,
    /// The edge.
    Router,
}

/// What a point does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// Kills the process.
    Crash {
        /// The line of the table of crash points that it stands for, if it is one of those.
        table_line: Option<&'static str>,
    },
    /// Makes a mistake and goes on.
    Bug {
        /// The checks that must notice it, each sufficient.
        caught_by: &'static [&'static str],
        /// What must go on in the cluster for it to show, beside the usual load.
        needs: &'static str,
    },
}

impl Kind {
    /// A crash point at a line of the table of crash points.
    pub const fn crash_at(table_line: &'static str) -> Kind {
        Kind::Crash { table_line: Some(table_line) }
    }

    /// Any other crash point.
    pub const CRASH: Kind = Kind::Crash { table_line: None };
}

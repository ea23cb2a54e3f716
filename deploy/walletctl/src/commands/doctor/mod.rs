//! `walletctl doctor`

mod cluster;
mod machine;
mod tools;

use anyhow::Result;
use serde::Serialize;

use crate::GlobalOptions;
use crate::outcome::Outcome;
use crate::output::{print, print_json, table};

/// Check whether this machine can run the local cluster, and how one that runs is
#[derive(Debug, clap::Args)]
pub(crate) struct Doctor {}

/// One thing looked at.
#[derive(Debug, Serialize)]
struct Check {
    check: &'static str,
    verdict: Verdict,
    result: String,
    /// What to do about it; empty if nothing.
    mend: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ok,
    /// It works, but not well.
    Warning,
    Failed,
}

impl Check {
    fn ok(check: &'static str, result: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, result: result.into(), mend: String::new() }
    }

    fn warning(check: &'static str, result: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warning, result: result.into(), mend: mend.into() }
    }

    fn failed(check: &'static str, result: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Failed, result: result.into(), mend: mend.into() }
    }
}

impl Doctor {
    pub(crate) async fn run(self, options: &GlobalOptions) -> Result<Outcome> {
        let mut checks = tools::checks();
        checks.extend(machine::checks(&options.data_dir));
        checks.extend(cluster::checks(&options.data_dir).await);
        if options.json {
            print_json(&checks)?;
        } else {
            let rows = checks.iter().map(|check| {
                vec![
                    check.verdict.as_str().to_owned(),
                    check.check.to_owned(),
                    check.result.clone(),
                    check.mend.clone(),
                ]
            });
            print(&table(&["", "CHECK", "RESULT", "HOW TO MEND IT"], rows))?;
        }
        let failed = checks.iter().any(|check| check.verdict == Verdict::Failed);
        Ok(if failed { Outcome::NotWell } else { Outcome::Fine })
    }
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "FAILED",
        }
    }
}

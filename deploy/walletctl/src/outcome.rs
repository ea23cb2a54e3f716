//! How a command ended, and the exit status that tells.

use std::fmt;
use std::process::ExitCode;

/// The end of a command that did what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All is well.
    Fine,
    /// It has shown something that is not as it should be.
    NotWell,
    /// It has found an invariant broken.
    InvariantBroken,
}

/// An invocation that makes no sense; the message says why.
#[derive(Debug)]
pub(crate) struct UsageError(pub(crate) String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const INVARIANT_BROKEN: u8 = 3;

/// Prints an error, once and with its causes, and chooses the exit status.
pub(crate) fn exit_code(result: anyhow::Result<Outcome>) -> ExitCode {
    match result {
        Ok(Outcome::Fine) => ExitCode::SUCCESS,
        Ok(Outcome::NotWell) => ExitCode::from(FAILED),
        Ok(Outcome::InvariantBroken) => ExitCode::from(INVARIANT_BROKEN),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(if error.is::<UsageError>() { USAGE } else { FAILED })
        }
    }
}

//! What is wrong with a configuration, told one line per mistake.

use std::fmt;

/// One thing that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The dotted key (`http.bind`), or the file when the file itself cannot be read.
    pub key: String,
    /// What is wrong and what would be right.
    pub detail: String,
}

/// Every mistake found in one reading of the configuration; never empty.
///
/// `Display` prints one line per mistake. A program prints them and exits with status 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigMistakes(Vec<Mistake>);

impl ConfigMistakes {
    pub(super) fn new(mistakes: Vec<Mistake>) -> Self {
        debug_assert!(!mistakes.is_empty(), "an error needs a mistake");
        Self(mistakes)
    }

    pub(super) fn one(key: impl Into<String>, detail: impl Into<String>) -> Self {
        Self(vec![Mistake { key: key.into(), detail: detail.into() }])
    }

    /// The mistakes, in the order in which the keys were asked for, unknown keys last.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }
}

impl fmt::Display for ConfigMistakes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            write!(out, "{}: {}", mistake.key, mistake.detail)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigMistakes {}

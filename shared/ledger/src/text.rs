//! Text that clients may have stored: what PostgreSQL cannot hold, and what would spoil a log or a
//! screen, is refused at the edge and again here.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest `message`, in characters (the contract's `message_too_long`).
pub const MESSAGE_CHARS_MAX: usize = 255;
/// Longest `reference`, in characters.
pub const REFERENCE_CHARS_MAX: usize = 64;
/// Longest account `name`, in characters.
pub const NAME_CHARS_MAX: usize = 64;
/// Longest user id, in bytes.
pub const USER_ID_BYTES_MAX: usize = 128;

/// Why a text cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// Nothing in it.
    #[error("must not be empty")]
    Empty,
    /// Longer than the limit.
    #[error("must be at most {0} characters long")]
    TooLong(usize),
    /// A NUL or another control character.
    #[error("must not contain control characters")]
    ControlCharacter,
}

/// A single line: no control characters at all, 1 to `chars_max` characters.
pub fn check_line(text: &str, chars_max: usize) -> Result<(), InvalidText> {
    if text.is_empty() {
        return Err(InvalidText::Empty);
    }
    if text.chars().count() > chars_max {
        return Err(InvalidText::TooLong(chars_max));
    }
    match text.chars().any(char::is_control) {
        true => Err(InvalidText::ControlCharacter),
        false => Ok(()),
    }
}

/// Free text: line breaks and tabs are fine, other control characters are not. Length is not checked.
pub fn check_text(text: &str) -> Result<(), InvalidText> {
    match text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        true => Err(InvalidText::ControlCharacter),
        false => Ok(()),
    }
}

/// Who holds an account: the id that the Auth Service gives a user. 1 to 128 bytes, one line.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserId(Box<str>);

impl UserId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for UserId {
    type Error = InvalidText;

    fn try_from(text: String) -> Result<Self, InvalidText> {
        if text.len() > USER_ID_BYTES_MAX {
            return Err(InvalidText::TooLong(USER_ID_BYTES_MAX));
        }
        check_line(&text, USER_ID_BYTES_MAX)?;
        Ok(UserId(text.into()))
    }
}

impl std::str::FromStr for UserId {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, InvalidText> {
        UserId::try_from(text.to_owned())
    }
}

impl From<UserId> for String {
    fn from(user: UserId) -> String {
        user.0.into()
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

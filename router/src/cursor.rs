//! Where the next page of an account's history begins, as an opaque text.

use placement::AccountId;
use sha2::{Digest, Sha256};

const VERSION: u8 = 1;
const CHECK_BYTES: usize = 4;
const BYTES: usize = 1 + 8 + 1 + 8 + CHECK_BYTES;

/// After which entry of which account, read in which direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The account.
    pub account_id: AccountId,
    /// The direction of reading.
    pub newest_first: bool,
    /// The last entry of the page before.
    pub after_entry: i64,
}

/// The text is no cursor, or one of another account or direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a cursor of this account and order")]
pub struct InvalidCursor;

impl Cursor {
    /// The text that the client sends back.
    pub fn encode(self) -> String {
        hex::encode(self.bytes())
    }

    /// Reads a text that [`Cursor::encode`] made for the same account and direction.
    ///
    /// # Errors
    /// [`InvalidCursor`]: mangled, foreign, or of another direction.
    pub fn decode(text: &str, account_id: AccountId, newest_first: bool) -> Result<Self, InvalidCursor> {
        let mut bytes = [0; BYTES];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidCursor)?;
        let mut entry = [0; 8];
        entry.copy_from_slice(&bytes[10..18]);
        let cursor = Self { account_id, newest_first, after_entry: i64::from_le_bytes(entry) };
        // The bytes are right exactly when the cursor expected would have been written so.
        match cursor.after_entry > 0 && cursor.bytes() == bytes {
            true => Ok(cursor),
            false => Err(InvalidCursor),
        }
    }

    fn bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[0] = VERSION;
        bytes[1..9].copy_from_slice(&self.account_id.get().to_le_bytes());
        bytes[9] = u8::from(self.newest_first);
        bytes[10..18].copy_from_slice(&self.after_entry.to_le_bytes());
        let check: [u8; 32] = Sha256::digest(&bytes[..18]).into();
        bytes[18..].copy_from_slice(&check[..CHECK_BYTES]);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(discriminator: u64) -> AccountId {
        AccountId::try_from((1 << 47) + discriminator).expect("an id")
    }

    #[test]
    fn cursor_round_trips() {
        for newest_first in [true, false] {
            let cursor = Cursor { account_id: account(7), newest_first, after_entry: 12_345 };
            assert_eq!(Cursor::decode(&cursor.encode(), account(7), newest_first), Ok(cursor));
        }
    }

    #[test]
    fn foreign_cursor_is_refused() {
        let text = Cursor { account_id: account(7), newest_first: true, after_entry: 3 }.encode();
        assert_eq!(Cursor::decode(&text, account(8), true), Err(InvalidCursor));
        assert_eq!(Cursor::decode(&text, account(7), false), Err(InvalidCursor));
    }

    #[test]
    fn mangled_cursor_is_refused_wherever_it_is_mangled() {
        let text = Cursor { account_id: account(7), newest_first: true, after_entry: 3 }.encode();
        for place in 0..text.len() {
            let mut mangled = text.clone().into_bytes();
            mangled[place] = if mangled[place] == b'0' { b'1' } else { b'0' };
            let mangled = String::from_utf8(mangled).expect("ascii");
            assert_eq!(Cursor::decode(&mangled, account(7), true), Err(InvalidCursor), "{place}");
        }
        for absurd in ["", "0", "zz", &text[1..], &text[2..], &format!("{text}00"), "\u{1F4B8}"] {
            assert_eq!(Cursor::decode(absurd, account(7), true), Err(InvalidCursor), "{absurd}");
        }
    }
}

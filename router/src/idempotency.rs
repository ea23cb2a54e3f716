//! Idempotency keys: read from the header, hashed with whom they belong to, and bound to the request.

use crate::refusal::Refusal;
use http::{HeaderMap, HeaderValue};
use ledger::{KeyClaim, KeyHash, RequestFingerprint};
use sha2::{Digest, Sha256};
use wire::api::ErrorCode;

/// The header.
pub const HEADER: &str = "idempotency-key";

const BYTES_MAX: usize = 255;

/// A client's key, without quotes: 1 to 255 printable ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Reads the header; `None` if there is none.
    ///
    /// # Errors
    /// [`ErrorCode::IdempotencyKeyInvalid`].
    pub fn of(headers: &HeaderMap) -> Result<Option<Self>, Box<Refusal>> {
        let mut values = headers.get_all(HEADER).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => {
                let key = unquoted(value).filter(|key| (1..=BYTES_MAX).contains(&key.len()));
                key.map(|key| Some(Self(key))).ok_or_else(|| Refusal::new(ErrorCode::IdempotencyKeyInvalid))
            }
            (Some(_), Some(_)) => Err(Refusal::new(ErrorCode::IdempotencyKeyInvalid)),
        }
    }

    /// The claim of a key that belongs to a caller.
    pub fn claim(&self, caller: &str, fingerprint: Fingerprint) -> KeyClaim {
        let hash = Hash::begin("key").field(caller.as_bytes()).field(self.0.as_bytes());
        #[cfg(feature = "faults")]
        let hash = crate::faults::salt().iter().fold(hash, |hash, salt| hash.field(&salt.to_le_bytes()));
        KeyClaim { hash: KeyHash(hash.finish()), fingerprint: fingerprint.finish() }
    }

    /// The claim of an operator's key, which belongs to the operator and the account.
    pub fn claim_for_account(&self, caller: &str, account_id: u64, fingerprint: Fingerprint) -> KeyClaim {
        let hash = Hash::begin("account key").field(caller.as_bytes()).field(&account_id.to_le_bytes());
        let hash = hash.field(self.0.as_bytes());
        KeyClaim { hash: KeyHash(hash.finish()), fingerprint: fingerprint.finish() }
    }
}

/// The claim of a request that came without a key: only the request itself, when it is sent to a shard once more,
/// can meet it.
pub fn claim_without_key(fingerprint: Fingerprint) -> KeyClaim {
    KeyClaim { hash: KeyHash(rand::random()), fingerprint: fingerprint.finish() }
}

/// `"abc"` and `abc` are one key; the former is a string of RFC 9651, section 3.3.3.
fn unquoted(value: &HeaderValue) -> Option<String> {
    let text = value.as_bytes().trim_ascii();
    if !text.iter().all(|byte| (b' '..=b'~').contains(byte)) {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    let Some(rest) = text.strip_prefix('"') else {
        return Some(text.to_owned());
    };
    let mut key = String::with_capacity(rest.len());
    let mut characters = rest.chars();
    loop {
        match characters.next()? {
            '"' => return characters.next().is_none().then_some(key),
            '\\' => key.push(characters.next().filter(|c| matches!(c, '"' | '\\'))?),
            character => key.push(character),
        }
    }
}

/// What the client asked for, field by field: the same key with another fingerprint is refused.
#[derive(Debug, Clone)]
pub struct Fingerprint(Hash);

impl Fingerprint {
    /// Begins with what names the call.
    pub fn of(call: &'static str) -> Self {
        Self(Hash::begin(call))
    }

    /// A number.
    pub fn number(self, number: impl Into<i128>) -> Self {
        Self(self.0.field(&number.into().to_le_bytes()))
    }

    /// A number that may be absent.
    pub fn optional_number(self, number: Option<impl Into<i128>>) -> Self {
        match number {
            Some(number) => Self(self.0.present()).number(number),
            None => Self(self.0.absent()),
        }
    }

    /// A text.
    pub fn text(self, text: &str) -> Self {
        Self(self.0.field(text.as_bytes()))
    }

    /// A text that may be absent.
    pub fn optional_text(self, text: Option<&str>) -> Self {
        match text {
            Some(text) => Self(self.0.present()).text(text),
            None => Self(self.0.absent()),
        }
    }

    fn finish(self) -> RequestFingerprint {
        RequestFingerprint(self.0.finish())
    }
}

/// SHA-256 over length-prefixed fields, cut to 128 bits. What it gives is stored for weeks, so what goes in
/// must stay as it is.
#[derive(Debug, Clone)]
struct Hash(Sha256);

impl Hash {
    fn begin(purpose: &str) -> Self {
        Self(Sha256::new()).field(purpose.as_bytes())
    }

    fn field(mut self, bytes: &[u8]) -> Self {
        // Lossless: usize has at most 64 bits here.
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    fn present(mut self) -> Self {
        self.0.update([1]);
        self
    }

    fn absent(mut self) -> Self {
        self.0.update([0]);
        self
    }

    fn finish(self) -> u128 {
        let digest: [u8; 32] = self.0.finalize().into();
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        u128::from_be_bytes(half)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&[u8]]) -> Result<Option<String>, ErrorCode> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_bytes(value).expect("a header value"));
        }
        let key = IdempotencyKey::of(&headers).map_err(|refusal| refusal.code)?;
        Ok(key.map(|key| key.0))
    }

    #[test]
    fn quoted_and_bare_are_one_key() {
        assert_eq!(read(&[b"abc"]), Ok(Some("abc".to_owned())));
        assert_eq!(read(&[b"\"abc\""]), Ok(Some("abc".to_owned())));
        assert_eq!(read(&[b"\"a\\\"b\\\\c\""]), Ok(Some("a\"b\\c".to_owned())));
        assert_eq!(read(&[b"a b\"c"]), Ok(Some("a b\"c".to_owned())));
        assert_eq!(read(&[]), Ok(None));
    }

    #[test]
    fn keys_that_cannot_be_are_refused() {
        let long = vec![b'k'; 256];
        let invalid: [&[&[u8]]; 9] = [
            &[b""],
            &[b"\"\""],
            &[b"\""],
            &[b"\"abc"],
            &[b"\"a\"b\""],
            &[b"\"a\\n\""],
            &["\u{e4}".as_bytes()],
            &[&long],
            &[b"abc", b"abc"],
        ];
        for values in invalid {
            assert_eq!(read(values), Err(ErrorCode::IdempotencyKeyInvalid), "{values:?}");
        }
        assert!(read(&[&long[..255]]).is_ok());
    }

    #[test]
    fn caller_and_key_cannot_be_shifted_into_each_other() {
        let key = |text: &str| IdempotencyKey(text.to_owned());
        let one = key("bc").claim("a", Fingerprint::of("t"));
        let other = key("c").claim("ab", Fingerprint::of("t"));
        assert_ne!(one.hash, other.hash);
        assert_eq!(one.fingerprint, other.fingerprint);
    }

    #[test]
    fn operators_key_belongs_to_the_account_too() {
        let key = IdempotencyKey("k".to_owned());
        let claim = |account| key.claim_for_account("admin", account, Fingerprint::of("deposit")).hash;
        assert_ne!(claim(1), claim(2));
        assert_ne!(claim(1), key.claim("admin", Fingerprint::of("deposit")).hash);
    }

    #[test]
    fn requests_without_a_key_never_meet() {
        let [one, other] = [(); 2].map(|()| claim_without_key(Fingerprint::of("t")));
        assert_ne!(one.hash, other.hash);
        assert_eq!(one.fingerprint, other.fingerprint);
    }

    #[test]
    fn absent_and_empty_fields_differ() {
        let absent = Fingerprint::of("t").optional_text(None).optional_text(Some("")).finish();
        let swapped = Fingerprint::of("t").optional_text(Some("")).optional_text(None).finish();
        assert_ne!(absent, swapped);
    }

    /// Keys are remembered for weeks: a changed hash would run old requests again.
    #[test]
    fn hashes_are_pinned() {
        let fingerprint = Fingerprint::of("create_transfer").number(7u64).optional_text(Some("nick"));
        let claim = IdempotencyKey("abc".to_owned()).claim("yunus", fingerprint);
        assert_eq!(format!("{:032x}", claim.hash.0), "688deff9556f407506948662ae8041c2");
        assert_eq!(format!("{:032x}", claim.fingerprint.0), "483d603f054f5134ec4d2a5f132cce13");
    }
}

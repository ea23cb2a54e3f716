//! Asking for settings by key and type, remembering every mistake.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::settings::{Origin, Setting, Settings};
use super::{ConfigMistakes, Mistake};

/// How alike two keys must be (0 to 1, Jaro-Winkler) for one to be suggested in place of the other.
const SUGGESTION_LIKENESS_MIN: f64 = 0.8;

/// The settings, the keys asked for so far, and the mistakes found so far.
#[derive(Debug)]
pub struct Fields {
    settings: Settings,
    asked: BTreeSet<String>,
    mistakes: Vec<Mistake>,
}

impl Fields {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, asked: BTreeSet::new(), mistakes: Vec::new() }
    }

    /// The value of `key`, which must be there; `None` after a mistake, which is remembered.
    pub fn required<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        self.asked.insert(key.to_owned());
        if !self.settings.by_key.contains_key(key) {
            let variable = self.settings.variable(key);
            self.mistake(key, format!("is missing; set it in the file or as {variable}"));
            return None;
        }
        self.present(key)
    }

    /// The value of `key`, or `default` where it is absent (and after a mistake, which is remembered).
    pub fn optional<T: DeserializeOwned>(&mut self, key: &str, default: T) -> T {
        self.maybe(key).unwrap_or(default)
    }

    /// The value of `key`; `None` where it is absent (and after a mistake, which is remembered).
    pub fn maybe<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        self.asked.insert(key.to_owned());
        self.present(key)
    }

    /// As [`Fields::optional`] for a number that must lie in `range`.
    pub fn in_range<T>(&mut self, key: &str, default: T, range: RangeInclusive<T>) -> T
    where
        T: DeserializeOwned + PartialOrd + Display,
    {
        let value = self.optional(key, default);
        if !range.contains(&value) {
            let detail = format!("must be {} to {}, is {value}", range.start(), range.end());
            self.mistake(key, detail);
        }
        value
    }

    /// As [`Fields::in_range`] for a time; `key` ends in `_ms`, and all values are milliseconds.
    pub fn millis(&mut self, key: &str, default_ms: u64, range_ms: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.in_range(key, default_ms, range_ms))
    }

    /// As [`Fields::required`] for an address and port to listen on or connect to.
    pub fn address(&mut self, key: &str) -> Option<SocketAddr> {
        let text: String = self.required(key)?;
        let address = text.parse().ok();
        if address.is_none() {
            self.mistake(key, format!("must be an address such as 127.0.0.1:8080, is {text:?}"));
        }
        address
    }

    /// Remembers that the value of `key` is wrong for a reason that only the caller knows.
    ///
    /// `detail` completes the sentence that begins with the key: `must be 64 hexadecimal digits`.
    pub fn mistake(&mut self, key: &str, detail: impl Into<String>) {
        let place = match self.settings.by_key.get(key).map(|setting| &setting.origin) {
            Some(Origin::File(path)) => format!(" (in {path})"),
            Some(Origin::Environment(variable)) => format!(" (in {variable})"),
            None => String::new(),
        };
        let mistake = Mistake { key: key.to_owned(), detail: detail.into() + &place };
        // Two readers may share a key, such as the log section; one line for it is enough.
        if !self.mistakes.contains(&mistake) {
            self.mistakes.push(mistake);
        }
    }

    /// Ends the reading: `found`, unless there was any mistake or any key that nobody asked for.
    pub(super) fn finish<T>(mut self, found: Option<T>) -> Result<T, ConfigMistakes> {
        self.refuse_unknown_keys();
        match found {
            Some(found) if self.mistakes.is_empty() => Ok(found),
            None if self.mistakes.is_empty() => {
                Err(ConfigMistakes::one("configuration", "was refused without a reason"))
            }
            _ => Err(ConfigMistakes::new(self.mistakes)),
        }
    }

    fn present<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        match deserialize(self.settings.by_key.get(key)?) {
            Ok(value) => Some(value),
            Err(error) => {
                self.mistake(key, error.to_string());
                None
            }
        }
    }

    fn refuse_unknown_keys(&mut self) {
        let unknown = self.settings.by_key.keys().filter(|key| !self.asked.contains(*key));
        for key in unknown.cloned().collect::<Vec<_>>() {
            let detail = match self.suggestion(&key) {
                Some(asked) => format!("is unknown; did you mean {asked}?"),
                None => "is unknown".to_owned(),
            };
            self.mistake(&key, detail);
        }
    }

    fn suggestion(&self, key: &str) -> Option<&str> {
        self.asked
            .iter()
            .map(|asked| (strsim::jaro_winkler(asked, key), asked.as_str()))
            .filter(|(likeness, _)| *likeness >= SUGGESTION_LIKENESS_MIN)
            .max_by(|one, other| one.0.total_cmp(&other.0))
            .map(|(_, asked)| asked)
    }
}

/// Strict about types for a file; a variable is only text, so it may also stand for a number, a
/// boolean, or a list with commas.
fn deserialize<T: DeserializeOwned>(setting: &Setting) -> Result<T, serde_json::Error> {
    let strict = T::deserialize(&setting.value);
    let (Origin::Environment(_), Json::String(text)) = (&setting.origin, &setting.value) else {
        return strict;
    };
    strict.or_else(|as_text| {
        let items = || text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let scalar = scalar(text);
        let as_scalar = scalar.as_ref().map(|value| T::deserialize(value));
        if let Some(Ok(value)) = as_scalar {
            return Ok(value);
        }
        let texts: Json = items().collect();
        let scalars: Json = items().filter_map(self::scalar).collect();
        T::deserialize(texts)
            .or_else(|_| T::deserialize(scalars))
            // The number's own complaint (out of range) says more than that of the text.
            .map_err(|_| as_scalar.and_then(Result::err).unwrap_or(as_text))
    })
}

/// The number or boolean that `text` spells, if it spells one.
fn scalar(text: &str) -> Option<Json> {
    let value: Json = serde_json::from_str(text.trim()).ok()?;
    (value.is_number() || value.is_boolean()).then_some(value)
}

//! Reading a body of JSON, and saying what is wrong with it.

use crate::refusal::Refusal;
use http::HeaderValue;
use ledger::InvalidText;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::error::Category;
use std::collections::BTreeSet;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use wire::api::FieldError;

/// Whether a body of this type is one that we read: JSON, in UTF-8 as it must be (RFC 8259, section 8.1).
pub fn is_json(content_type: &HeaderValue) -> bool {
    let Ok(text) = content_type.to_str() else { return false };
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let parameters_fit = parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        Some(_) => true,
        None => parameter.is_empty(),
    });
    essence.eq_ignore_ascii_case("application/json") && parameters_fit
}

/// Reads the object that the body must be.
///
/// # Errors
/// [`wire::api::ErrorCode::MalformedRequest`], with the places that are wrong.
pub fn read<T: DeserializeOwned + ToSchema>(body: &[u8]) -> Result<T, Box<Refusal>> {
    // serde would also take an array of the fields in order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Refusal::malformed_at("", "the body must be a JSON object"));
    }
    serde_json::from_slice(body).map_err(|error| Refusal::malformed(mistakes::<T>(body, &error)))
}

/// Reads the body a second time, to find out what is wrong with it.
fn mistakes<T: DeserializeOwned + ToSchema>(body: &[u8], error: &serde_json::Error) -> Vec<FieldError> {
    if error.classify() != Category::Data {
        return vec![FieldError::new("", format!("the body is not JSON: {error}"))];
    }
    if let Ok(Value::Object(fields)) = serde_json::from_slice(body) {
        let missing = required_fields::<T>().into_iter().filter(|name| !fields.contains_key(name));
        let missing: Vec<_> = missing.map(|name| FieldError::new(pointer([name]), "is required")).collect();
        if !missing.is_empty() {
            return missing;
        }
    }
    let deserializer = &mut serde_json::Deserializer::from_slice(body);
    match serde_path_to_error::deserialize::<_, T>(deserializer) {
        Err(error) => {
            let segments = error.path().iter().map(ToString::to_string).collect::<Vec<_>>();
            vec![FieldError::new(pointer(segments), error.inner().to_string())]
        }
        Ok(_) => vec![FieldError::new("", error.to_string())],
    }
}

fn required_fields<T: PartialSchema>() -> BTreeSet<String> {
    match T::schema() {
        RefOr::T(Schema::Object(object)) => object.required.into_iter().collect(),
        _ => BTreeSet::new(),
    }
}

/// A JSON Pointer (RFC 6901).
fn pointer(segments: impl IntoIterator<Item = String>) -> String {
    let escaped = segments.into_iter().map(|segment| segment.replace('~', "~0").replace('/', "~1"));
    escaped.fold(String::new(), |pointer, segment| pointer + "/" + &segment)
}

/// Collects what is wrong with the values of a body that could be read.
#[derive(Debug, Default)]
pub struct FieldChecks(Vec<FieldError>);

impl FieldChecks {
    /// Remembers a mistake.
    pub fn mistake(&mut self, name: &str, detail: impl Into<String>) {
        self.0.push(FieldError::new(format!("/{name}"), detail));
    }

    /// A text that may be absent.
    pub fn text(&mut self, name: &str, text: Option<&str>, check: impl FnOnce(&str) -> Result<(), InvalidText>) {
        if let Some(Err(error)) = text.map(check) {
            self.mistake(name, error.to_string());
        }
    }

    /// An account id that may be absent.
    pub fn account_id(&mut self, name: &str, number: Option<u64>) {
        if number.is_some_and(|number| !crate::exchange::ACCOUNT_NUMBERS.contains(&number)) {
            self.mistake(name, "must be an account id: an integer from 1 to 2^53 - 1");
        }
    }

    /// Ends the checks.
    ///
    /// # Errors
    /// [`wire::api::ErrorCode::MalformedRequest`] with every mistake.
    pub fn finish(self) -> Result<(), Box<Refusal>> {
        if self.0.is_empty() { Ok(()) } else { Err(Refusal::malformed(self.0)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::api::{CreateTransferRequest, EmptyRequest};

    fn pointers(body: &[u8]) -> Vec<String> {
        let refusal = read::<CreateTransferRequest>(body).expect_err("malformed");
        refusal.errors.into_iter().map(|error| error.pointer).collect()
    }

    #[test]
    fn json_is_told_by_its_type() {
        for text in ["application/json", "Application/JSON; charset=UTF-8", "application/json;charset=\"utf-8\""] {
            assert!(is_json(&HeaderValue::from_static(text)), "{text}");
        }
        for text in ["", "text/json", "application/json; charset=latin1", "application/jsonp", "application/xml"] {
            assert!(!is_json(&HeaderValue::from_static(text)), "{text}");
        }
    }

    #[test]
    fn every_missing_field_is_named() {
        assert_eq!(pointers(b"{}"), ["/amount", "/debit_account_id"]);
    }

    #[test]
    fn wrong_types_and_unknown_fields_are_pointed_at() {
        let cases: [(&[u8], &str); 8] = [
            (br#"{"debit_account_id":1,"amount":"250"}"#, "/amount"),
            (br#"{"debit_account_id":1,"amount":2.5}"#, "/amount"),
            (br#"{"debit_account_id":1,"amount":1e3}"#, "/amount"),
            (br#"{"debit_account_id":1,"amount":99999999999999999999}"#, "/amount"),
            (br#"{"debit_account_id":-1,"amount":1}"#, "/debit_account_id"),
            (br#"{"debit_account_id":1,"amount":1,"message":7}"#, "/message"),
            (br#"{"debit_account_id":1,"amount":1,"reserve":"yes"}"#, "/reserve"),
            (br#"{"debit_account_id":1,"amount":1,"a/b~":true}"#, "/a~1b~0"),
        ];
        for (body, pointer) in cases {
            assert_eq!(pointers(body), [pointer], "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn what_is_no_json_object_is_refused() {
        let deep = ["{\"a\":".repeat(5_000), "1".to_owned(), "}".repeat(5_000)].concat();
        let bodies: [&[u8]; 10] = [
            b"",
            b" ",
            b"[1,2,250]",
            b"\"text\"",
            b"{",
            b"{\"amount\":1,}",
            b"{} {}",
            b"{\"message\":\"\xff\"}",
            b"\xef\xbb\xbf{}",
            deep.as_bytes(),
        ];
        for body in bodies {
            assert!(read::<EmptyRequest>(body).is_err(), "{:?}", &body[..body.len().min(20)]);
        }
        assert_eq!(read::<EmptyRequest>(b" {}\n"), Ok(EmptyRequest {}));
    }

    #[test]
    fn repeated_field_is_refused() {
        let refusal = read::<CreateTransferRequest>(br#"{"debit_account_id":1,"amount":1,"amount":2}"#);
        assert!(refusal.expect_err("repeated").errors[0].detail.contains("duplicate field"));
    }
}

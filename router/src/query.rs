//! Query parameters: each known, each at most once.

use crate::refusal::Refusal;
use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;
use wire::api::FieldError;

/// The parameters of one request.
#[derive(Debug, Default)]
pub struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    /// Takes the query apart.
    ///
    /// # Errors
    /// [`wire::api::ErrorCode::MalformedRequest`]: a parameter that is not among `known`, or is repeated.
    pub fn parse(query: Option<&'a str>, known: impl Fn(&str) -> bool) -> Result<Self, Box<Refusal>> {
        let Some(query) = query.filter(|query| !query.is_empty()) else {
            return Ok(Self::default());
        };
        let mut found: Vec<(Cow<str>, Cow<str>)> = Vec::new();
        let mut errors = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if !known(&name) {
                errors.push(mistake(&name, "is not a parameter of this call"));
            } else if found.iter().any(|(earlier, _)| *earlier == name) {
                errors.push(mistake(&name, "is repeated"));
            } else {
                found.push((name, value));
            }
        }
        if errors.is_empty() { Ok(Self(found)) } else { Err(Refusal::malformed(errors)) }
    }

    /// The value of a parameter.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_ref())
    }

    /// The value of a parameter, read by `read`.
    ///
    /// # Errors
    /// [`wire::api::ErrorCode::MalformedRequest`] with what `read` says.
    pub fn read<T, E: Display>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Box<Refusal>> {
        let value = self.text(name).map(read).transpose();
        value.map_err(|error| Refusal::malformed(vec![mistake(name, error)]))
    }

    /// A whole number from `min` to `max`.
    ///
    /// # Errors
    /// [`wire::api::ErrorCode::MalformedRequest`].
    pub fn number<T>(&self, name: &str, min: T, max: T) -> Result<Option<T>, Box<Refusal>>
    where
        T: FromStr + PartialOrd + Display + Copy,
    {
        self.read(name, |text| {
            let digits_only = text.bytes().all(|byte| byte.is_ascii_digit());
            let number = text.parse().ok().filter(|number| digits_only && (min..=max).contains(number));
            number.ok_or_else(|| format!("must be a whole number from {min} to {max}"))
        })
    }
}

fn mistake(name: &str, detail: impl Display) -> FieldError {
    FieldError::new(format!("?{name}"), detail.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<Query<'_>, Box<Refusal>> {
        Query::parse(Some(query), |name| matches!(name, "limit" | "order"))
    }

    #[test]
    fn values_are_decoded() {
        let query = parse("order=a%20b+c&limit=7").expect("known");
        assert_eq!(query.text("order"), Some("a b c"));
        assert_eq!(query.number("limit", 1u16, 200).expect("in range"), Some(7));
        assert_eq!(parse("").expect("empty").text("order"), None);
    }

    #[test]
    fn unknown_and_repeated_parameters_are_named() {
        let refusal = parse("limit=1&x=1&limit=2").expect_err("two mistakes");
        let pointers: Vec<_> = refusal.errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(pointers, ["?x", "?limit"]);
    }

    #[test]
    fn numbers_out_of_range_or_odd_are_refused() {
        for value in ["0", "201", "-1", "+1", "1.0", "", "99999999999999999999", "%00", "1 "] {
            let text = format!("limit={value}");
            let query = parse(&text).expect("known");
            assert!(query.number("limit", 1u16, 200).is_err(), "{value}");
        }
    }
}

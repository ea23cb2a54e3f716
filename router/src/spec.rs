//! What a call is: how it is asked, who may ask it, and what it may answer. Requests are checked against it,
//! and the OpenAPI document is made from it, so that both say the same.

use wire::api::ErrorCode;

/// One call of the contract.
#[derive(Debug)]
pub struct Spec {
    /// A short name for logs, metrics and `operationId`.
    pub name: &'static str,
    /// The method.
    pub method: Verb,
    /// The path, with `{id}` for an id.
    pub path: &'static str,
    /// Who may ask.
    pub access: Access,
    /// What it does with an idempotency key.
    pub key: KeyUse,
    /// What body it takes.
    pub body: BodySpec,
    /// The query parameters it takes.
    pub query: &'static [Parameter],
    /// The headers it heeds, beside those of all calls.
    pub headers: &'static [Parameter],
    /// What it does, in a few words.
    pub summary: &'static str,
    /// What else there is to know.
    pub description: &'static str,
    /// What it answers when all is well.
    pub answers: &'static [AnswerSpec],
    /// The problems that are its own, beside those that follow from the rest.
    pub problems: &'static [ErrorCode],
}

/// A method that some call has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Reads.
    Get,
    /// Changes.
    Post,
}

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Public,
    /// Whoever has a session.
    Session,
    /// A session with the scope `wallet`.
    Wallet,
    /// A session with the scope `admin`.
    Admin,
}

/// What a call does with an idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// Nothing.
    Ignored,
    /// Honours it.
    Honoured,
    /// Asks for it.
    Required,
}

/// What body a call takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodySpec {
    /// None; what is sent is not read.
    Ignored,
    /// None, or an empty object.
    Empty,
    /// None, or an object of this schema.
    Optional {
        /// The schema's name.
        schema: &'static str,
        /// An example in JSON.
        example: &'static str,
    },
    /// An object of this schema, such as this one.
    Object {
        /// The schema's name.
        schema: &'static str,
        /// An example in JSON.
        example: &'static str,
    },
}

/// A parameter of the query, or a header.
#[derive(Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it is for, and its default.
    pub description: &'static str,
    /// What it may be.
    pub values: Values,
}

/// What a parameter may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// Any text.
    Text,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// An RFC 3339 time.
    Time,
    /// A whole number between these.
    Number(u32, u32),
}

/// An answer when all is well.
#[derive(Debug)]
pub struct AnswerSpec {
    /// The status.
    pub status: u16,
    /// When it is given.
    pub description: &'static str,
    /// The schema of the body, and an example in JSON; `None` for no body, or one that is not JSON.
    pub body: Option<(&'static str, &'static str)>,
    /// Headers that it may have, beside those of all answers.
    pub headers: &'static [&'static str],
}

impl Spec {
    /// What a call is that takes nothing; each call says what is different.
    pub const PLAIN: Spec = Spec {
        name: "",
        method: Verb::Get,
        path: "",
        access: Access::Wallet,
        key: KeyUse::Ignored,
        body: BodySpec::Ignored,
        query: &[],
        headers: &[],
        summary: "",
        description: "",
        answers: &[],
        problems: &[],
    };

    /// Every problem that the call may answer, in the order of the contract's table.
    pub fn all_problems(&self) -> Vec<ErrorCode> {
        let may = |code: &ErrorCode| self.problems.contains(code) || self.implied(*code);
        ErrorCode::ALL.iter().copied().filter(may).collect()
    }

    fn implied(&self, code: ErrorCode) -> bool {
        let has_body = self.body != BodySpec::Ignored;
        let has_input = has_body || !self.query.is_empty() || self.path.contains("{id}");
        match code {
            ErrorCode::MalformedRequest => has_input,
            ErrorCode::IdempotencyKeyRequired => self.key == KeyUse::Required,
            ErrorCode::IdempotencyKeyInvalid | ErrorCode::IdempotencyKeyReused | ErrorCode::IdempotencyInFlight => {
                self.key != KeyUse::Ignored
            }
            ErrorCode::Unauthenticated | ErrorCode::RateLimited | ErrorCode::Unavailable => {
                self.access != Access::Public
            }
            ErrorCode::Forbidden => matches!(self.access, Access::Wallet | Access::Admin),
            ErrorCode::NotFound => self.path.contains("{id}"),
            ErrorCode::PayloadTooLarge | ErrorCode::UnsupportedMediaType => has_body,
            ErrorCode::Internal | ErrorCode::Overloaded => true,
            _ => false,
        }
    }
}

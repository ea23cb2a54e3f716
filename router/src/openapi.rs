//! The OpenAPI document: the specs of the calls, and the schemas of the types that cross the wire.

use crate::route::Call;
use crate::spec::{Access, AnswerSpec, BodySpec, KeyUse, Parameter, Spec, Values, Verb};
use bytes::Bytes;
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::OpenApi;
use utoipa::openapi::header::Header;
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{KnownFormat, Object, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, ContentBuilder, InfoBuilder, Ref, Required, Response, ResponseBuilder};
use wire::api;
use wire::api::ErrorCode;

const SCHEME: &str = "session";

const DESCRIPTION: &str = "Moves money between accounts. Amounts are integers in the currency's smallest configured \
    unit (`GET /v1/currencies`), account ids integers below 2^53, transfer ids UUIDs, times RFC 3339 in UTC. Fields \
    and query parameters that are not described here are refused.\n\n\
    A call that moves money needs an `Idempotency-Key`: the same key with the same request gives the first answer \
    again, with `Idempotency-Replayed: true`. Problems are `application/problem+json` (RFC 9457); their `retry` says \
    whether the same key may be used again. Every answer has an `X-Request-Id`; a W3C `traceparent` is taken over.";

#[derive(OpenApi)]
#[openapi(components(schemas(
    api::Account,
    api::AccountList,
    api::AccountStatus,
    api::CommitTransferRequest,
    api::CreateAccountRequest,
    api::CreateTransferRequest,
    api::Currency,
    api::CurrencyList,
    api::Direction,
    api::EmptyRequest,
    api::ErrorCode,
    api::ExternalMoveRequest,
    api::FieldError,
    api::Problem,
    api::RegionView,
    api::RetryAdvice,
    api::ShardView,
    api::Time,
    api::TopologyView,
    api::Transaction,
    api::TransactionPage,
    api::Transfer,
    api::TransferKind,
    api::TransferList,
    api::TransferState,
)))]
struct Schemas;

/// The document.
pub fn document() -> utoipa::openapi::OpenApi {
    let mut document = Schemas::openapi();
    document.info = InfoBuilder::new().title("Wallet").version("1").description(Some(DESCRIPTION)).build();
    if let Some(components) = &mut document.components {
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.description = Some("The token of a session, as the Auth Service gives it out.".to_owned());
        components.add_security_scheme(SCHEME, SecurityScheme::Http(scheme));
    }
    for call in Call::ALL {
        let spec = call.spec();
        let method = match spec.method {
            Verb::Get => HttpMethod::Get,
            Verb::Post => HttpMethod::Post,
        };
        document.paths.add_path_operation(spec.path, vec![method], operation(spec));
    }
    document
}

/// The document as it is served.
///
/// # Panics
/// The document cannot be written as JSON: a defect that every start and every test finds.
pub fn json(document: &utoipa::openapi::OpenApi) -> Bytes {
    document.to_json().expect("a document made of texts can be written").into()
}

fn operation(spec: &Spec) -> Operation {
    let mut operation = OperationBuilder::new()
        .operation_id(Some(spec.name))
        .summary(Some(spec.summary))
        .description(Some(spec.description))
        .tag(tag(spec));
    for parameter in parameters(spec) {
        operation = operation.parameter(parameter);
    }
    if let Some((schema, example, required)) = body(spec.body) {
        let content = content(schema, example);
        let required = if required { Required::True } else { Required::False };
        let body = RequestBodyBuilder::new().content("application/json", content).required(Some(required));
        operation = operation.request_body(Some(body.build()));
    }
    for answer in spec.answers {
        operation = operation.response(answer.status.to_string(), answer_response(answer));
    }
    for (status, codes) in problems_by_status(spec) {
        operation = operation.response(status.to_string(), problem_response(status, &codes));
    }
    let security = match spec.access {
        Access::Public => SecurityRequirement::default(),
        Access::Session => SecurityRequirement::new(SCHEME, Vec::<String>::new()),
        Access::Wallet => SecurityRequirement::new(SCHEME, ["wallet"]),
        Access::Admin => SecurityRequirement::new(SCHEME, ["admin"]),
    };
    operation.security(security).build()
}

fn tag(spec: &Spec) -> &'static str {
    match spec.access {
        Access::Public => "Description",
        Access::Session | Access::Wallet => "Wallet",
        Access::Admin => "Operators",
    }
}

fn body(body: BodySpec) -> Option<(&'static str, &'static str, bool)> {
    match body {
        BodySpec::Ignored => None,
        BodySpec::Empty => Some(("EmptyRequest", "{}", false)),
        BodySpec::Optional { schema, example } => Some((schema, example, false)),
        BodySpec::Object { schema, example } => Some((schema, example, true)),
    }
}

fn parameters(spec: &Spec) -> Vec<utoipa::openapi::path::Parameter> {
    let mut parameters = Vec::new();
    if spec.path.contains("{id}") {
        let (description, schema) = match spec.path.contains("/transfers/{id}") {
            true => ("The transfer's id.", text(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))),
            false => ("The account's id.", whole_number(1.0, 9_007_199_254_740_991.0)),
        };
        let parameter = ParameterBuilder::new().name("id").parameter_in(ParameterIn::Path).required(Required::True);
        parameters.push(parameter.description(Some(description)).schema(Some(schema)).build());
    }
    parameters.extend(spec.query.iter().map(|parameter| optional(parameter, ParameterIn::Query)));
    parameters.extend(spec.headers.iter().map(|parameter| optional(parameter, ParameterIn::Header)));
    if spec.key != KeyUse::Ignored {
        let required = if spec.key == KeyUse::Required { Required::True } else { Required::False };
        let parameter = ParameterBuilder::new().name("Idempotency-Key").parameter_in(ParameterIn::Header);
        let description = "Made by the client for one intent: 1 to 255 printable ASCII characters, quoted or not.";
        let schema = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(255));
        parameters.push(parameter.required(required).description(Some(description)).schema(Some(schema)).build());
    }
    parameters
}

fn optional(parameter: &Parameter, place: ParameterIn) -> utoipa::openapi::path::Parameter {
    let schema = match parameter.values {
        Values::Text => text(None),
        Values::Time => text(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))),
        Values::OneOf(words) => {
            ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words.to_vec())).build()
        }
        Values::Number(min, max) => whole_number(min.into(), max.into()),
    };
    ParameterBuilder::new()
        .name(parameter.name)
        .parameter_in(place)
        .required(Required::False)
        .description(Some(parameter.description))
        .schema(Some(schema))
        .build()
}

fn text(format: Option<SchemaFormat>) -> Object {
    ObjectBuilder::new().schema_type(Type::String).format(format).build()
}

fn whole_number(min: f64, max: f64) -> Object {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(min)).maximum(Some(max)).build()
}

/// # Panics
/// The example is no JSON: a defect that every start and every test finds.
fn content(schema: &str, example: &str) -> Content {
    let example: Value = serde_json::from_str(example).expect("the examples are constants in JSON");
    ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).example(Some(example)).build()
}

fn answer_response(answer: &AnswerSpec) -> Response {
    let mut response = ResponseBuilder::new().description(answer.description);
    if let Some((schema, example)) = answer.body {
        response = response.content("application/json", content(schema, example));
    }
    for name in answer.headers.iter().chain(&["X-Request-Id"]) {
        response = response.header(*name, header(name));
    }
    response.build()
}

fn problems_by_status(spec: &Spec) -> BTreeMap<u16, Vec<ErrorCode>> {
    let mut by_status = BTreeMap::<u16, Vec<ErrorCode>>::new();
    for code in spec.all_problems() {
        by_status.entry(code.status()).or_default().push(code);
    }
    by_status
}

fn problem_response(status: u16, codes: &[ErrorCode]) -> Response {
    let named: Vec<String> = codes.iter().map(|code| format!("`{code}`: {}", code.title())).collect();
    let mut content = Content::new(Some(Ref::from_schema_name("Problem")));
    content.example = codes.first().map(|code| example_problem(*code));
    let mut response = ResponseBuilder::new()
        .description(named.join("; "))
        .content("application/problem+json", content)
        .header("X-Request-Id", header("X-Request-Id"));
    let own = match status {
        401 => Some("WWW-Authenticate"),
        422 => Some("Idempotency-Replayed"),
        409 | 429 | 503 => Some("Retry-After"),
        _ => None,
    };
    if let Some(name) = own {
        response = response.header(name, header(name));
    }
    response.build()
}

fn example_problem(code: ErrorCode) -> Value {
    let id = uuid::Uuid::from_u128(0x019a_cb2e_5f00_7000_8000_0000_0000_0001);
    let problem = crate::refusal::Refusal::new(code).problem(id);
    serde_json::to_value(problem).unwrap_or_default()
}

fn header(name: &str) -> Header {
    let (schema_type, description) = match name {
        "Location" => (Type::String, "Where the thing made can be read."),
        "ETag" => (Type::String, "Changes whenever the thing does."),
        "Idempotency-Replayed" => (Type::String, "`true` if the answer was decided by an earlier request."),
        "Preference-Applied" => (Type::String, "`wait=N` if that wish was followed."),
        "Retry-After" => (Type::Integer, "After how many seconds to try again."),
        "WWW-Authenticate" => (Type::String, "`Bearer`."),
        _ => (Type::String, "Names the request in the logs: a UUID."),
    };
    let mut header = Header::new(ObjectBuilder::new().schema_type(schema_type).build());
    header.description = Some(description.to_owned());
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::DeserializeOwned;
    use utoipa::openapi::schema::AdditionalProperties;
    use utoipa::openapi::{RefOr, Schema};

    fn value() -> Value {
        serde_json::from_slice(&json(&document())).expect("json")
    }

    #[test]
    fn document_is_of_version_3_1_and_describes_every_call() {
        let document = value();
        assert_eq!(document["openapi"], "3.1.0");
        for call in Call::ALL {
            let spec = call.spec();
            let method = if spec.method == Verb::Get { "get" } else { "post" };
            let operation = &document["paths"][spec.path][method];
            assert_eq!(operation["operationId"], spec.name);
            for answer in spec.answers {
                assert!(
                    operation["responses"][answer.status.to_string()].is_object(),
                    "{} {}",
                    spec.name,
                    answer.status
                );
            }
            for code in spec.all_problems() {
                let described = operation["responses"][code.status().to_string()]["description"].as_str();
                assert!(described.is_some_and(|text| text.contains(code.as_str())), "{} {code}", spec.name);
            }
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(fields) => {
                    found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                    fields.values().for_each(|value| references(value, found));
                }
                Value::Array(items) => items.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document = value();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 50);
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("within the document");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn every_code_that_is_served_is_described_somewhere() {
        // No request is answered with them; a transfer's `reason` is.
        let reasons = [ErrorCode::ReleasedByClient, ErrorCode::Expired];
        for code in ErrorCode::ALL.iter().filter(|code| !reasons.contains(code)) {
            let general = *code == ErrorCode::MethodNotAllowed;
            assert!(general || Call::ALL.iter().any(|call| call.spec().all_problems().contains(code)), "{code}");
        }
    }

    fn is_closed(schema: &RefOr<Schema>) -> bool {
        let RefOr::T(Schema::Object(object)) = schema else { return false };
        let more = object.additional_properties.as_deref();
        more.is_some_and(|more| matches!(more, AdditionalProperties::FreeForm(false)))
    }

    #[test]
    fn requests_are_closed_objects() {
        let components = document().components.expect("schemas");
        for (name, schema) in components.schemas.iter().filter(|(name, _)| name.ends_with("Request")) {
            assert!(is_closed(schema), "{name}");
        }
    }

    fn parses<T: DeserializeOwned>(example: &str) -> bool {
        serde_json::from_str::<T>(example).is_ok()
    }

    #[test]
    fn every_example_is_of_its_type() {
        for call in Call::ALL {
            let spec = call.spec();
            let answers = spec.answers.iter().filter_map(|answer| answer.body);
            let body = body(spec.body).map(|(schema, example, _)| (schema, example));
            for (schema, example) in answers.chain(body) {
                let fits = match schema {
                    "Account" => parses::<api::Account>(example),
                    "AccountList" => parses::<api::AccountList>(example),
                    "CommitTransferRequest" => parses::<api::CommitTransferRequest>(example),
                    "CreateAccountRequest" => parses::<api::CreateAccountRequest>(example),
                    "CreateTransferRequest" => parses::<api::CreateTransferRequest>(example),
                    "CurrencyList" => parses::<api::CurrencyList>(example),
                    "EmptyRequest" => parses::<api::EmptyRequest>(example),
                    "ExternalMoveRequest" => parses::<api::ExternalMoveRequest>(example),
                    "TopologyView" => parses::<api::TopologyView>(example),
                    "TransactionPage" => parses::<api::TransactionPage>(example),
                    "Transfer" => parses::<api::Transfer>(example),
                    "TransferList" => parses::<api::TransferList>(example),
                    _ => false,
                };
                assert!(fits, "{}: {example} is no {schema}", spec.name);
            }
        }
    }
}

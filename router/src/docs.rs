//! The page at `/docs`: the OpenAPI document for people. One file with nothing to load, so it works offline
//! and no other site learns who reads it.

mod html;

use crate::route::Call;
use crate::spec::{Access, BodySpec, KeyUse, Spec, Values, Verb};
use bytes::Bytes;
use html::{Html, code_spans};
use serde_json::Value;
use wire::api::{ErrorCode, RetryAdvice};

/// The page loads nothing and runs nothing.
pub const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const STYLE: &str = include_str!("docs/page.css");

/// The page of a document.
///
/// # Panics
/// The document cannot be written as JSON: a defect that every start and every test finds.
pub fn page(document: &utoipa::openapi::OpenApi) -> Bytes {
    let document = serde_json::to_value(document).expect("a document made of texts can be written");
    let mut html = Html::default();
    html.raw("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Wallet API</title>");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><style>");
    html.raw(STYLE).raw("</style></head><body>");
    contents(&mut html, &document);
    html.raw("<main>");
    introduction(&mut html, &document);
    for call in Call::ALL {
        operation(&mut html, call.spec());
    }
    problems(&mut html);
    schemas(&mut html, &document);
    html.raw("</main></body></html>");
    html.finish().into()
}

fn method(spec: &Spec) -> &'static str {
    match spec.method {
        Verb::Get => "GET",
        Verb::Post => "POST",
    }
}

fn contents(html: &mut Html, document: &Value) {
    html.raw("<nav><h1>Wallet API</h1><ul>");
    for spec in Call::ALL.iter().map(|call| call.spec()) {
        html.raw("<li><a href=\"#").text(spec.name).raw("\"><b class=\"").text(method(spec)).raw("\">");
        html.text(method(spec)).raw("</b> ").text(spec.path).raw("</a></li>");
    }
    html.raw("<li><a href=\"#problems\">Problems</a></li></ul><h2>Schemas</h2><ul>");
    for name in schema_names(document) {
        html.raw("<li><a href=\"#schema-").text(name).raw("\">").text(name).raw("</a></li>");
    }
    html.raw("</ul></nav>");
}

fn introduction(html: &mut Html, document: &Value) {
    html.raw("<section><h2>Wallet API</h2>");
    for paragraph in document["info"]["description"].as_str().unwrap_or_default().split("\n\n") {
        html.raw("<p>").raw(&code_spans(paragraph)).raw("</p>");
    }
    html.raw("<p>For programs: <a href=\"/openapi.json\">/openapi.json</a> (OpenAPI 3.1).</p></section>");
}

fn operation(html: &mut Html, spec: &Spec) {
    html.raw("<section id=\"")
        .text(spec.name)
        .raw("\"><h2>")
        .text(spec.summary)
        .raw("</h2><p class=\"call\"><b class=\"");
    html.text(method(spec)).raw("\">").text(method(spec)).raw("</b> <code>").text(spec.path).raw("</code>");
    let access = match spec.access {
        Access::Public => "open to everybody",
        Access::Session => "any session",
        Access::Wallet => "scope wallet",
        Access::Admin => "scope admin",
    };
    html.raw(" <span>").text(access).raw("</span></p><p>").raw(&code_spans(spec.description)).raw("</p>");
    parameters(html, spec);
    match spec.body {
        BodySpec::Ignored | BodySpec::Empty => {}
        BodySpec::Optional { schema, example } => {
            html.raw("<h3>Body (optional): ").schema_link(schema).raw("</h3>").json(example);
        }
        BodySpec::Object { schema, example } => {
            html.raw("<h3>Body: ").schema_link(schema).raw("</h3>").json(example);
        }
    }
    for answer in spec.answers {
        html.raw("<h3>").text(&answer.status.to_string()).raw(": ").raw(&code_spans(answer.description));
        if let Some((schema, example)) = answer.body {
            html.raw(" ").schema_link(schema).raw("</h3>").json(example);
        } else {
            html.raw("</h3>");
        }
    }
    html.raw("<h3>Problems</h3><p>");
    for code in spec.all_problems() {
        html.raw("<a class=\"problem\" href=\"#problem-").text(code.as_str()).raw("\">");
        html.text(&code.status().to_string()).raw(" ").text(code.as_str()).raw("</a> ");
    }
    html.raw("</p></section>");
}

fn parameters(html: &mut Html, spec: &Spec) {
    if spec.query.is_empty() && spec.headers.is_empty() && spec.key == KeyUse::Ignored {
        return;
    }
    html.raw("<table><tr><th>Parameter</th><th>In</th><th>Values</th><th></th></tr>");
    match spec.key {
        KeyUse::Ignored => {}
        KeyUse::Honoured => html.row(&["Idempotency-Key", "header", "1 to 255 printable ASCII characters", "optional"]),
        KeyUse::Required => html.row(&["Idempotency-Key", "header", "1 to 255 printable ASCII characters", "required"]),
    }
    let query = spec.query.iter().map(|parameter| (parameter, "query"));
    let headers = spec.headers.iter().map(|parameter| (parameter, "header"));
    for (parameter, place) in query.chain(headers) {
        let values = match parameter.values {
            Values::Text => "text".to_owned(),
            Values::Time => "RFC 3339 time".to_owned(),
            Values::OneOf(words) => words.join(", "),
            Values::Number(min, max) => format!("{min} to {max}"),
        };
        html.row(&[parameter.name, place, &values, parameter.description]);
    }
    html.raw("</table>");
}

fn problems(html: &mut Html) {
    html.raw("<section id=\"problems\"><h2>Problems</h2><p>Bodies of the type <code>application/problem+json</code>, ");
    html.raw("such as this one:</p>");
    let example = crate::refusal::Refusal::new(ErrorCode::InsufficientFunds).problem(uuid::Uuid::nil());
    html.json(&serde_json::to_string(&example).unwrap_or_default());
    html.raw("<table><tr><th>Status</th><th>Code</th><th>Retry</th><th></th></tr>");
    for code in ErrorCode::ALL {
        let retry = match code.retry() {
            RetryAdvice::SameKey => "same_key",
            RetryAdvice::NewKey => "new_key",
            RetryAdvice::Never => "never",
        };
        let detail = crate::refusal::Refusal::new(*code).detail;
        html.raw("<tr id=\"problem-").text(code.as_str()).raw("\"><td>").text(&code.status().to_string());
        html.raw("</td><td><code>").text(code.as_str()).raw("</code></td><td><code>").text(retry);
        html.raw("</code></td><td>").text(&detail).raw("</td></tr>");
    }
    html.raw("</table></section>");
}

fn schema_names(document: &Value) -> impl Iterator<Item = &String> {
    document["components"]["schemas"].as_object().into_iter().flat_map(|schemas| schemas.keys())
}

fn schemas(html: &mut Html, document: &Value) {
    for name in schema_names(document) {
        let schema = &document["components"]["schemas"][name];
        html.raw("<section id=\"schema-").text(name).raw("\"><h2>").text(name).raw("</h2><p>");
        html.raw(&code_spans(schema["description"].as_str().unwrap_or_default())).raw("</p>");
        if let Some(words) = schema["enum"].as_array() {
            let words: Vec<_> = words.iter().filter_map(Value::as_str).collect();
            html.raw("<p>One of: <code>").text(&words.join(", ")).raw("</code></p>");
        }
        if let Some(properties) = schema["properties"].as_object() {
            let required = |name: &str| schema["required"].as_array().is_some_and(|it| it.iter().any(|it| it == name));
            html.raw("<table><tr><th>Field</th><th>Type</th><th></th><th></th></tr>");
            for (field, property) in properties {
                html.raw("<tr><td><code>").text(field).raw("</code></td><td>");
                field_type(html, property);
                html.raw("</td><td>").text(if required(field) { "" } else { "optional" }).raw("</td><td>");
                html.raw(&code_spans(property["description"].as_str().unwrap_or_default())).raw("</td></tr>");
            }
            html.raw("</table>");
        }
        html.raw("</section>");
    }
}

fn field_type(html: &mut Html, property: &Value) {
    if let Some(name) = property["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        html.schema_link(name);
    } else if let Some(options) = property["oneOf"].as_array() {
        let options = options.iter().filter(|option| option["type"] != "null");
        options.for_each(|option| field_type(html, option));
    } else if property["items"].is_object() {
        html.raw("list of ");
        field_type(html, &property["items"]);
    } else {
        let name = match &property["type"] {
            Value::String(name) => name.as_str(),
            Value::Array(names) => names.iter().filter_map(Value::as_str).find(|name| *name != "null").unwrap_or(""),
            _ => "",
        };
        html.text(name);
        if let Some(format) = property["format"].as_str().filter(|format| !format.starts_with("int")) {
            html.raw(" (").text(format).raw(")");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_shows_every_call_and_code_and_loads_nothing() {
        let page = page(&crate::openapi::document());
        let page = std::str::from_utf8(&page).expect("text");
        for call in Call::ALL {
            assert!(page.contains(call.spec().summary), "{}", call.spec().name);
        }
        for code in ErrorCode::ALL {
            assert!(page.contains(&format!("id=\"problem-{code}\"")), "{code}");
        }
        for loading in ["<script", "<link", "<img", "<iframe", "@import", "url(", "http://", "https://"] {
            assert!(!page.contains(loading), "{loading}");
        }
    }

    #[test]
    fn every_link_within_the_page_leads_somewhere() {
        let page = page(&crate::openapi::document());
        let page = std::str::from_utf8(&page).expect("text");
        for link in page.split("href=\"#").skip(1) {
            let id = link.split('"').next().expect("quoted");
            assert!(page.contains(&format!("id=\"{id}\"")), "{id}");
        }
    }
}

//! `GET /openapi.json`.

use crate::app::App;
use crate::reply::Reply;
use crate::spec::{Access, AnswerSpec, Spec};
use http::{HeaderValue, StatusCode};

/// What the call is.
pub const SPEC: Spec = Spec {
    name: "get_openapi",
    path: "/openapi.json",
    access: Access::Public,
    summary: "Read this description",
    description: "The description of all calls, in OpenAPI 3.1.",
    answers: &[AnswerSpec { status: 200, description: "The description.", body: None, headers: &[] }],
    ..Spec::PLAIN
};

/// The document.
pub fn run(app: &App) -> Reply {
    let content_type = HeaderValue::from_static("application/json");
    let reply = Reply::with_body(StatusCode::OK, content_type, app.openapi.clone());
    Reply { cache_control: Some(HeaderValue::from_static("no-cache")), ..reply }
}

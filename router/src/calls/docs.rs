//! `GET /docs`.

use crate::app::App;
use crate::docs::CONTENT_SECURITY_POLICY;
use crate::reply::Reply;
use crate::spec::{Access, AnswerSpec, Spec};
use http::{HeaderValue, StatusCode};

/// What the call is.
pub const SPEC: Spec = Spec {
    name: "get_docs",
    path: "/docs",
    access: Access::Public,
    summary: "Read this description as a page",
    description: "A page for people that needs nothing but itself.",
    answers: &[AnswerSpec { status: 200, description: "The page.", body: None, headers: &[] }],
    ..Spec::PLAIN
};

/// The page.
pub fn run(app: &App) -> Reply {
    let content_type = HeaderValue::from_static("text/html; charset=utf-8");
    let reply = Reply::with_body(StatusCode::OK, content_type, app.docs.clone());
    Reply {
        cache_control: Some(HeaderValue::from_static("no-cache")),
        content_security_policy: Some(HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
        ..reply
    }
}

//! The points over the admin port: `GET /faults`, `PUT /faults/NAME`, `DELETE /faults`.

use super::state::{ArmError, arm, disarm_all, list};
use crate::body::read_limited;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use std::time::Duration;

const PATH: &str = "/faults";
/// No action is nearly as long.
const ACTION_BYTES_MAX: usize = 1_024;
const ACTION_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether a path is about the points.
pub(crate) fn concerns(path: &str) -> bool {
    path.strip_prefix(PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Answers a request whose path [`concerns`] the points.
pub(crate) async fn answer(request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let name = head.uri.path().strip_prefix(PATH).and_then(|rest| rest.strip_prefix('/')).unwrap_or_default();
    match (name, head.method) {
        ("", Method::GET) => told(),
        ("", Method::DELETE) => {
            disarm_all();
            told()
        }
        ("", _) => not_allowed("GET, DELETE"),
        (name, Method::PUT) => put(name, body).await,
        (_, _) => not_allowed("PUT"),
    }
}

async fn put(name: &str, body: Incoming) -> Response<Full<Bytes>> {
    let action = match read_limited(body, ACTION_BYTES_MAX, ACTION_TIMEOUT).await {
        Ok(action) => action,
        Err(error) => return text(StatusCode::BAD_REQUEST, error.to_string()),
    };
    // As it is, or as a string of JSON: no action has a quotation mark.
    match arm(name, String::from_utf8_lossy(&action).trim().trim_matches('"')) {
        Ok(()) => told(),
        Err(error @ ArmError::Unknown(_)) => text(StatusCode::NOT_FOUND, error.to_string()),
        Err(error @ ArmError::Action { .. }) => text(StatusCode::BAD_REQUEST, error.to_string()),
    }
}

/// All points as they stand now.
fn told() -> Response<Full<Bytes>> {
    match serde_json::to_string(&list()) {
        Ok(json) => response(StatusCode::OK, HeaderValue::from_static("application/json"), json),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

fn not_allowed(allow: &'static str) -> Response<Full<Bytes>> {
    let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, format!("only {allow}"));
    refused.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    refused
}

fn text(status: StatusCode, line: String) -> Response<Full<Bytes>> {
    response(status, HeaderValue::from_static("text/plain; charset=utf-8"), line + "\n")
}

fn response(status: StatusCode, content_type: HeaderValue, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

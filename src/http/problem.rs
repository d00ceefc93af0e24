//! Problems as answers: `application/problem+json` (RFC 9457).

use std::any::Any;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use serde_json::json;

use crate::error::{Code, Problem};

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let body = json!({
            "type": format!("urn:tidewater:problem:{}", self.code.name()),
            "title": self.code.sentence(),
            "status": self.code.status(),
            "detail": self.message(),
            "code": self.code.name(),
        });
        let mut response = (status(self.code), body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if self.code.status() == 401 {
            challenge(headers);
        }
        retry_after(&mut response, self.retry_after());
        response
    }
}

/// Says how to show a key.
pub(super) fn challenge(headers: &mut HeaderMap) {
    headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
}

/// The HTTP status of a code.
pub(super) fn status(code: Code) -> StatusCode {
    StatusCode::from_u16(code.status()).expect("the table has valid statuses")
}

/// Tells when to come back, if it is worth it.
pub(super) fn retry_after(response: &mut Response<Body>, wait: Option<Duration>) {
    if let Some(wait) = wait {
        let seconds = wait.as_secs().max(1);
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
}

/// A handler panicked: the client learns nothing of it, the log does.
#[allow(clippy::needless_pass_by_value, reason = "the layer hands it over")]
pub(super) fn of_panic(panic: Box<dyn Any + Send>) -> Response<Body> {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    tracing::error!(panic = text.unwrap_or_default(), "a handler panicked");
    Problem::new(Code::Internal).into_response()
}

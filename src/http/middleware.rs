//! What every request passes.

use std::time::{Duration, Instant};

use axum::extract::{Request, State as Extract};
use axum::http::header::{
    CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use uuid::Uuid;

use super::State;
use crate::error::{Code, Problem};

/// How long a request may take, body and answer together.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How long an address may be: more than any report needs, and a short document.
const ADDRESS_BYTES: usize = 16 * 1024;
/// How long the id of a request may be.
const ID_BYTES: usize = 64;

/// What a request is called in the log and in its answer.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives each request an id: the one that it came with, if that is harmless, or a new one. It goes
/// back with the answer.
pub(super) async fn identify(mut request: Request, next: Next) -> Response {
    let given = request.headers().get(&REQUEST_ID);
    let id = given.filter(|id| is_harmless(id)).cloned();
    let id = id.unwrap_or_else(|| {
        let id = Uuid::new_v4().to_string();
        HeaderValue::from_str(&id).expect("hexadecimal digits are a header")
    });
    request.headers_mut().insert(REQUEST_ID, id.clone());
    let mut answer = next.run(request).await;
    answer.headers_mut().insert(REQUEST_ID, id);
    answer
}

fn is_harmless(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    let may = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
    !bytes.is_empty() && bytes.len() <= ID_BYTES && bytes.iter().all(may)
}

/// Refuses addresses that no client of ours has.
pub(super) async fn bound(request: Request, next: Next) -> Result<Response, Problem> {
    let address = request.uri().path_and_query();
    if address.is_some_and(|address| address.as_str().len() > ADDRESS_BYTES) {
        return Err(Code::UriTooLong.into());
    }
    Ok(next.run(request).await)
}

/// Tells browsers to take an answer for what it says it is, to show it in no frame, and to load
/// nothing for it, unless it is a page that says itself what it needs.
pub(super) async fn harden(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
    ] {
        let value = HeaderValue::from_static(value);
        headers.entry(name).or_insert(value);
    }
    answer
}

/// Lets requests in once the schema is in place.
pub(super) async fn require_prepared(
    Extract(state): Extract<State>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if !state.readiness.is_prepared() {
        return Err(Code::Unavailable.into());
    }
    Ok(next.run(request).await)
}

/// Ends what takes too long.
pub(super) async fn time_out(request: Request, next: Next) -> Result<Response, Problem> {
    let answer = tokio::time::timeout(TIMEOUT, next.run(request)).await;
    answer.map_err(|_| Code::RequestTimeout.into())
}

/// Counts and times.
pub(super) async fn measure(
    Extract(state): Extract<State>,
    request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let response = next.run(request).await;
    let metrics = &state.metrics;
    metrics.http_request_seconds.record(begun.elapsed());
    match response.status().as_u16() {
        500.. => metrics.http_server_error.increment(1),
        400.. => metrics.http_client_error.increment(1),
        _ => metrics.http_success.increment(1),
    }
    response
}

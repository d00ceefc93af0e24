//! What every request passes.

use std::time::{Duration, Instant};

use axum::extract::{Request, State as Extract};
use axum::http::header::{
    CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use axum::middleware::Next;
use axum::response::Response;
use tracing::{Instrument, Span};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::{State, etag};
use crate::error::{Code, Problem};

/// How long a request may take, body and answer together.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How long an address may be: more than any report needs, and a short document.
const ADDRESS_BYTES: usize = 16 * 1024;
/// How long the id of a request may be.
const ID_BYTES: usize = 64;

/// What a request is called in the log and in its answer.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What is around every answer: an id, its place in the log and in the counts, and what browsers are
/// told.
pub(super) async fn surround(
    Extract(state): Extract<State>,
    mut request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let id = identify(request.headers_mut());
    let span = span(&request, &id);
    let mut answer = next.run(request).instrument(span.clone()).await;
    let (status, elapsed) = (answer.status().as_u16(), begun.elapsed());
    tracing::debug!(parent: &span, status, ?elapsed, "answered");
    let metrics = &state.metrics;
    metrics.http_request_seconds.record(elapsed);
    match status {
        500.. => metrics.http_server_error.increment(1),
        400.. => metrics.http_client_error.increment(1),
        _ => metrics.http_success.increment(1),
    }
    let headers = answer.headers_mut();
    headers.insert(REQUEST_ID, id);
    harden(headers);
    etag::weaken_packed(headers);
    answer
}

/// Gives a request an id: the one that it came with, if that is harmless, or a new one. It goes back
/// with the answer.
fn identify(headers: &mut HeaderMap) -> HeaderValue {
    let given = headers.get(&REQUEST_ID).filter(|id| is_harmless(id));
    let id = given.cloned().unwrap_or_else(|| {
        let mut id = [0; Hyphenated::LENGTH];
        let id: &str = Uuid::new_v4().hyphenated().encode_lower(&mut id);
        HeaderValue::from_str(id).expect("hexadecimal digits are a header")
    });
    headers.insert(REQUEST_ID, id.clone());
    id
}

/// What the log says of a request: not its address, which may hold what is nobody's business.
fn span(request: &Request, id: &HeaderValue) -> Span {
    tracing::debug_span!(
        "request",
        method = %request.method(),
        path = request.uri().path(),
        id = id.to_str().unwrap_or_default(),
    )
}

fn is_harmless(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    let may = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
    !bytes.is_empty() && bytes.len() <= ID_BYTES && bytes.iter().all(may)
}

/// Whether no client of ours has such an address.
pub(super) fn is_too_long(uri: &Uri) -> bool {
    let address = uri.path_and_query();
    address.is_some_and(|address| address.as_str().len() > ADDRESS_BYTES)
}

/// Tells browsers to take an answer for what it says it is, to show it in no frame, and to load
/// nothing for it, unless it is a page that says itself what it needs.
fn harden(headers: &mut HeaderMap) {
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

/// The same, and ends what takes too long.
pub(super) async fn require_prepared_in_time(
    state: Extract<State>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let answer = tokio::time::timeout(TIMEOUT, require_prepared(state, request, next)).await;
    answer.unwrap_or_else(|_| Err(Code::RequestTimeout.into()))
}

//! What every request passes.

use std::time::{Duration, Instant};

use axum::extract::{Request, State as Extract};
use axum::middleware::Next;
use axum::response::Response;

use super::State;
use crate::error::{Code, Problem};

/// How long a request may take, body and answer together.
const TIMEOUT: Duration = Duration::from_secs(30);

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

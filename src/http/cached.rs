//! What headers say of an answer that may have been kept: `Cache-Status` (RFC 9211) where it was
//! found, `Cache-Control` how long the client may keep it itself.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};

use super::etag;
use crate::cache::{Cached, Served};

/// Where an answer was found.
pub(super) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// The value of [`CACHE_STATUS`].
pub(super) const fn status(served: &Served) -> HeaderValue {
    HeaderValue::from_static(match (served.cached, served.whole) {
        (_, true) => "Tidewater; hit; detail=response",
        (Cached::HitProcess, false) => "Tidewater; hit; detail=process",
        (Cached::HitShared, false) => "Tidewater; hit; detail=shared",
        (Cached::Stale, false) => "Tidewater; hit; detail=stale",
        (Cached::Miss, false) => "Tidewater; fwd=miss",
        (Cached::Bypass, false) => "Tidewater; fwd=bypass",
    })
}

/// What a client may do with an answer: keep it for the rest of the age that it allowed.
pub(super) fn control(fresh_for: Duration) -> String {
    match fresh_for.as_secs() {
        0 => etag::PRIVATE.to_owned(),
        seconds => format!("private, max-age={seconds}"),
    }
}

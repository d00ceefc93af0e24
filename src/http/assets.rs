//! Pages for people, and what they load: all of it is in the program.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::IntoResponse;

use crate::error::{Code, Problem};

/// A file's name, its media type and its bytes.
pub(super) type Asset = (&'static str, &'static str, &'static [u8]);

/// A page that may load what `policy` says.
pub(super) fn page(policy: &'static str, html: &'static str) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, policy),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, html)
}

/// The one of a page's assets with this name, to be cached as `caching` says.
pub(super) fn asset(
    assets: &[Asset],
    file: &str,
    caching: &'static str,
) -> Result<impl IntoResponse + use<>, Problem> {
    let found = assets.iter().find(|(name, ..)| *name == file);
    let &(_, kind, bytes) = found.ok_or(Code::NotFound)?;
    let headers = [
        (CONTENT_TYPE, kind),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, caching),
    ];
    Ok((headers, bytes))
}

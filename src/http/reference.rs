//! `GET /reference`: `/openapi.json` for people, from our own assets; nothing comes from elsewhere.

use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::IntoResponse;

use crate::error::{Code, Problem};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const ASSETS: [(&str, &str, &str); 2] = [
    (
        "page.js",
        "text/javascript",
        include_str!("../../assets/reference/page.js"),
    ),
    (
        "page.css",
        "text/css",
        include_str!("../../assets/reference/page.css"),
    ),
];

/// The page.
pub(super) async fn page() -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, include_str!("../../assets/reference/index.html"))
}

/// What the page loads.
pub(super) async fn asset(Path(file): Path<String>) -> Result<impl IntoResponse, Problem> {
    let found = ASSETS.iter().find(|(name, ..)| *name == file);
    let (_, kind, text) = found.ok_or(Code::NotFound)?;
    let headers = [
        (CONTENT_TYPE, *kind),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-cache"),
    ];
    Ok((headers, *text))
}

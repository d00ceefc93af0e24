//! `GET /graphiql`: an explorer for the API from our own assets; nothing comes from elsewhere.

use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::IntoResponse;

use crate::error::{Code, Problem};

/// The explorer needs inline styles (its dialogs set one); scripts come from here alone.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

macro_rules! asset {
    ($name:literal, $kind:literal) => {
        (
            $name,
            $kind,
            include_bytes!(concat!("../../assets/graphiql/", $name)) as &[u8],
        )
    };
}

const ASSETS: [(&str, &str, &[u8]); 8] = [
    asset!("page.js", "text/javascript"),
    asset!("page.css", "text/css"),
    asset!("graphiql.min.js", "text/javascript"),
    asset!("graphiql.min.css", "text/css"),
    asset!("react.production.min.js", "text/javascript"),
    asset!("react-dom.production.min.js", "text/javascript"),
    asset!("graphql-ws.min.js", "text/javascript"),
    asset!("LICENSES", "text/plain; charset=utf-8"),
];

/// The page.
pub(super) async fn page() -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, include_str!("../../assets/graphiql/index.html"))
}

/// What the page loads.
pub(super) async fn asset(Path(file): Path<String>) -> Result<impl IntoResponse, Problem> {
    let found = ASSETS.iter().find(|(name, ..)| *name == file);
    let (_, kind, bytes) = found.ok_or(Code::NotFound)?;
    let headers = [
        (CONTENT_TYPE, *kind),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "public, max-age=3600"),
    ];
    Ok((headers, *bytes))
}

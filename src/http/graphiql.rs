//! `GET /graphiql`: an explorer for the API from our own assets; nothing comes from elsewhere.

use axum::extract::Path;
use axum::response::IntoResponse;

use super::assets::{self, Asset};
use crate::error::Problem;

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

const ASSETS: [Asset; 8] = [
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
    assets::page(POLICY, include_str!("../../assets/graphiql/index.html"))
}

/// What the page loads.
pub(super) async fn asset(Path(file): Path<String>) -> Result<impl IntoResponse, Problem> {
    assets::asset(&ASSETS, &file, "public, max-age=3600")
}

//! `GET /reference`: `/openapi.json` for people, from our own assets; nothing comes from elsewhere.

use axum::extract::Path;
use axum::response::IntoResponse;

use super::assets::{self, Asset};
use crate::error::Problem;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const ASSETS: [Asset; 2] = [
    (
        "page.js",
        "text/javascript",
        include_bytes!("../../assets/reference/page.js"),
    ),
    (
        "page.css",
        "text/css",
        include_bytes!("../../assets/reference/page.css"),
    ),
];

/// The page.
pub(super) async fn page() -> impl IntoResponse {
    assets::page(POLICY, include_str!("../../assets/reference/index.html"))
}

/// What the page loads.
pub(super) async fn asset(Path(file): Path<String>) -> Result<impl IntoResponse, Problem> {
    assets::asset(&ASSETS, &file, "no-cache")
}

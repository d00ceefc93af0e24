//! The REST face of what can be asked: reports as JSON, lists as pages and as streams.
//!
//! A handler reads its parameters, calls one report and shapes the answer; no number is computed
//! here. The next report: a file like `sales.rs` with its parameters, its answer and its handler,
//! a line in [`router`] and one in `http::openapi`. The next list: its rows in `rows/`, its
//! handler in `lists.rs`, and the same two lines.

pub(super) mod export;
pub(super) mod files;
mod format;
pub(super) mod lists;
pub(super) mod metrics;
mod parameters;
pub(super) mod provenance;
pub(super) mod restatements;
pub(super) mod rows;
pub(super) mod sales;
mod table;
pub(super) mod top;
pub(super) mod traffic;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Response};
use axum::routing::get;
use serde::Serialize;

use super::State;
use super::cached;
use super::etag::{self, Tag};
use super::identity;
use crate::access::limits::{self, Kind};
use crate::access::{Credentials, Identity, Scope};
use crate::cache::Served;
use crate::error::Problem;
use crate::reports::provenance::Found;

const JSON: &str = "application/json";
/// What a question costs, besides the rows that it goes through.
const POINTS: u32 = 10;

/// What can be asked.
pub(super) fn router() -> Router<State> {
    Router::new()
        .route("/v1/metrics", get(metrics::metrics))
        .route("/v1/top/products", get(top::products))
        .route("/v1/top/pages", get(top::pages))
        .route("/v1/sales", get(sales::sales))
        .route("/v1/restatements", get(restatements::restatements))
        .route("/v1/traffic", get(traffic::traffic))
        .route("/v1/exports/{token}", get(files::file))
        .route("/v1/events", get(lists::events))
        .route("/v1/pageviews", get(lists::pageviews))
        .route("/v1/users", get(lists::users))
        .route("/v1/purchases", get(lists::purchases))
        .route("/v1/refunds", get(lists::refunds))
        .route("/v1/products", get(lists::products))
}

/// Who is asking, if they may read.
pub(super) struct Reader {
    identity: Arc<Identity>,
    /// To look at again while a long answer goes on.
    key: Credentials,
}

impl FromRequestParts<State> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Problem> {
        let key = identity::credentials(parts)?;
        let identity = state.access.identify(&key).await?;
        identity.may(Scope::Read)?;
        identity.may_ask_freely()?;
        state.limits.take(&identity, Kind::Points, POINTS).await?;
        Ok(Self { identity, key })
    }
}

/// An answer that says where its numbers come from.
trait Sourced: Serialize {
    /// Its provenance.
    fn provenance(&mut self) -> &mut provenance::Provenance;
}

/// A report as JSON. One that is kept is the same byte by byte each time. The tag of another leaves
/// out when it was made, and how long that took: the same numbers are the same answer a minute later.
fn report(request: &HeaderMap, mut answer: impl Sourced) -> Response<Body> {
    limits::owe(answer.provenance().rows_to_pay());
    let body = json(&answer);
    let found = answer.provenance().found;
    let tag = if answer.provenance().is_kept() {
        Tag::strong(&body)
    } else {
        answer.provenance().forget_when();
        Tag::weak(&json(&answer))
    };
    tell(request, &tag, JSON, body, found)
}

/// An answer with where it was found.
fn tell(
    request: &HeaderMap,
    tag: &Tag,
    kind: &'static str,
    body: Vec<u8>,
    found: Found,
) -> Response<Body> {
    let served = Served {
        cached: found.cached,
        whole: false,
        fresh_for: found.fresh_for,
    };
    let caching = cached::control(found.fresh_for);
    let mut answer = etag::answer(request, tag, &caching, kind, body);
    let headers = answer.headers_mut();
    headers.insert(cached::CACHE_STATUS, cached::status(&served));
    answer
}

fn json(answer: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(answer).expect("answers are plain JSON")
}

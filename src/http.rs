//! The HTTP edge: routes, who is asking, limits, and problems as answers.
//!
//! `axum` stays in here. It may import graphql, ingest, reports, cache, access and the tables'
//! types. The
//! next route: a file with its handler, a line in [`router`]; what can be asked is in `rest`.

mod accept;
mod assets;
mod batch;
mod body;
mod cached;
mod client;
mod etag;
mod events;
mod graphiql;
mod graphql;
mod health;
mod identity;
mod middleware;
pub mod openapi;
mod operations;
mod patience;
mod problem;
mod receipts;
mod reference;
mod rest;
mod serve;
mod socket;
mod stream;
mod tls;
mod turns;

use std::sync::Arc;

use axum::Router;
use axum::http::{Extensions, HeaderMap, HeaderName, StatusCode, Version, header};
use axum::middleware::from_fn_with_state;
use axum::response::Redirect;
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate};
use tower_http::cors::{AllowHeaders, Any, CorsLayer};
use tower_http::decompression::RequestDecompressionLayer;

use crate::access::Access;
use crate::access::limits::Limits;
use crate::config::StatusCodes;
use crate::domain::network::Network;
use crate::error::{Code, Problem};
use crate::graphql::{Answering, Loaders, Rules, Schema};
use crate::ingest::Ingest;
use crate::ingest::parse::KINDS;
use crate::reports::Reports;
use crate::telemetry::metrics::Metrics;

pub use body::Bodies;
pub use health::Readiness;
pub use operations::Operations;
pub use rest::export::Exports;
pub use rest::files::Files;
pub use serve::serve;
pub use socket::Sockets;
pub use tls::{Tls, TlsError};

/// What the handlers need, at no cost to each request.
pub type State = Arc<Shared>;

/// What is behind a [`State`].
#[allow(missing_debug_implementations, reason = "a schema has nothing to show")]
pub struct Shared {
    /// Answers GraphQL.
    pub schema: Schema,
    /// Makes each request's loaders.
    pub loaders: Loaders,
    /// What may be asked of it.
    pub rules: Rules,
    /// How what it refuses is answered.
    pub status_codes: StatusCodes,
    /// Whether queries by GET are answered to those alone who ask for JSON.
    pub strict_get: bool,
    /// Whether the explorer is there.
    pub graphiql: bool,
    /// Answers questions.
    pub reports: Reports,
    /// Takes events.
    pub ingest: Ingest,
    /// Tells who is asking.
    pub access: Access,
    /// Tells whether the server can work.
    pub readiness: Readiness,
    /// Knows the sockets that are open.
    pub sockets: Sockets,
    /// Counts the operations that are open.
    pub operations: Operations,
    /// Bounds the bodies that are held.
    pub bodies: Bodies,
    /// Bounds the lists that are sent whole.
    pub exports: Exports,
    /// How much each may do.
    pub limits: Limits,
    /// Who is believed when they say whom they speak for.
    pub proxies: Arc<[Network]>,
    /// Counts.
    pub metrics: Metrics,
}

impl Shared {
    /// Who answers requests.
    fn answering(&self) -> Answering<'_> {
        Answering {
            schema: &self.schema,
            loaders: &self.loaders,
            rules: &self.rules,
        }
    }
}

/// The API.
pub fn router(state: State) -> Router {
    // A key is sent by hand, not by the browser: any page may ask that has one.
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods(Any)
        // `*` would not stand for Authorization.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED);
    // Another encoding than gzip is refused where the body is read, as a problem.
    let unpacked = RequestDecompressionLayer::new().pass_through_unaccepted(true);
    let ready = from_fn_with_state(Arc::clone(&state), middleware::require_prepared);
    let in_time = from_fn_with_state(Arc::clone(&state), middleware::require_prepared_in_time);
    // An upload takes as long as it takes.
    let uploads = Router::new()
        .route("/v1/events", post(stream::take))
        .layer((ready, unpacked.clone()));
    let home = if state.graphiql {
        "/graphiql"
    } else {
        "/reference"
    };
    // Together: each layer of a router's own costs every request some allocations.
    let around = (
        from_fn_with_state(Arc::clone(&state), middleware::surround),
        CatchPanicLayer::custom(problem::of_panic),
        cors,
        CompressionLayer::new().compress_when(DefaultPredicate::new().and(may_pack)),
        from_fn_with_state(Arc::clone(&state), client::meet),
    );
    Router::new()
        .route("/graphql", post(graphql::answer).get(graphql::get))
        .merge(senders())
        .merge(rest::router())
        .route("/v1/receipts/{batch_id}", get(receipts::receipt))
        .layer((in_time, unpacked))
        .merge(uploads)
        .merge(explorer(state.graphiql))
        .route("/openapi.json", get(openapi::answer))
        .route("/reference", get(reference::page))
        .route("/reference/{file}", get(reference::asset))
        .route("/", get(move || async move { Redirect::temporary(home) }))
        .fallback(|| async { Problem::new(Code::NotFound) })
        .method_not_allowed_fallback(|| async { Problem::new(Code::MethodNotAllowed) })
        .layer(around)
        // Probes are not clients: they are neither counted nor logged.
        .route("/livez", get(health::alive))
        .route("/readyz", get(health::ready))
        .with_state(state)
}

/// The explorer, if it is to be there.
fn explorer(there: bool) -> Router<State> {
    if !there {
        return Router::new();
    }
    Router::new()
        .route("/graphiql", get(graphiql::page))
        .route("/graphiql/{file}", get(graphiql::asset))
}
/// What pages of other sites may read of an answer's head.
const EXPOSED: [HeaderName; 7] = [
    header::ETAG,
    header::RETRY_AFTER,
    header::CONTENT_DISPOSITION,
    HeaderName::from_static("cache-status"),
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
    HeaderName::from_static("x-request-id"),
];

/// A packer would hold back the answers to an upload.
fn may_pack(_: StatusCode, _: Version, _: &HeaderMap, answer: &Extensions) -> bool {
    answer.get::<stream::Unpacked>().is_none()
}

/// Where events are sent to: our own batches, the Segment tracking API, and `PostHog`'s batches.
fn senders() -> Router<State> {
    let mut router = Router::new().route("/v1/batch", post(batch::batch));
    for kind in KINDS {
        let take = move |state, caller, query, headers, body| {
            batch::message(kind, state, caller, query, headers, body)
        };
        router = router.route(&format!("/v1/{kind}"), post(take));
    }
    for path in ["/batch", "/batch/", "/capture", "/capture/", "/e", "/e/"] {
        router = router.route(path, post(batch::posthog));
    }
    router
}

/// What operators see: the metrics, and the server's health for roles without the API.
pub fn operations_router(state: State) -> Router {
    Router::new()
        .route("/metrics", get(health::metrics))
        .route("/livez", get(health::alive))
        .route("/readyz", get(health::ready))
        .with_state(state)
}

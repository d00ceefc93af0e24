//! The GraphQL face: types, queries, mutations and subscriptions over the reports.
//!
//! A resolver reads the context, checks the scope, calls one report and wraps the answer. It may
//! import reports, cache, ingest, realtime and access; `async_graphql` stays in here and in the HTTP
//! files that mount it. The next field: its types in `types/`, its resolver in `query/`,
//! `mutation/` or `subscription/`; then `make schema` and read the difference.

pub mod context;
mod cost;
mod errors;
mod execute;
mod limits;
mod loaders;
mod mutation;
mod query;
mod respond;
mod scalars;
mod subscription;
mod types;

use async_graphql::SchemaBuilder;

use crate::access::Access;
use crate::access::limits::Limits;
use crate::ingest::Ingest;
use crate::realtime::hub::LiveHub;
use crate::reports::Reports;

pub use errors::{code_of, retry_after_of};
pub use execute::SocketExecutor;
pub use loaders::Loaders;
pub use respond::{Responded, Way, respond};

/// The schema with its resolvers.
pub type Schema =
    async_graphql::Schema<query::Query, mutation::Mutation, subscription::Subscription>;

type Builder = SchemaBuilder<query::Query, mutation::Mutation, subscription::Subscription>;

fn builder() -> Builder {
    Schema::build(
        query::Query::default(),
        mutation::Mutation::default(),
        subscription::Subscription,
    )
    .limit_depth(limits::DEPTH)
    .limit_complexity(limits::COMPLEXITY)
    .limit_directives(limits::DIRECTIVES)
}

/// The schema over these services.
#[must_use]
pub fn schema(
    reports: Reports,
    ingest: Ingest,
    live: LiveHub,
    access: Access,
    limits: Limits,
) -> Schema {
    let scales = cost::Scales::of(builder());
    builder()
        .data(reports)
        .data(ingest)
        .data(live)
        .data(access)
        .data(limits)
        .data(scales)
        .finish()
}

/// The schema in its definition language.
#[must_use]
pub fn sdl() -> String {
    builder().finish().sdl()
}

//! The GraphQL face: types, queries, mutations and subscriptions over the reports.
//!
//! A resolver reads the context, checks the scope, calls one report and wraps the answer. It may
//! import reports, cache, ingest, realtime and access; `async_graphql` stays in here. The next field:
//! its types in `types/`, its resolver in `query/`, `mutation/` or `subscription/`; then `make schema`
//! and read the difference.

mod asked;
pub mod context;
mod cost;
mod document;
mod errors;
mod execute;
mod limits;
mod loaders;
mod mutation;
mod order;
mod persisted;
mod query;
mod respond;
mod rules;
mod scalars;
mod subscription;
mod types;

use async_graphql::SchemaBuilder;

use crate::access::Access;
use crate::access::limits::Limits;
use crate::ingest::Ingest;
use crate::realtime::hub::LiveHub;
use crate::reports::Reports;

pub use asked::{Address, Asked, read_address, read_message};
pub use async_graphql::Request;
pub use loaders::Loaders;
pub use persisted::{Manifest, ManifestError};
pub use respond::{Answering, Outcome, Responded, Told, Way, kept, key, respond, watch};
pub use rules::Rules;

/// The schema with its resolvers.
pub type Schema =
    async_graphql::Schema<query::Query, mutation::Mutation, subscription::Subscription>;

type Builder = SchemaBuilder<query::Query, mutation::Mutation, subscription::Subscription>;

fn builder(rules: &Rules) -> Builder {
    let builder = Schema::build(
        query::Query::default(),
        mutation::Mutation::default(),
        subscription::Subscription,
    )
    .limit_depth(limits::DEPTH)
    .limit_complexity(limits::COMPLEXITY)
    .limit_directives(limits::DIRECTIVES);
    let builder = types::connection::described(builder);
    if rules.suggestions {
        builder
    } else {
        builder.disable_suggestions()
    }
}

/// The schema over these services.
#[must_use]
pub fn schema(
    reports: Reports,
    ingest: Ingest,
    live: LiveHub,
    access: Access,
    limits: Limits,
    rules: &Rules,
) -> Schema {
    let scales = cost::Scales::of(builder(rules));
    builder(rules)
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
    builder(&Rules::default()).finish().sdl()
}

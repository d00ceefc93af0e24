//! The questions.

mod exports;
mod filters;
mod intake;
mod keys;
mod metrics;
mod nodes;
mod privacy;
mod records;
mod sales;
mod top;
mod traffic;

use async_graphql::MergedObject;

/// What can be asked.
#[derive(MergedObject, Default)]
pub struct Query(
    nodes::NodeQueries,
    records::RecordQueries,
    sales::SalesQueries,
    traffic::TrafficQueries,
    intake::IntakeQueries,
    metrics::MetricsQueries,
    top::TopQueries,
    exports::ExportQueries,
    privacy::PrivacyQueries,
    keys::KeyQueries,
);

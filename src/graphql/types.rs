//! The objects, enums and inputs of the schema.

pub(super) mod audit;
pub(super) mod connection;
pub(super) mod event;
pub(super) mod event_schema;
pub(super) mod export;
pub(super) mod ingest;
pub(super) mod ingest_health;
pub(super) mod key;
pub(super) mod live;
pub(super) mod metrics;
pub(super) mod metrics_filter;
pub(super) mod metrics_input;
pub(super) mod pageview;
pub(super) mod product;
pub(super) mod provenance;
pub(super) mod purchase;
pub(super) mod quarantine;
pub(super) mod range;
pub(super) mod refund;
pub(super) mod restatements;
pub(super) mod sales;
pub(super) mod top;
pub(super) mod traffic;
pub(super) mod user;
pub(super) mod user_agent;

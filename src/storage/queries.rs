//! The questions: one file each, named after the question it answers.

pub mod audit;
pub mod changes;
pub mod event_schemas;
pub mod exports;
pub mod identity;
pub mod installation;
pub mod intake;
pub mod keys;
pub mod live_sales;
pub mod metrics;
pub mod page;
pub mod privacy;
pub mod provenance;
pub mod quarantine;
pub mod receipts;
pub mod records;
pub mod related;
pub mod replication;
pub mod restatements;
pub mod summaries;
pub mod user_data;
pub mod watermark;

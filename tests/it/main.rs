//! All integration tests, in one binary so that they are linked once.
//!
//! They act through the public face of a real server on a real PostgreSQL (and Redis), each on a
//! database of its own. `make test` starts the services; after `make services`, plain
//! `cargo test` works too.

#![allow(unreachable_pub, reason = "a test binary has no outside")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod cache;
mod cancellation;
mod contracts;
mod crash;
mod edge;
mod embedded;
mod exports;
mod health;
mod identity;
mod import;
mod ingest;
mod licences;
mod live;
mod load;
mod metrics;
mod privacy;
mod quarantine;
mod receipts;
mod records;
mod replicas;
mod rest;
mod rollups;
mod sales;
mod schema;
mod schemas;
mod stream;
mod support;

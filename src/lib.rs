//! Tidewater: real-time commerce analytics on PostgreSQL.
//!
//! The map. Who may import whom is written in docs/ARCHITECTURE.md and enforced by a test.

// Who: API keys and what they open.
pub mod access;
// The one place that wires.
pub mod app;
// The command line.
pub mod cli;
// Answers that were given, for as long as they are true.
pub mod cache;
// The one place that reads the wall clock.
pub mod clock;
// Every setting: parse, validate, redact.
pub mod config;
// The words of the field as types; pure.
pub mod domain;
// The table of error codes.
pub mod error;
// The GraphQL face.
pub mod graphql;
// The HTTP edge.
pub mod http;
// Events in: parse → validate → log → store → publish.
pub mod ingest;
// What has to be done from time to time.
pub mod jobs;
// What is being sold right now: bus, windows, fan-out.
pub mod realtime;
// Connections to Redis.
pub mod redis_line;
// Answers questions: cache → storage → sums → provenance.
pub mod reports;
// PostgreSQL: tables, questions, writes.
pub mod storage;
// Logs and metrics.
pub mod telemetry;

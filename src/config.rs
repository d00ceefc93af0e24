//! The configuration: one section a file, each variable with its default and its help.
//!
//! Every variable is also a command-line option; `--help` prints what is written here and
//! `.env.example` lists the same, in this order (a test compares them).

#![allow(clippy::doc_markdown, reason = "help texts are read on terminals")]

mod access;
mod cache;
mod database;
mod graphql;
mod http;
mod ingest;
mod limits;
mod logs;
mod questions;
mod redis_url;
mod secret;

use clap::Args;

pub use access::AccessConfig;
pub use cache::CacheConfig;
pub use database::DatabaseConfig;
pub use graphql::{Environment, GraphqlConfig, StatusCodes};
pub use http::HttpConfig;
pub use ingest::{FsyncPolicy, IngestConfig, IngestMode, KeptAddresses};
pub use limits::LimitConfig;
pub use logs::LogConfig;
pub use questions::QuestionConfig;
pub use redis_url::RedisUrl;
pub use secret::Secret;

/// Everything that can be set.
#[derive(Args, Clone, Debug)]
pub struct Config {
    /// Where the data lives.
    #[command(flatten)]
    pub database: DatabaseConfig,
    /// Where the server listens.
    #[command(flatten)]
    pub http: HttpConfig,
    /// What may be asked of the GraphQL server.
    #[command(flatten)]
    pub graphql: GraphqlConfig,
    /// Who gets in.
    #[command(flatten)]
    pub access: AccessConfig,
    /// How much one may do.
    #[command(flatten)]
    pub limits: LimitConfig,
    /// How events are taken.
    #[command(flatten)]
    pub ingest: IngestConfig,
    /// What may be asked.
    #[command(flatten)]
    pub questions: QuestionConfig,
    /// What is kept of answers.
    #[command(flatten)]
    pub cache: CacheConfig,
    /// What is logged.
    #[command(flatten)]
    pub logs: LogConfig,
}

impl Config {
    /// When events are acknowledged.
    #[must_use]
    pub fn ingest_mode(&self) -> IngestMode {
        let has_redis = self.database.redis_url().is_some();
        let default = if has_redis {
            IngestMode::Stream
        } else {
            IngestMode::Direct
        };
        self.ingest.mode.unwrap_or(default)
    }
}

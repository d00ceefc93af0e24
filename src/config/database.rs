//! Where the data lives.

use std::path::PathBuf;

use clap::Args;

use super::{RedisUrl, Secret};

/// PostgreSQL and Redis.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Database")]
pub struct DatabaseConfig {
    /// PostgreSQL with pgvector, as postgres://user:password@host:port/database. Unset: a private
    /// PostgreSQL in the data directory, which the server starts and supervises itself.
    #[arg(
        global = true,
        long,
        env = "DATABASE_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    pub database_url: Option<Secret>,

    /// Streaming replicas of DATABASE_URL, alike, after commas. Reports that may be some seconds
    /// old are read from them. Unset: none.
    #[arg(
        global = true,
        long,
        env = "DATABASE_REPLICA_URLS",
        value_name = "URLS",
        hide_env_values = true
    )]
    pub database_replica_urls: Option<Secret>,

    /// Redis, as redis://:password@host:port; several nodes of a Redis Cluster after commas, or
    /// one with redis+cluster://. It keeps the stream that events go through to the database,
    /// carries live updates between the processes of one installation, and keeps answers for all of
    /// them. Unset: the process stands alone and needs none.
    #[arg(
        global = true,
        long,
        env = "REDIS_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    pub redis_url: Option<Secret>,

    /// Where the private PostgreSQL keeps its data. One server per directory.
    #[arg(
        global = true,
        long,
        env = "TIDEWATER_DATA_DIR",
        value_name = "DIR",
        default_value = "./.tidewater"
    )]
    pub data_dir: PathBuf,

    /// A PostgreSQL installation with pgvector (the directory that holds bin/postgres) for the
    /// private server. Unset: the one whose pg_config is found on the PATH.
    #[arg(
        global = true,
        long,
        env = "TIDEWATER_POSTGRES_DIR",
        value_name = "DIR"
    )]
    pub postgres_dir: Option<PathBuf>,
}

impl DatabaseConfig {
    /// The database, unless it is set to nothing.
    #[must_use]
    pub fn database_url(&self) -> Option<&Secret> {
        self.database_url.as_ref().filter(|url| !url.is_empty())
    }

    /// The replicas, in the order in which they are named.
    #[must_use]
    pub fn replica_urls(&self) -> Vec<Secret> {
        let urls = self
            .database_replica_urls
            .as_ref()
            .map_or("", Secret::reveal);
        let named = urls.split(',').map(str::trim).filter(|url| !url.is_empty());
        named.map(|url| Secret::from(url.to_owned())).collect()
    }

    /// Redis, unless it is set to nothing.
    #[must_use]
    pub fn redis_url(&self) -> Option<RedisUrl> {
        let url = self.redis_url.as_ref().filter(|url| !url.is_empty())?;
        Some(RedisUrl::read(url))
    }
}

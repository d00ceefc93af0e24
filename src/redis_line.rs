//! Connections to the Redis, or the Redis Cluster, that is configured: how they are made, and one for
//! those who can do without it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::{ClusterClient, ClusterConfig};
use redis::cluster_async::ClusterConnection;
use redis::{AsyncConnectionConfig, ErrorKind, FromRedisValue, Pipeline, RedisError};
use tokio::sync::Notify;

use crate::config::RedisUrl;

/// How long Redis has to let us in.
pub const CONNECT: Duration = Duration::from_secs(1);

/// Where it is.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "addresses may hold passwords")]
pub enum Server {
    /// One server.
    Single(Box<redis::Client>),
    /// A cluster.
    Cluster(Box<ClusterClient>),
}

/// A connection; whoever has a clone uses the same.
#[derive(Clone)]
#[allow(
    clippy::large_enum_variant,
    missing_debug_implementations,
    reason = "a process has a handful of them, with nothing to show"
)]
pub enum Connection {
    /// To one server.
    Single(MultiplexedConnection),
    /// To a cluster.
    Cluster(ClusterConnection),
}

impl Server {
    /// What a URL names.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn new(url: &RedisUrl) -> Result<Self, RedisError> {
        Ok(match url.cluster() {
            Some(nodes) => Self::Cluster(Box::new(ClusterClient::new(nodes)?)),
            None => Self::Single(Box::new(redis::Client::open(url.first())?)),
        })
    }

    /// Whether it is a cluster.
    #[must_use]
    pub const fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// Connects; `patience` is how long answers may take from then on.
    ///
    /// # Errors
    /// When it is not let in, within [`CONNECT`] or about.
    pub async fn open(&self, patience: Duration) -> Result<Connection, RedisError> {
        let opening = async {
            Ok(match self {
                Self::Single(client) => {
                    let config = AsyncConnectionConfig::new()
                        .set_connection_timeout(Some(CONNECT))
                        .set_response_timeout(Some(patience));
                    let opening = client.get_multiplexed_async_connection_with_config(&config);
                    Connection::Single(opening.await?)
                }
                Self::Cluster(client) => {
                    let config = ClusterConfig::new()
                        .set_connection_timeout(CONNECT)
                        .set_response_timeout(patience);
                    let opening = client.get_async_connection_with_config(config);
                    Connection::Cluster(opening.await?)
                }
            })
        };
        tokio::time::timeout(2 * CONNECT, opening)
            .await
            .unwrap_or_else(|_| Err((ErrorKind::Io, "connecting took too long").into()))
    }
}

impl Connection {
    async fn ask<T: FromRedisValue>(&mut self, commands: &Pipeline) -> Result<T, RedisError> {
        async fn one<T: FromRedisValue>(
            connection: &mut impl ConnectionLike,
            commands: &Pipeline,
        ) -> Result<T, RedisError> {
            commands.query_async(connection).await
        }
        match self {
            Self::Single(connection) => one(connection, commands).await,
            Self::Cluster(connection) => one(connection, commands).await,
        }
    }
}

/// A connection that can be done without: while Redis is away or slow it is left out, and nobody
/// waits for it.
#[allow(missing_debug_implementations, reason = "it has nothing to show")]
pub struct Spare {
    server: Server,
    /// How long Redis may take to answer.
    patience: Duration,
    /// Nothing while it is left out.
    connection: Mutex<Option<Connection>>,
    failed: Notify,
}

/// Whether a connection is of no more use after this: it is broken, its next answer may be an old
/// one, or the server has become a replica.
#[must_use]
pub fn is_spoilt(error: &RedisError) -> bool {
    error.is_io_error() || error.is_unrecoverable_error() || error.code() == Some("READONLY")
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Silence {
    /// It is left out.
    LeftOut,
    /// It answers, but not so: as when its memory is full.
    Refused(RedisError),
    /// It is left out from now on.
    Failed(String),
}

impl Spare {
    /// Left out until it is opened.
    ///
    /// # Errors
    /// When the URL cannot be read.
    pub fn new(url: &RedisUrl, patience: Duration) -> Result<Self, RedisError> {
        Ok(Self {
            server: Server::new(url)?,
            patience,
            connection: Mutex::default(),
            failed: Notify::new(),
        })
    }

    /// Connects.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn open(&self) -> Result<(), RedisError> {
        let mut connection = self.server.open(self.patience).await?;
        // One that does not answer in time is of no use.
        let _: (String,) = connection.ask(redis::pipe().cmd("PING")).await?;
        *self.lock() = Some(connection);
        Ok(())
    }

    /// Waits until it fails.
    pub async fn failed(&self) {
        self.failed.notified().await;
    }

    /// Whether it is not left out.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.lock().is_some()
    }

    /// Whether it is a cluster.
    #[must_use]
    pub const fn is_cluster(&self) -> bool {
        self.server.is_cluster()
    }

    /// Sends commands of one key's.
    ///
    /// # Errors
    /// See [`Silence`].
    pub async fn ask<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, Silence> {
        let connection = self.lock().clone();
        let mut connection = connection.ok_or(Silence::LeftOut)?;
        let answer = tokio::time::timeout(self.patience, connection.ask(commands)).await;
        let why = match answer {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) if !is_spoilt(&error) => return Err(Silence::Refused(error)),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it does not answer in time".to_owned(),
        };
        // Of several that fail at once, the first says so.
        if self.lock().take().is_some() {
            self.failed.notify_one();
        }
        Err(Silence::Failed(why))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Connection>> {
        let connection = self.connection.lock();
        connection.unwrap_or_else(PoisonError::into_inner)
    }
}

//! The connections: a pool to read with, one to store events with, and a small one for what must
//! be answered while both are busy (keys, readiness, the catalogue), so that none starves another.
//! Replicas have pools of their own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use metrics::Counter;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sea_orm::{ConnectionTrait, DatabaseConnection};

use super::replicas::Replicas;
use super::server::{ACQUIRE_TIMEOUT, Server};
use super::{Executor, Snapshot, StorageError, nodelay};
use crate::clock::Clock;
use crate::config::Secret;
use crate::telemetry::metrics::Metrics;

const WRITERS: u32 = 6;
const CONTROLLERS: u32 = 3;

/// How long what has an older answer may take to be answered anew.
const REFRESH_TIMEOUT: Duration = Duration::from_millis(500);

/// Waits for the answer to a small question; not for long, if there is an older one to go on with.
///
/// # Errors
/// The question's, or that it took too long.
pub async fn refresh<T>(
    has_older: bool,
    question: impl Future<Output = Result<T, StorageError>>,
) -> Result<T, StorageError> {
    if !has_older {
        return question.await;
    }
    let answer = tokio::time::timeout(REFRESH_TIMEOUT, question).await;
    answer.unwrap_or_else(|_| {
        Err(StorageError::Unavailable(
            "the database does not answer".into(),
        ))
    })
}

/// Who answered, and from when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// Whether it was a replica.
    pub by_replica: bool,
    /// Everything that was acknowledged before this moment is in the answer.
    pub as_of: DateTime<Utc>,
}

/// The database.
#[derive(Clone)]
pub struct Db {
    primary: Server,
    writes: PgPool,
    replicas: Arc<Replicas>,
    metrics: Arc<Metrics>,
}

impl Db {
    /// Prepares the pools; nothing is connected until it is needed, so that a server starts, and
    /// says what it lacks, while its database is still away.
    ///
    /// `on_statement` is called after each read with the time it took.
    ///
    /// # Errors
    /// When the URL is not one of a PostgreSQL database.
    pub async fn open(
        url: &str,
        on_statement: impl Fn(Duration) + Send + Sync + 'static,
    ) -> Result<Self, StorageError> {
        let options: PgConnectOptions = url.parse()?;
        let options = options
            .application_name("tidewater")
            .options([("statement_timeout", "30s"), ("lock_timeout", "10s")])
            // 5,000 ids over many partitions: planning for each batch would cost more than running.
            .options([("plan_cache_mode", "force_generic_plan")])
            // Such a plan may be made while a table is small, and used when it no longer is.
            .options([("enable_seqscan", "off")]);
        let port = options.get_port();
        let writes = PgPoolOptions::new()
            .max_connections(WRITERS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(move |_, _| {
                nodelay::on_connections_to(port);
                Box::pin(async { Ok(()) })
            })
            .connect_lazy_with(options);

        Ok(Self {
            primary: Server::open(url, CONTROLLERS, on_statement).await?,
            writes,
            replicas: Arc::default(),
            metrics: Arc::default(),
        })
    }

    /// The same with replicas, and counting. They are asked nothing before they are watched.
    ///
    /// # Errors
    /// When a URL is not one of a PostgreSQL database.
    pub async fn with_replicas(
        self,
        urls: &[Secret],
        metrics: &Metrics,
    ) -> Result<Self, StorageError> {
        Ok(Self {
            replicas: Replicas::open(urls, metrics).await?.into(),
            metrics: Arc::new(metrics.clone()),
            ..self
        })
    }

    /// Looks after the replicas, for ever; at once done if there are none.
    pub async fn watch_replicas(&self, clock: &Clock) {
        self.replicas.watch(&self.primary, clock).await;
    }

    /// To ask with.
    #[must_use]
    pub fn reads(&self) -> &DatabaseConnection {
        &self.primary.reads
    }

    /// To ask with, as one asks a snapshot.
    #[must_use]
    pub fn executor(&self) -> Executor<'_> {
        Executor::from(self.reads())
    }

    /// To ask several questions of one moment: what is committed in between is in none of the
    /// answers.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn snapshot(&self) -> Result<Snapshot, StorageError> {
        let cancelled = self.metrics.read_statements_cancelled.clone();
        self.primary.snapshot(Counter::noop(), cancelled).await
    }

    /// The same for a report whose answer may lag behind `now` by `max_staleness`: a replica's
    /// that has everything from so long ago, else the primary's.
    ///
    /// # Errors
    /// When the primary cannot be reached.
    pub async fn snapshot_within(
        &self,
        max_staleness: Duration,
        now: DateTime<Utc>,
    ) -> Result<(Snapshot, Served), StorageError> {
        let metrics = &*self.metrics;
        if let Some((snapshot, as_of)) = self.replicas.snapshot(max_staleness, metrics).await {
            let served = Served {
                by_replica: true,
                as_of,
            };
            return Ok((snapshot, served));
        }
        let finished = metrics.reports_from_primary.clone();
        let cancelled = metrics.read_statements_cancelled.clone();
        let snapshot = self.primary.snapshot(finished, cancelled).await?;
        let served = Served {
            by_replica: false,
            as_of: now,
        };
        Ok((snapshot, served))
    }

    /// Whether a failure is the replica's own, so that the primary is worth asking; it is counted
    /// as such.
    #[must_use]
    pub fn falls_back(&self, served: Served, error: &StorageError) -> bool {
        let metrics = &*self.metrics;
        let counter = match error {
            _ if !served.by_replica => return false,
            StorageError::Unavailable(_) => &metrics.replica_fallbacks_lost,
            // What it replays takes away what the question still needs.
            StorageError::Retry(_) => &metrics.replica_fallbacks_conflict,
            // The last step of the schema may not have come that far.
            StorageError::Bug(_) => &metrics.replica_fallbacks_refused,
            StorageError::Timeout(_)
            | StorageError::MissingPartition(_)
            | StorageError::Exists(_)
            | StorageError::OutOfScope
            | StorageError::Rejected(_) => return false,
        };
        tracing::debug!(%error, "a replica did not answer; asking the primary");
        counter.increment(1);
        true
    }

    /// For what must not wait behind questions or events.
    #[must_use]
    pub fn control(&self) -> &DatabaseConnection {
        &self.primary.control
    }

    /// To store events with.
    #[must_use]
    pub fn writes(&self) -> &PgPool {
        &self.writes
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn ping(&self) -> Result<(), StorageError> {
        self.control().execute_unprepared("SELECT 1").await?;
        Ok(())
    }

    /// Ends every connection.
    pub async fn close(self) {
        self.writes.close().await;
        self.replicas.close().await;
        self.primary.close().await;
    }
}

impl fmt::Debug for Db {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Db")
            .field("replicas", &self.replicas)
            .finish_non_exhaustive()
    }
}

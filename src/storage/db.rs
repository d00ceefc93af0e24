//! The connections: a pool to read with, one to store events with, and a small one for what must
//! be answered while both are busy (keys, readiness, the catalogue), so that none starves another.

use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sea_orm::{
    AccessMode, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction,
    IsolationLevel, TransactionTrait,
};

use super::{StorageError, nodelay};

/// How long a question may take.
const READ_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a request waits for a connection before it hears that the database is away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
const READERS: u32 = 12;
const WRITERS: u32 = 6;
const CONTROLLERS: u32 = 3;
/// How long anything of the small pool may take.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(5);

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

/// The database.
#[derive(Clone, Debug)]
pub struct Db {
    reads: DatabaseConnection,
    writes: PgPool,
    control: DatabaseConnection,
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

        let control = pool(url, CONTROLLERS, CONTROL_TIMEOUT).await?;
        let mut reads = pool(url, READERS, READ_TIMEOUT).await?;
        reads.set_metric_callback(move |statement| on_statement(statement.elapsed));
        Ok(Self {
            reads,
            writes,
            control,
        })
    }

    /// To ask with.
    #[must_use]
    pub fn reads(&self) -> &DatabaseConnection {
        &self.reads
    }

    /// To ask several questions of one moment: what is committed in between is in none of the
    /// answers.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn snapshot(&self) -> Result<DatabaseTransaction, StorageError> {
        let isolation = Some(IsolationLevel::RepeatableRead);
        let access = Some(AccessMode::ReadOnly);
        Ok(self.reads.begin_with_config(isolation, access).await?)
    }

    /// For what must not wait behind questions or events.
    #[must_use]
    pub fn control(&self) -> &DatabaseConnection {
        &self.control
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
        self.control.execute_unprepared("SELECT 1").await?;
        Ok(())
    }

    /// Ends every connection.
    pub async fn close(self) {
        self.writes.close().await;
        for pool in [self.reads, self.control] {
            if let Err(error) = pool.close().await {
                tracing::debug!(%error, "closing connections");
            }
        }
    }
}

async fn pool(url: &str, size: u32, timeout: Duration) -> Result<DatabaseConnection, StorageError> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(size)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_timeout(ACQUIRE_TIMEOUT)
        .statement_timeout(timeout)
        .set_application_name("tidewater")
        .test_before_acquire_if_idle_for(Duration::from_secs(5))
        .connect_lazy(true)
        .sqlx_logging(false);
    Ok(Database::connect(options).await?)
}

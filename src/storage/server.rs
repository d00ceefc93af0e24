//! The connections to one server: a pool to ask with, and a small one for what must be answered
//! while that is busy.

use std::time::Duration;

use metrics::Counter;
use sea_orm::{
    AccessMode, ConnectOptions, Database, DatabaseConnection, IsolationLevel, TransactionTrait,
};

use super::StorageError;
use super::snapshot::{Counters, Snapshot};

/// How long a question may take.
const READ_TIMEOUT: Duration = Duration::from_secs(15);
/// How long anything of the small pool may take.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request waits for a connection before it hears that the database is away.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
const READERS: u32 = 12;

/// A server.
#[derive(Clone, Debug)]
pub(super) struct Server {
    /// To ask with.
    pub(super) reads: DatabaseConnection,
    /// For what must not wait behind questions.
    pub(super) control: DatabaseConnection,
}

impl Server {
    /// Prepares the pools, the small one with so many connections; nothing is connected yet.
    /// `on_statement` is called after each question with the time it took.
    pub(super) async fn open(
        url: &str,
        controllers: u32,
        on_statement: impl Fn(Duration) + Send + Sync + 'static,
    ) -> Result<Self, StorageError> {
        let control = pool(url, controllers, CONTROL_TIMEOUT).await?;
        let mut reads = pool(url, READERS, READ_TIMEOUT).await?;
        reads.set_metric_callback(move |statement| on_statement(statement.elapsed));
        Ok(Self { reads, control })
    }

    /// A snapshot, which counts where it comes to its end, and where it is cancelled.
    pub(super) async fn snapshot(
        &self,
        finished: Counter,
        cancelled: Counter,
    ) -> Result<Snapshot, StorageError> {
        let isolation = Some(IsolationLevel::RepeatableRead);
        let access = Some(AccessMode::ReadOnly);
        let transaction = self.reads.begin_with_config(isolation, access).await?;
        let counters = Counters {
            finished,
            cancelled,
        };
        Snapshot::of(transaction, &self.control, counters).await
    }

    /// Ends every connection.
    pub(super) async fn close(&self) {
        for pool in [&self.reads, &self.control] {
            if let Err(error) = pool.close_by_ref().await {
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

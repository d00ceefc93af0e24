//! The connections to one server: a pool to ask with, and a small one for what must be answered
//! while that is busy.

use std::time::Duration;

use metrics::Counter;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sea_orm::sqlx::{Connection, Executor};
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
/// How long what is left of a question that was answered takes at the most.
pub(super) const PROMPT: Duration = Duration::from_millis(50);
/// Has a session look every second whether its client is there. Some systems cannot.
const LOOK: &str = "SET client_connection_check_interval = 1000";

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
        let control = options(url, controllers, CONTROL_TIMEOUT)?;
        let mut reads = options(url, READERS, READ_TIMEOUT)?;
        reads.map_sqlx_postgres_pool_opts(hang_up);
        let control = Database::connect(control).await?;
        let mut reads = Database::connect(reads).await?;
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

/// Closes a connection whose question is dropped before it is answered, and has PostgreSQL take
/// notice of that. It is the long way: a connection is lost, and the question goes on for a second.
/// It is there for single questions; a [`Snapshot`] has a shorter one.
fn hang_up(pool: PgPoolOptions) -> PgPoolOptions {
    pool.after_connect(|connection, _| {
        Box::pin(async {
            if let Err(error) = connection.execute(LOOK).await {
                tracing::debug!(%error, "questions of clients that go away will be asked to the end");
            }
            Ok(())
        })
    })
    .after_release(|connection: &mut PgConnection, _| {
        // What is still to come of the last answer, which is most often nothing at all.
        Box::pin(async { Ok(tokio::time::timeout(PROMPT, connection.flush()).await.is_ok()) })
    })
}

fn options(url: &str, size: u32, timeout: Duration) -> Result<ConnectOptions, StorageError> {
    let mut options = connect_options(url)?;
    options
        .max_connections(size)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_timeout(ACQUIRE_TIMEOUT)
        .statement_timeout(timeout)
        .set_application_name("tidewater")
        .test_before_acquire_if_idle_for(Duration::from_secs(5))
        .connect_lazy(true)
        .sqlx_logging(false);
    Ok(options)
}

/// Options with a URL that can be connected to: the error of one that cannot would quote it, and
/// its password.
pub(super) fn connect_options(url: &str) -> Result<ConnectOptions, StorageError> {
    let _: PgConnectOptions = url.parse()?;
    let is_postgres = url.starts_with("postgres://") || url.starts_with("postgresql://");
    if !is_postgres {
        let why = "the URL of a database begins with postgres://";
        return Err(StorageError::Bug(why.to_owned()));
    }
    Ok(ConnectOptions::new(url))
}

//! Questions of one moment, and what becomes of a statement that nobody waits for any more.
//!
//! When a request ends early, because its client went away or its time is up, its future is
//! dropped, and a [`Snapshot`] with it. PostgreSQL hears nothing of that: the statement would go
//! on until its time-out. So a snapshot that is dropped unfinished leaves its transaction to a
//! task, which rolls it back; where that has to wait for a statement, the task has the statement
//! cancelled, through the small pool of the same server.
//!
//! A cancel names a backend and not a statement. It hits nobody else's all the same:
//!
//! - The task owns the transaction, so the connection goes back to its pool after the answer to
//!   the cancel. Then the signal has been sent, and PostgreSQL takes notice of it before it reads
//!   the next message; where nothing runs any more, it does nothing.
//! - What the task itself sends next is `ROLLBACK`. Were that hit, sqlx would see its error, and
//!   send another one or close the connection.
//! - The backend is named by its number and the begin of its transaction. So a number that another
//!   backend has by now is not hit.

use std::ops::Deref;
use std::pin::pin;
use std::time::Duration;

use chrono::{DateTime, Utc};
use metrics::Counter;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, FromQueryResult, Statement,
};
use tokio::runtime::Handle;

use super::server::PROMPT;
use super::{Executor, StorageError};

/// After how long a statement that goes on is cancelled once more.
const AGAIN: Duration = Duration::from_secs(1);
/// How long an unfinished transaction is looked after: its statement is over then, one way or the
/// other.
const PATIENCE: Duration = Duration::from_secs(20);

/// The first question of a snapshot: who answers, and from which moment.
const MARK: &str = "
    SELECT pg_backend_pid() AS backend,
           now() AS began,
           pg_is_in_recovery() AS is_standby,
           coalesce(pg_last_wal_replay_lsn() - '0/0', 0)::bigint AS replayed";

const CANCEL: &str = "
    SELECT pg_cancel_backend(pid) AS cancelled
    FROM pg_stat_activity
    WHERE pid = $1 AND xact_start = $2 AND state = 'active'";

/// Tells one transaction from all others of a server.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub(super) struct Mark {
    backend: i32,
    began: DateTime<Utc>,
    /// Whether the server follows another.
    pub(super) is_standby: bool,
    /// How far it has replayed the log, if it does.
    pub(super) replayed: i64,
}

/// What is counted of snapshots.
#[derive(Clone)]
pub(super) struct Counters {
    /// Those that came to their end.
    pub(super) finished: Counter,
    /// Statements that were cancelled.
    pub(super) cancelled: Counter,
}

/// A transaction whose questions all see one moment: what is committed in between is in none of
/// the answers. When it is dropped before [`Snapshot::commit`], what it asks is cancelled.
#[allow(
    missing_debug_implementations,
    reason = "counters have nothing to show"
)]
pub struct Snapshot {
    /// Taken out when it ends.
    transaction: Option<DatabaseTransaction>,
    mark: Mark,
    control: DatabaseConnection,
    counters: Counters,
}

impl Snapshot {
    /// Of a transaction that has asked nothing yet.
    pub(super) async fn of(
        transaction: DatabaseTransaction,
        control: &DatabaseConnection,
        counters: Counters,
    ) -> Result<Self, StorageError> {
        let statement = Statement::from_string(DbBackend::Postgres, MARK);
        let mark = Mark::find_by_statement(statement).one(&transaction).await?;
        let mark = mark.ok_or_else(|| StorageError::Bug("a mark without a row".to_owned()))?;
        Ok(Self {
            transaction: Some(transaction),
            mark,
            control: control.clone(),
            counters,
        })
    }

    pub(super) fn mark(&self) -> Mark {
        self.mark
    }

    /// To ask with.
    #[must_use]
    pub fn executor(&self) -> Executor<'_> {
        Executor::from(&**self)
    }

    /// Ends it when all is answered.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn commit(mut self) -> Result<(), StorageError> {
        if let Some(transaction) = self.transaction.take() {
            transaction.commit().await?;
            self.counters.finished.increment(1);
        }
        Ok(())
    }
}

impl Deref for Snapshot {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &DatabaseTransaction {
        let transaction = self.transaction.as_ref();
        transaction.expect("only what consumes the snapshot takes it out")
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        let Some(transaction) = self.transaction.take() else {
            return;
        };
        // Without a runtime the connections are gone, too.
        if let Ok(runtime) = Handle::try_current() {
            let (mark, control) = (self.mark, self.control.clone());
            let cancelled = self.counters.cancelled.clone();
            runtime.spawn(async move {
                let ending = end(transaction, mark, &control, &cancelled);
                if tokio::time::timeout(PATIENCE, ending).await.is_err() {
                    tracing::warn!("a transaction that nobody waits for does not end");
                }
            });
        }
    }
}

/// Rolls a transaction back, and has it cancelled as long as that does not come to pass.
async fn end(
    transaction: DatabaseTransaction,
    mark: Mark,
    control: &DatabaseConnection,
    cancelled: &Counter,
) {
    let mut rolling_back = pin!(transaction.rollback());
    let mut patience = PROMPT;
    // An error is that of the cancelled statement: what is left then is rolled back by sqlx.
    while tokio::time::timeout(patience, &mut rolling_back)
        .await
        .is_err()
    {
        match cancel(control, mark).await {
            Ok(true) => cancelled.increment(1),
            Ok(false) => {}
            Err(error) => tracing::debug!(%error, "a statement was not cancelled"),
        }
        patience = AGAIN;
    }
}

/// Cancels what a transaction does just now; whether it did anything.
async fn cancel(control: &DatabaseConnection, mark: Mark) -> Result<bool, StorageError> {
    let values = [mark.backend.into(), mark.began.into()];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, CANCEL, values);
    Ok(control.query_one_raw(statement).await?.is_some())
}

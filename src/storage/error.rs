//! What the database may answer, sorted by what can be done about it.

use sea_orm::sqlx::postgres::{PgDatabaseError, PgSeverity};
use sea_orm::{DbErr, RuntimeErr, sqlx};

use crate::domain::summary::Damaged;
use crate::error::{Code, Problem};

/// Why a statement did not work.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StorageError {
    /// No connection, or it was lost: nothing is known to be stored; try again later.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// The statement took longer than it may.
    #[error("the statement was cancelled: {0}")]
    Timeout(String),
    /// A deadlock or the like: the same again will work.
    #[error("the transaction must be tried again: {0}")]
    Retry(String),
    /// There is no partition for a row's time.
    #[error("a partition is missing: {0}")]
    MissingPartition(String),
    /// A row with the same key is there.
    #[error("it is stored already: {0}")]
    Exists(String),
    /// The values cannot be stored, now or ever.
    #[error("the database rejects the values: {0}")]
    Rejected(String),
    /// What is asked for has not what the key's rows are limited by.
    #[error("this cannot be limited to the rows that the key sees")]
    OutOfScope,
    /// Our mistake.
    #[error("the database refuses the statement: {0}")]
    Bug(String),
}

impl From<sqlx::Error> for StorageError {
    fn from(error: sqlx::Error) -> Self {
        Self::sort(&error)
    }
}

impl From<DbErr> for StorageError {
    fn from(error: DbErr) -> Self {
        match error {
            DbErr::Conn(RuntimeErr::SqlxError(error))
            | DbErr::Exec(RuntimeErr::SqlxError(error))
            | DbErr::Query(RuntimeErr::SqlxError(error)) => Self::sort(&error),
            DbErr::ConnectionAcquire(error) => Self::Unavailable(error.to_string()),
            other => Self::Bug(other.to_string()),
        }
    }
}

impl From<Damaged> for StorageError {
    fn from(damaged: Damaged) -> Self {
        Self::Bug(damaged.to_string())
    }
}

impl StorageError {
    fn sort(error: &sqlx::Error) -> Self {
        let text = error.to_string();
        let sqlx::Error::Database(answer) = error else {
            return match error {
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed => Self::Unavailable(text),
                _ => Self::Bug(text),
            };
        };
        // It ends the session: we are not let in, or thrown out.
        let is_fatal = |answer: &PgDatabaseError| {
            matches!(answer.severity(), PgSeverity::Fatal | PgSeverity::Panic)
        };
        if answer.try_downcast_ref().is_some_and(is_fatal) {
            return Self::Unavailable(text);
        }
        let code = answer.code().unwrap_or_default();
        let no_partition = answer.message().starts_with("no partition of relation");
        match code.as_ref() {
            "23514" if no_partition => Self::MissingPartition(text),
            "23505" => Self::Exists(text),
            "57014" => Self::Timeout(text),
            "40001" | "40P01" | "55P03" => Self::Retry(text),
            code if ["08", "53", "57", "58"].contains(&&code[..2.min(code.len())]) => {
                Self::Unavailable(text)
            }
            // A standby was promoted, or a primary demoted, under the connection.
            "25006" => Self::Unavailable(text),
            code if code.starts_with("22") || code.starts_with("23") => Self::Rejected(text),
            _ => Self::Bug(text),
        }
    }
}

impl From<StorageError> for Problem {
    /// Logs what happened and tells the client what it may know.
    fn from(error: StorageError) -> Self {
        match &error {
            StorageError::Timeout(_) => Self::new(Code::QueryTimeout),
            StorageError::Unavailable(_) | StorageError::Retry(_) => {
                tracing::warn!(%error, "storage is unavailable");
                Self::new(Code::Unavailable)
            }
            StorageError::Rejected(_) => Self::new(Code::StorageRejected),
            StorageError::OutOfScope => Self::new(Code::OutOfScope),
            StorageError::Exists(_) | StorageError::MissingPartition(_) | StorageError::Bug(_) => {
                tracing::error!(%error, "storage failed");
                Self::new(Code::Internal)
            }
        }
    }
}

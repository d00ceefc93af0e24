//! What the database may answer, sorted by what can be done about it.

use std::sync::Arc;

use sea_orm::{DbErr, RuntimeErr, sqlx};

use crate::error::{Code, Problem};

/// Why a statement did not work.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StorageError {
    /// No connection, or it was lost: nothing is known to be stored; try again later.
    #[error("the database cannot be reached: {0}")]
    Unavailable(Arc<sqlx::Error>),
    /// The statement took longer than it may.
    #[error("the statement was cancelled: {0}")]
    Timeout(Arc<sqlx::Error>),
    /// A deadlock or the like: the same again will work.
    #[error("the transaction must be tried again: {0}")]
    Retry(Arc<sqlx::Error>),
    /// There is no partition for a row's time.
    #[error("a partition is missing: {0}")]
    MissingPartition(Arc<sqlx::Error>),
    /// The values cannot be stored, now or ever.
    #[error("the database rejects the values: {0}")]
    Rejected(Arc<sqlx::Error>),
    /// Our mistake.
    #[error("the database refuses the statement: {0}")]
    Bug(String),
}

impl From<sqlx::Error> for StorageError {
    fn from(error: sqlx::Error) -> Self {
        Self::sort(Arc::new(error))
    }
}

impl From<DbErr> for StorageError {
    fn from(error: DbErr) -> Self {
        match error {
            DbErr::Conn(RuntimeErr::SqlxError(error))
            | DbErr::Exec(RuntimeErr::SqlxError(error))
            | DbErr::Query(RuntimeErr::SqlxError(error)) => Self::sort(error),
            DbErr::ConnectionAcquire(_) => Self::Unavailable(Arc::new(sqlx::Error::PoolTimedOut)),
            other => Self::Bug(other.to_string()),
        }
    }
}

impl StorageError {
    fn sort(error: Arc<sqlx::Error>) -> Self {
        let sqlx::Error::Database(answer) = error.as_ref() else {
            return match error.as_ref() {
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed => Self::Unavailable(error),
                other => Self::Bug(other.to_string()),
            };
        };
        let code = answer.code().unwrap_or_default();
        let no_partition = answer.message().starts_with("no partition of relation");
        match code.as_ref() {
            "23514" if no_partition => Self::MissingPartition(error),
            "57014" => Self::Timeout(error),
            "40001" | "40P01" | "55P03" => Self::Retry(error),
            code if ["08", "53", "57", "58"].contains(&&code[..2.min(code.len())]) => {
                Self::Unavailable(error)
            }
            // A standby was promoted, or a primary demoted, under the connection.
            "25006" => Self::Unavailable(error),
            code if code.starts_with("22") || code.starts_with("23") => Self::Rejected(error),
            _ => Self::Bug(answer.to_string()),
        }
    }
}

impl From<StorageError> for Problem {
    /// Logs what happened and tells the client what it may know.
    fn from(error: StorageError) -> Self {
        const SOON: std::time::Duration = std::time::Duration::from_secs(2);
        match &error {
            StorageError::Timeout(_) => Self::new(Code::QueryTimeout),
            StorageError::Unavailable(_) | StorageError::Retry(_) => {
                tracing::warn!(%error, "storage is unavailable");
                Self::new(Code::Unavailable).retry_after(SOON)
            }
            StorageError::Rejected(_) => Self::new(Code::StorageRejected),
            StorageError::MissingPartition(_) | StorageError::Bug(_) => {
                tracing::error!(%error, "storage failed");
                Self::new(Code::Internal)
            }
        }
    }
}

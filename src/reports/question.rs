//! How a report is asked for: of one snapshot, of whichever server may answer.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Reports;
use crate::error::{Code, Problem};
use crate::storage::{Served, Snapshot, StorageError};

/// What one snapshot answers.
pub(super) trait Question: Sync {
    /// The answer.
    type Answer: Send;

    /// Answers it from a snapshot that has everything from before `as_of`. It may be asked twice:
    /// when a replica fails, the primary is asked.
    fn answer(
        &self,
        snapshot: &Snapshot,
        as_of: DateTime<Utc>,
    ) -> impl Future<Output = Result<Self::Answer, Failure>> + Send;
}

/// Why there is no answer. What the database says is kept apart from what clients are told, until
/// nobody else can be asked.
#[derive(Debug)]
pub(super) enum Failure {
    /// The database's.
    Storage(StorageError),
    /// The question's.
    Problem(Problem),
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<Code> for Failure {
    fn from(code: Code) -> Self {
        Self::Problem(code.into())
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Storage(error) => error.into(),
            Failure::Problem(problem) => problem,
        }
    }
}

impl Reports {
    /// Asks a replica that is fresh enough, if there is one, else the primary; and the primary
    /// after all where the replica fails for a reason of its own.
    pub(super) async fn ask<Q: Question>(
        &self,
        question: &Q,
        max_staleness: Duration,
    ) -> Result<Q::Answer, Problem> {
        let (snapshot, served) = self.snapshot_within(max_staleness).await?;
        match answer(question, snapshot, served).await {
            Err(Failure::Storage(error)) if self.db.falls_back(served, &error) => {
                let (snapshot, served) = self.snapshot_within(Duration::ZERO).await?;
                Ok(answer(question, snapshot, served).await?)
            }
            answer => Ok(answer?),
        }
    }

    async fn snapshot_within(
        &self,
        max_staleness: Duration,
    ) -> Result<(Snapshot, Served), StorageError> {
        let now = self.clock.now();
        self.db.snapshot_within(max_staleness, now).await
    }
}

async fn answer<Q: Question>(
    question: &Q,
    snapshot: Snapshot,
    served: Served,
) -> Result<Q::Answer, Failure> {
    let answer = question.answer(&snapshot, served.as_of).await?;
    snapshot.commit().await?;
    Ok(answer)
}

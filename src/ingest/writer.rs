//! Takes whatever waits, stores it in one transaction, answers everyone in it.
//!
//! While a transaction commits, the next batches gather, so the busier the server the larger its
//! transactions. An event that the database cannot store is found by halving and goes to quarantine
//! alone.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::log::{Job, Written};
use super::poison;
use crate::domain::batch::Batch;
use crate::error::Problem;
use crate::realtime::bus::{Bus, Committed};
use crate::storage::writes::{Outcome, Stored, Work, WriteMemory, store};
use crate::storage::{Db, StorageError};
use crate::telemetry::metrics::Metrics;

/// How many events a transaction gathers before it begins; the last batch may go over.
const GATHER: usize = 10_000;
/// How often a transaction is tried that lost against another one.
const ATTEMPTS: u32 = 5;
/// How long a transaction may take in all.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(30);

/// One of the tasks that write.
pub(super) struct Writer {
    pub(super) db: Db,
    pub(super) bus: Bus,
    pub(super) metrics: Metrics,
    pub(super) memory: Arc<WriteMemory>,
    pub(super) drain: CancellationToken,
}

/// Writes until it is told to drain and nothing is left.
pub(super) async fn run(writer: Writer, jobs: Arc<Mutex<mpsc::UnboundedReceiver<Job>>>) {
    loop {
        let gathered = gather(&mut *jobs.lock().await, &writer.drain).await;
        if gathered.is_empty() {
            return;
        }
        // A batch that trips over a mistake of ours must not take the writer with it: its senders
        // hear of an internal error, since their answers are dropped, and the next one is written.
        let writing = AssertUnwindSafe(writer.write(gathered)).catch_unwind();
        if writing.await.is_err() {
            tracing::error!("a writer panicked; its batch was not stored");
        }
    }
}

impl Job {
    /// Tells the sender; it may have gone, and what is stored stays stored.
    fn answer(self, written: Result<Vec<Written>, StorageError>) {
        let answer = written.map_err(|error| match error {
            // Not the sender's question took too long, but our statement.
            StorageError::Timeout(text) => StorageError::Unavailable(text).into(),
            other => Problem::from(other),
        });
        let _ = self.answer.send(answer);
    }
}

/// Waits for a batch and takes those behind it too.
async fn gather(jobs: &mut mpsc::UnboundedReceiver<Job>, drain: &CancellationToken) -> Vec<Job> {
    let mut gathered = Vec::new();
    let mut events = 0;
    let mut next = match drain.run_until_cancelled(jobs.recv()).await {
        Some(next) => next,
        None => {
            jobs.close();
            jobs.try_recv().ok()
        }
    };
    while let Some(job) = next {
        events += job.batch.events.len();
        gathered.push(job);
        if events >= GATHER {
            break;
        }
        next = jobs.try_recv().ok();
    }
    gathered
}

impl Writer {
    async fn write(&self, jobs: Vec<Job>) {
        let batches: Vec<&Batch> = jobs.iter().map(|job| &job.batch).collect();
        match self.store_with_retries(&batches).await {
            Ok(stored) => {
                let mut outcomes = self.publish(stored).into_iter();
                for job in jobs {
                    let own = outcomes.by_ref().take(job.batch.events.len());
                    let own = own.map(Written::from).collect();
                    job.answer(Ok(own));
                }
            }
            Err(error @ StorageError::Unavailable(_)) => {
                self.may_have_committed();
                for job in jobs {
                    job.answer(Err(error.clone()));
                }
            }
            // One batch, or one event, is to blame for what happened to all.
            Err(_) => {
                for job in jobs {
                    let written = self.store_alone(&job.batch).await;
                    job.answer(written);
                }
            }
        }
    }

    /// Stores everything of a batch that can be stored.
    async fn store_alone(&self, batch: &Batch) -> Result<Vec<Written>, StorageError> {
        let mut written = Vec::with_capacity(batch.events.len());
        let mut open = vec![batch.clone()];
        while let Some(mut part) = open.pop() {
            match self.store_with_retries(&[&part]).await {
                Ok(stored) => written.extend(self.publish(stored).into_iter().map(Written::from)),
                Err(StorageError::Rejected(error)) if part.events.len() == 1 => {
                    let event = part.events.remove(0);
                    tracing::warn!(%error, event_id = %event.what.id, "event quarantined");
                    part.held.push(poison::held(&part, event));
                    written.push(Written::Held);
                    let stored = self.store_with_retries(&[&part]).await?;
                    self.publish(stored);
                }
                Err(StorageError::Rejected(_)) if !part.events.is_empty() => {
                    let middle = part.events.len() / 2;
                    let rest = Batch {
                        events: part.events.split_off(middle),
                        held: Vec::new(),
                        rejected: Vec::new(),
                        warnings: Vec::new(),
                        ..part
                    };
                    open.extend([rest, part]);
                }
                Err(error) => {
                    self.may_have_committed();
                    return Err(error);
                }
            }
        }
        Ok(written)
    }

    /// The connection may have broken at the commit: what it stored, if it did, is not known here.
    fn may_have_committed(&self) {
        self.bus.gap();
    }

    async fn store_with_retries(&self, batches: &[&Batch]) -> Result<Stored, StorageError> {
        let work: Vec<Work<'_>> = batches
            .iter()
            .map(|batch| Work { batch, entry: None })
            .collect();
        let mut attempt = 0;
        loop {
            attempt += 1;
            let begun = Instant::now();
            let result = timeout(TRANSACTION_TIMEOUT, store(&self.db, &self.memory, &work))
                .await
                .unwrap_or_else(|_| {
                    Err(StorageError::Unavailable(
                        "the transaction took too long".into(),
                    ))
                });
            self.metrics
                .ingest_transaction_seconds
                .record(begun.elapsed());
            let Err(error) = result else {
                return result;
            };
            self.metrics.ingest_failures.increment(1);
            let passing = matches!(
                error,
                StorageError::Retry(_) | StorageError::MissingPartition(_)
            );
            if !passing || attempt == ATTEMPTS {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(10) * attempt).await;
        }
    }

    /// Tells everyone what was sold; gives the outcomes back.
    fn publish(&self, stored: Stored) -> Vec<Outcome> {
        self.metrics
            .identity_refused
            .increment(stored.ids_not_joined as u64);
        if !stored.sales.is_empty() {
            self.bus.publish(Committed {
                transaction_id: stored.transaction_id,
                sales: stored.sales,
            });
        }
        stored.outcomes
    }
}

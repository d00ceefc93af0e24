//! Takes whatever waits, stores it in one transaction, answers everyone in it.
//!
//! While a transaction commits, the next batches gather, so the busier the server the larger its
//! transactions. An event that the database cannot store is found by halving and is rejected
//! alone.

use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::log::{Job, Written};
use crate::error::Problem;
use crate::realtime::bus::{Bus, Committed};
use crate::storage::writes::{Incoming, Stored, WriteMemory, store};
use crate::storage::{Db, StorageError};
use crate::telemetry::metrics::Metrics;

/// How many events a transaction gathers before it begins; the last batch may go over.
const GATHER: usize = 5_000;
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

/// The events of batches, one after the other.
fn incoming(jobs: &[Job]) -> Vec<Incoming<'_>> {
    let mut all = Vec::new();
    for Job { batch, .. } in jobs {
        all.extend(batch.events.iter().map(|event| Incoming {
            tenant: batch.tenant,
            event,
            received_at: batch.received_at,
        }));
    }
    all
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
        match self.store_all(&incoming(&jobs)).await {
            Ok(written) => {
                let mut written = written.into_iter();
                for job in jobs {
                    let own = written.by_ref().take(job.batch.events.len()).collect();
                    job.answer(Ok(own));
                }
            }
            // One batch may be to blame for what happened to all: each on its own.
            Err(error) if jobs.len() > 1 && !matches!(error, StorageError::Unavailable(_)) => {
                for job in jobs {
                    let alone = self.store_all(&incoming(slice::from_ref(&job))).await;
                    job.answer(alone);
                }
            }
            Err(error) => {
                for job in jobs {
                    job.answer(Err(error.clone()));
                }
            }
        }
    }

    /// Stores everything that can be stored.
    async fn store_all(&self, incoming: &[Incoming<'_>]) -> Result<Vec<Written>, StorageError> {
        let mut written = vec![Written::Rejected; incoming.len()];
        let mut open: Vec<Range<usize>> = Vec::new();
        open.push(0..incoming.len());
        while let Some(part) = open.pop() {
            match self.store_with_retries(&incoming[part.clone()]).await {
                Ok(stored) => {
                    for (slot, outcome) in written[part].iter_mut().zip(&stored.outcomes) {
                        *slot = (*outcome).into();
                    }
                    self.publish(stored);
                }
                Err(StorageError::Rejected(error)) if part.len() == 1 => {
                    tracing::warn!(%error, event_id = %incoming[part.start].event.id, "event rejected");
                }
                Err(StorageError::Rejected(_)) => {
                    let middle = part.start + part.len() / 2;
                    open.extend([middle..part.end, part.start..middle]);
                }
                Err(error) => {
                    // The connection may have broken at the commit: what it stored, if it did, is
                    // not known here.
                    self.bus.gap();
                    return Err(error);
                }
            }
        }
        Ok(written)
    }

    async fn store_with_retries(&self, incoming: &[Incoming<'_>]) -> Result<Stored, StorageError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let begun = Instant::now();
            let result = timeout(TRANSACTION_TIMEOUT, store(&self.db, &self.memory, incoming))
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

    fn publish(&self, stored: Stored) {
        if !stored.sales.is_empty() {
            self.bus.publish(Committed {
                transaction_id: stored.transaction_id,
                sales: stored.sales,
            });
        }
    }
}

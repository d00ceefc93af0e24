//! The log that is PostgreSQL itself: whatever waits is stored in one transaction, and everyone in
//! it is answered after the commit.
//!
//! While a transaction commits, the next batches gather, so the busier the server the larger its
//! transactions.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Appended, Durability, Place, Room, WRITERS, Written};
use crate::domain::batch::Batch;
use crate::error::{Code, Problem};
use crate::ingest::writer::{GATHER, Lot, Writer};
use crate::storage::StorageError;
use crate::telemetry::metrics::Metrics;

/// A batch on its way to a writer.
struct Job {
    lot: Lot,
    answer: oneshot::Sender<Result<Vec<Written>, Problem>>,
    /// Given back when the batch is stored.
    _place: Place,
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

/// Groups the batches of all requests into large transactions.
#[derive(Clone)]
#[allow(
    missing_debug_implementations,
    reason = "channels have nothing to show"
)]
pub struct DirectLog {
    // The room bounds what the channel holds.
    jobs: mpsc::UnboundedSender<Job>,
    room: Room,
}

impl DirectLog {
    /// Starts the writers; once `drain` is cancelled they store what waits, take no more, and end.
    pub(crate) fn start(
        writer: &Writer,
        metrics: &Metrics,
        drain: &CancellationToken,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let (jobs, receiver) = mpsc::unbounded_channel();
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..WRITERS {
            tasks.spawn(run(writer.clone(), Arc::clone(&receiver), drain.clone()));
        }
        Self {
            jobs,
            room: Room::new(metrics),
        }
    }

    /// Stores a batch.
    pub(super) async fn append(&self, batch: Batch) -> Result<Appended, Problem> {
        let place = self.room.take(&batch).await?;
        let (answer, answered) = oneshot::channel();
        let job = Job {
            lot: Lot::of(batch),
            answer,
            _place: place,
        };
        self.jobs.send(job).map_err(|_| Code::ShuttingDown)?;
        Ok(Appended {
            written: answered.await.map_err(|_| Code::Internal)??,
            durability: Durability::Committed,
        })
    }
}

/// Writes until it is told to drain and nothing is left.
async fn run(
    writer: Writer,
    jobs: Arc<Mutex<mpsc::UnboundedReceiver<Job>>>,
    drain: CancellationToken,
) {
    loop {
        let gathered = gather(&mut *jobs.lock().await, &drain).await;
        if gathered.is_empty() {
            return;
        }
        // A batch that trips over a mistake of ours must not take the writer with it: its senders
        // hear of an internal error, since their answers are dropped, and the next one is written.
        let writing = AssertUnwindSafe(write(&writer, gathered)).catch_unwind();
        if writing.await.is_err() {
            tracing::error!("a writer panicked; its batch was not stored");
        }
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
        events += job.lot.events();
        gathered.push(job);
        if events >= GATHER {
            break;
        }
        next = jobs.try_recv().ok();
    }
    gathered
}

async fn write(writer: &Writer, jobs: Vec<Job>) {
    let lots: Vec<&Lot> = jobs.iter().map(|job| &job.lot).collect();
    let results = writer.write(&lots).await;
    for (job, result) in jobs.into_iter().zip(results) {
        job.answer(result);
    }
}

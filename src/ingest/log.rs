//! Where a batch becomes durable. Today straight in PostgreSQL; a log in between, such as a Redis
//! Stream, takes [`DirectLog`]'s place with the same two promises: what it answers for is durable,
//! and what it holds is bounded.

use std::sync::Arc;
use std::time::Duration;

use metrics::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::writer::{self, Writer};
use crate::domain::batch::Batch;
use crate::domain::event::Event;
use crate::error::{Code, Problem};
use crate::realtime::bus::Bus;
use crate::storage::Db;
use crate::storage::writes::{Outcome, WriteMemory};
use crate::telemetry::metrics::Metrics;

/// How much may wait to be stored, in kibibytes: the bound on memory, in events and in bytes.
const ROOM_KIB: u32 = 64 * 1024;
/// How long a batch waits for room before its sender is asked to come back.
const PATIENCE: Duration = Duration::from_millis(50);
/// While one transaction commits, another is filled.
const WRITERS: usize = 2;

/// What a batch takes in memory, roughly, in kibibytes: its long texts, and half a kibibyte an
/// event.
fn weight_kib(batch: &Batch) -> u32 {
    let texts = |event: &Event| {
        let url = event.page_url.as_ref().map_or(0, String::len);
        let lines = event.order.as_ref().map_or(0, |order| order.lines.len());
        event.properties.len() + url + event.user.external_id.len() + 256 * lines
    };
    let events = batch.events.iter().map(|event| 512 + texts(&event.what));
    let held = batch.held.iter().map(|held| 512 + held.what.payload.len());
    let bytes: usize = events.chain(held).sum();
    let bytes = bytes + 256 * batch.rejected.len();
    u32::try_from(bytes / 1024 + 1)
        .unwrap_or(ROOM_KIB)
        .min(ROOM_KIB)
}

/// What became of an event in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is durable, now.
    Accepted,
    /// It was before.
    Duplicate,
    /// Another content was, under its id.
    Conflict,
    /// The database cannot store it: it is in quarantine.
    Held,
}

impl From<Outcome> for Written {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Accepted => Self::Accepted,
            Outcome::Duplicate => Self::Duplicate,
            Outcome::Conflict => Self::Conflict,
        }
    }
}

/// A batch on its way to a writer.
pub(super) struct Job {
    pub(super) batch: Batch,
    pub(super) answer: oneshot::Sender<Result<Vec<Written>, Problem>>,
    /// Given back when the batch is stored.
    pub(super) _room: Room,
}

/// What a batch takes of the queue's room, until it is dropped.
pub(super) struct Room {
    _permit: OwnedSemaphorePermit,
    weight: u32,
    gauge: Gauge,
}

impl Room {
    fn take(permit: OwnedSemaphorePermit, weight: u32, gauge: Gauge) -> Self {
        gauge.increment(weight);
        Self {
            _permit: permit,
            weight,
            gauge,
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.gauge.decrement(self.weight);
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
    room: Arc<Semaphore>,
    metrics: Metrics,
}

impl DirectLog {
    /// Starts the writers; once `drain` is cancelled they store what waits, take no more, and end.
    #[must_use]
    pub fn start(
        db: &Db,
        bus: &Bus,
        metrics: &Metrics,
        memory: &Arc<WriteMemory>,
        drain: &CancellationToken,
    ) -> (Self, JoinSet<()>) {
        let (jobs, receiver) = mpsc::unbounded_channel();
        let receiver = Arc::new(tokio::sync::Mutex::new(receiver));
        let mut writers = JoinSet::new();
        for _ in 0..WRITERS {
            let writer = Writer {
                db: db.clone(),
                bus: bus.clone(),
                metrics: metrics.clone(),
                memory: Arc::clone(memory),
                drain: drain.clone(),
            };
            writers.spawn(writer::run(writer, Arc::clone(&receiver)));
        }
        let log = Self {
            jobs,
            room: Arc::new(Semaphore::new(ROOM_KIB as usize)),
            metrics: metrics.clone(),
        };
        (log, writers)
    }

    /// Stores a batch; the answers are in the order of its events.
    ///
    /// # Errors
    /// When nothing is acknowledged: there is no room, or the database is away.
    pub async fn append(&self, batch: Batch) -> Result<Vec<Written>, Problem> {
        let weight = weight_kib(&batch);
        let room = Arc::clone(&self.room).acquire_many_owned(weight);
        let Ok(Ok(room)) = tokio::time::timeout(PATIENCE, room).await else {
            return Err(Code::Overloaded.into());
        };
        let (answer, answered) = oneshot::channel();
        let job = Job {
            batch,
            answer,
            _room: Room::take(room, weight, self.metrics.ingest_queue_kib.clone()),
        };
        self.jobs.send(job).map_err(|_| Code::ShuttingDown)?;
        answered.await.map_err(|_| Code::Internal)?
    }
}

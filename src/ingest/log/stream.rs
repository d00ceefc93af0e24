//! The log that is a Redis Stream: an answer comes after a durable append, workers write to
//! PostgreSQL.
//!
//! ```text
//! append: batch → parts by user → one queue a partition → packets → XADD → answer
//! worker: XREADGROUP → gather → one transaction → XACK + XDEL in one step
//! ```
//!
//! **Exactly once.** Redis gives every entry at least once: what a dead worker had is claimed by
//! another ([`consumer`]). Storing it again changes nothing, for three reasons, each enough where
//! the one before it does not reach:
//! 1. the transaction that stores a packet notes the packet's id in `stream_entry`, whose key
//!    refuses it a second time; of two workers that have it at once, one commits. The id is made
//!    before the append, so a packet that is appended twice is one packet too. These rows are
//!    removed when the stream has long forgotten the entry;
//! 2. every event has its id before the append, and ids are stored once (`storage::writes`);
//! 3. an entry leaves the stream only after the commit.
//!
//! **Bounded.** The script that appends refuses once a partition holds its share of bytes; it is
//! Redis that counts, so the bound holds for any number of processes. Nothing is ever trimmed.
//!
//! Partitions spread the load and keep a user's events together; nothing depends on their order.
//! Their number may change at any time: workers look for every partition that there can be.

mod consumer;
mod durability;
mod erase;
mod flusher;
mod keys;
mod line;
mod observer;
mod packet;
mod partition;

use std::sync::Arc;
use std::time::Duration;

use redis::RedisError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Appended, Durability, Health, PATIENCE, Place, Room, Written};
use crate::config::{FsyncPolicy, IngestConfig, RedisUrl};
use crate::domain::batch::Batch;
use crate::error::{Code, Problem};
use crate::ingest::writer::Writer;
use crate::redis_line::Server;
pub use consumer::Consumers;
pub use erase::Streams;
use flusher::Waiting;
use line::Line;
pub use observer::PartitionHealth;
use observer::State;

/// How long Redis has to answer.
const REDIS_PATIENCE: Duration = Duration::from_secs(2);
/// No configuration has more partitions.
const MAX_PARTITIONS: u16 = 64;

/// Why there is no stream to write to.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The URL cannot be read.
    #[error("REDIS_URL: {0}")]
    Redis(#[from] RedisError),
    /// There is none.
    #[error("TIDEWATER_INGEST=stream needs a REDIS_URL")]
    NoRedis,
    /// It would lose what was acknowledged.
    #[error(
        "this Redis would lose events that were acknowledged: {0}. Set `appendonly yes` and `maxmemory-policy noeviction` in it, or TIDEWATER_INGEST=direct, or, where losing events is fine, TIDEWATER_STREAM_ALLOW_VOLATILE=true"
    )]
    Volatile(&'static str),
}

/// What was configured.
struct Settings {
    server: Server,
    partitions: u16,
    /// How much a partition may hold.
    max_bytes: u64,
    claim_idle: Duration,
    allow_volatile: bool,
    durability: Option<FsyncPolicy>,
}

impl Settings {
    fn new(redis: &RedisUrl, config: &IngestConfig) -> Result<Self, RedisError> {
        Ok(Self {
            server: Server::new(redis)?,
            partitions: config.stream_partitions,
            max_bytes: config.stream_max_mib * 1024 * 1024 / u64::from(config.stream_partitions),
            claim_idle: Duration::from_secs(config.stream_claim_seconds),
            allow_volatile: config.stream_allow_volatile,
            durability: config.stream_durability,
        })
    }

    /// Those of a process that does not append, and stores what others have left.
    fn left_over(redis: &RedisUrl, config: &IngestConfig) -> Result<Self, RedisError> {
        Ok(Self {
            partitions: 0,
            allow_volatile: true,
            // No matter what it is, it need not be asked.
            durability: Some(FsyncPolicy::None),
            ..Self::new(redis, config)?
        })
    }
}

/// Watches the streams until `drain` is cancelled.
fn observe(
    line: Line,
    settings: &Arc<Settings>,
    writer: &Writer,
    drain: &CancellationToken,
    tasks: &mut JoinSet<()>,
) -> watch::Receiver<State> {
    let (sender, state) = watch::channel(State::default());
    let (db, metrics) = (writer.db.clone(), writer.metrics.clone());
    let observing = observer::observe(line, Arc::clone(settings), db, metrics, sender);
    let drain = drain.clone();
    tasks.spawn(async move {
        drain.run_until_cancelled_owned(observing).await;
    });
    state
}

/// The log.
#[derive(Clone)]
#[allow(
    missing_debug_implementations,
    reason = "channels have nothing to show"
)]
pub struct StreamLog {
    settings: Arc<Settings>,
    state: watch::Receiver<State>,
    // The room bounds what the channels hold.
    queues: Vec<mpsc::UnboundedSender<Waiting>>,
    room: Room,
}

impl StreamLog {
    /// Starts what appends and what watches; once `drain` is cancelled, what waits is appended, no
    /// more is taken, and they end.
    ///
    /// # Errors
    /// When the URL cannot be read, or Redis answers and would lose what it is given.
    pub(crate) async fn start(
        redis: &RedisUrl,
        config: &IngestConfig,
        writer: &Writer,
        drain: &CancellationToken,
        tasks: &mut JoinSet<()>,
    ) -> Result<Self, StreamError> {
        let settings = Settings::new(redis, config)?;
        // A Redis that is away now is asked again later.
        let mut line = Line::new(settings.server.clone(), REDIS_PATIENCE);
        if let Ok(found) = durability::ask(&mut line, &settings).await
            && let Some(why) = found.refused
        {
            return Err(StreamError::Volatile(why));
        }
        let settings = Arc::new(settings);
        let state = observe(line, &settings, writer, drain, tasks);
        let mut queues = Vec::new();
        for partition in 0..settings.partitions {
            let (queue, waiting) = mpsc::unbounded_channel();
            queues.push(queue);
            let settings = Arc::clone(&settings);
            let flusher = flusher::Flusher::new(partition, settings, writer.metrics.clone());
            tasks.spawn(flusher.run(waiting, state.clone(), drain.clone()));
        }
        Ok(Self {
            settings,
            state,
            queues,
            room: Room::new(&writer.metrics),
        })
    }

    /// Appends a batch; each event of it is accepted then, also one that turns out to be a
    /// duplicate later.
    pub(super) async fn append(&self, batch: Batch) -> Result<Appended, Problem> {
        let place = Arc::new(self.room.take(&batch).await?);
        let durability = self.durability().await?;
        let written = vec![Written::Accepted; batch.events.len()];
        let mut parts = Vec::new();
        for (partition, part) in split(batch, self.queues.len()) {
            let bytes = packet::encode(&part).map_err(|error| {
                tracing::error!(%error, "a batch cannot be encoded");
                Problem::from(Code::Internal)
            })?;
            parts.push((partition, bytes, part.events.len()));
        }
        let mut answers = Vec::with_capacity(parts.len());
        for (partition, bytes, events) in parts {
            let (answer, answered) = oneshot::channel();
            let waiting = Waiting {
                bytes,
                events,
                answer,
                _place: Arc::clone(&place),
            };
            let sent = self.queues[partition].send(waiting);
            sent.map_err(|_| Code::ShuttingDown)?;
            answers.push(answered);
        }
        for answered in answers {
            answered.await.map_err(|_| Code::ShuttingDown)??;
        }
        Ok(Appended {
            written,
            durability,
        })
    }

    /// What an append is worth now.
    async fn durability(&self) -> Result<Durability, Problem> {
        let mut state = self.state.clone();
        let known = state.wait_for(|state| state.installation.is_some() && state.found.is_some());
        let Ok(Ok(state)) = tokio::time::timeout(PATIENCE, known).await else {
            return Err(Code::LogUnavailable.into());
        };
        let found = state.found.ok_or(Code::LogUnavailable)?;
        if found.refused.is_some() {
            return Err(Code::LogNotDurable.into());
        }
        Ok(found.durability)
    }

    pub(super) fn health(&self) -> Health {
        let state = self.state.borrow();
        Health {
            durability: state.found.map(|found| found.durability),
            partitions: state.partitions.clone(),
        }
    }
}

/// What became of it tells its part in the answer; the part is its place in the queues.
fn split(mut batch: Batch, partitions: usize) -> Vec<(usize, Batch)> {
    let of = |id: uuid::Uuid| usize::try_from(id.as_u128() % partitions as u128).unwrap_or(0);
    let events = std::mem::take(&mut batch.events);
    let empty = Batch {
        events: Vec::new(),
        held: Vec::new(),
        rejected: Vec::new(),
        warnings: Vec::new(),
        ..batch
    };
    // What is not stored as an event goes with the first of those that are.
    let first = of(events.first().map_or(batch.id, |event| event.what.user.id));
    let has_more = batch.held.len() + batch.rejected.len() + batch.warnings.len() > 0;
    let mut parts: Vec<Option<Batch>> = vec![None; partitions];
    if has_more {
        parts[first] = Some(batch);
    }
    for event in events {
        let part = parts[of(event.what.user.id)].get_or_insert_with(|| empty.clone());
        part.events.push(event);
    }
    let parts = parts.into_iter().enumerate();
    parts
        .filter_map(|(partition, part)| Some((partition, part?)))
        .collect()
}

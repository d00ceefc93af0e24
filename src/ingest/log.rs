//! Where a batch becomes durable: straight in PostgreSQL ([`direct`]), or in a Redis Stream that
//! workers write to PostgreSQL ([`stream`]).
//!
//! Both give the same two promises: what they answer for is durable, and what they hold is bounded.

pub mod direct;
pub mod stream;

use std::sync::Arc;
use std::time::Duration;

use metrics::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::batch::Batch;
use crate::domain::event::Event;
use crate::error::{Code, Problem};
use crate::storage::writes::Outcome;
use crate::telemetry::metrics::Metrics;
pub use direct::DirectLog;
pub use stream::{PartitionHealth, StreamLog};

/// How much may wait to become durable, in kibibytes: the bound on memory, in events and in bytes.
const ROOM_KIB: u32 = 64 * 1024;
/// How long a batch waits for room before its sender is asked to come back.
const PATIENCE: Duration = Duration::from_millis(20);
/// While one transaction commits, another is filled.
const WRITERS: usize = 2;

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
    /// It is of before its user was erased: it is not kept.
    Erased,
}

impl From<Outcome> for Written {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Accepted => Self::Accepted,
            Outcome::Duplicate => Self::Duplicate,
            Outcome::Conflict => Self::Conflict,
            Outcome::Erased => Self::Erased,
        }
    }
}

/// What an answer's word is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// PostgreSQL has committed it.
    Committed,
    /// Redis has it on its disk.
    Always,
    /// Redis will have it on its disk within two seconds.
    Everysec,
    /// Redis has it in its memory.
    None,
}

impl Durability {
    /// The word for it in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Always => "always",
            Self::Everysec => "everysec",
            Self::None => "none",
        }
    }
}

/// What became of a batch in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// One for each event, in order.
    pub written: Vec<Written>,
    /// How durable they are.
    pub durability: Durability,
}

/// How the log does.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// What its answers are worth; nothing while Redis has not said what it does.
    pub durability: Option<Durability>,
    /// What lies in each stream; nothing in a log without streams.
    pub partitions: Vec<PartitionHealth>,
}

/// The log.
#[derive(Clone)]
#[allow(
    missing_debug_implementations,
    reason = "channels have nothing to show"
)]
pub enum Log {
    /// Answers after PostgreSQL's commit.
    Direct(DirectLog),
    /// Answers after the append to a Redis Stream.
    Stream(StreamLog),
}

impl Log {
    /// Makes a batch durable.
    ///
    /// # Errors
    /// When nothing is acknowledged: there is no room, or what keeps it is away.
    pub async fn append(&self, batch: Batch) -> Result<Appended, Problem> {
        match self {
            Self::Direct(log) => log.append(batch).await,
            Self::Stream(log) => log.append(batch).await,
        }
    }

    /// How it does, as of the last second.
    #[must_use]
    pub fn health(&self) -> Health {
        match self {
            Self::Direct(_) => Health {
                durability: Some(Durability::Committed),
                partitions: Vec::new(),
            },
            Self::Stream(log) => log.health(),
        }
    }
}

/// The room that batches wait in.
#[derive(Clone)]
struct Room {
    room: Arc<Semaphore>,
    metrics: Metrics,
}

impl Room {
    fn new(metrics: &Metrics) -> Self {
        Self {
            room: Arc::new(Semaphore::new(ROOM_KIB as usize)),
            metrics: metrics.clone(),
        }
    }

    /// Takes room for a batch, as soon as there is some.
    async fn take(&self, batch: &Batch) -> Result<Place, Problem> {
        let weight = weight_kib(batch);
        let room = Arc::clone(&self.room).acquire_many_owned(weight);
        let Ok(Ok(permit)) = tokio::time::timeout(PATIENCE, room).await else {
            return Err(Code::Overloaded.into());
        };
        let gauge = self.metrics.ingest_queue_kib.clone();
        gauge.increment(weight);
        Ok(Place {
            _permit: permit,
            weight,
            gauge,
        })
    }
}

/// What a batch takes of the room, until it is dropped.
struct Place {
    _permit: OwnedSemaphorePermit,
    weight: u32,
    gauge: Gauge,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gauge.decrement(self.weight);
    }
}

/// What a batch takes in memory, roughly, in kibibytes: its texts, and half a kibibyte an event.
fn weight_kib(batch: &Batch) -> u32 {
    let texts = |event: &Event| {
        let optional = [
            &event.page_url,
            &event.user_agent,
            &event.session_id,
            &event.region,
            &event.channel,
            &event.campaign,
            &event.user.username,
            &event.user.email,
        ];
        let optional: usize = optional.into_iter().flatten().map(String::len).sum();
        let link = event.link.as_ref().map_or(0, |link| link.external_id.len());
        let lines = event.order.as_ref().map_or(0, |order| order.lines.len());
        event.properties.len() + event.user.external_id.len() + optional + link + 256 * lines
    };
    let events = batch.events.iter().map(|event| 512 + texts(&event.what));
    let held = batch.held.iter().map(|held| 512 + held.what.payload.len());
    let bytes: usize = events.chain(held).sum();
    let bytes = bytes + 256 * batch.rejected.len();
    u32::try_from(bytes / 1024 + 1)
        .unwrap_or(ROOM_KIB)
        .min(ROOM_KIB)
}

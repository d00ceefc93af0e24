//! Events in: parse → validate → log → store → publish.
//!
//! [`parse`] tells fields apart, [`validate`] judges them, [`log`] makes them durable. Each event
//! is judged on its own: the good ones of a batch are kept. The answer is given when they are
//! durable: committed, or appended to a stream that [`writer`] stores from.
//! HTTP, GraphQL and `tidewater import` all come through [`Ingest::take`]. It may import storage
//! and realtime.

pub mod bots;
pub mod canary;
pub mod erasures;
mod judge;
pub mod log;
pub mod parse;
mod poison;
pub mod properties;
pub mod quarantine;
mod receipts;
pub mod rules;
pub mod schemas;
mod validate;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::{NoContext, Timestamp, Uuid};

use crate::clock::Clock;
use crate::config::IngestConfig;
use crate::domain::batch::{Batch, Placed, Refusal};
use crate::domain::event::Event;
use crate::domain::tenant::Sender;
use crate::error::{Code, Problem};
use crate::storage::Db;
use crate::telemetry::metrics::Metrics;
use canary::{Flight, Perch};
use erasures::Erasures;
use log::stream::Streams;
use log::{Appended, Durability, Log, Written};
use parse::Draft;
use rules::RulesCache;

pub use judge::{Judged, Kept, Rejection, SentId, judge};
pub(crate) use writer::Writer;

/// How many events a batch may hold.
pub const MAX_EVENTS: usize = 2_500;
/// How many bytes a batch may have, unpacked.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;
/// How many bytes an event may have.
pub const MAX_EVENT_BYTES: usize = 32 * 1024;
/// How many bytes of a batch the messages of other protocols may reach to.
pub const MAX_FOREIGN_BYTES: usize = 500 * 1024;

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Stored, durably.
    Accepted,
    /// Stored before; nothing changed.
    Duplicate,
    /// Another content was stored under this id before; that one stays.
    Conflict,
    /// Kept aside, with the reason; it can be replayed.
    Quarantined,
    /// Not kept; sending the same again will not help.
    Rejected,
    /// Taken, durably, but not stored yet: of batches asked for later alone.
    Pending,
}

impl Status {
    /// The word for it in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Conflict => "conflict",
            Self::Quarantined => "quarantined",
            Self::Rejected => "rejected",
            Self::Pending => "pending",
        }
    }
}

/// What the sender gets for one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The sender's id, or the one made; nothing if a rejected event's id could not be read.
    pub event_id: Option<Uuid>,
    /// What became of it.
    pub status: Status,
    /// Why it was not accepted, unless it is a duplicate.
    pub code: Option<Code>,
    /// The same in words.
    pub message: Option<String>,
    /// The offending field.
    pub path: Option<String>,
    /// It is accepted, but happened before the ids began that are still known: had another event
    /// been sent under its id that long ago, that would not be noticed. Not said of batches asked
    /// for later.
    pub outside_window: bool,
}

impl Receipt {
    fn of(event_id: Uuid, written: Written) -> Self {
        let (status, code) = match written {
            Written::Accepted => (Status::Accepted, None),
            Written::Duplicate => (Status::Duplicate, None),
            Written::Conflict => (Status::Conflict, Some(Code::IdConflict)),
            Written::Held => (Status::Quarantined, Some(Code::StorageRejected)),
            Written::Erased => (Status::Rejected, Some(Code::UserErased)),
        };
        Self {
            event_id: Some(event_id),
            status,
            code,
            message: code.map(|code| code.sentence().to_owned()),
            path: None,
            outside_window: false,
        }
    }

    /// With what there is to say of an event that was stored nevertheless.
    fn or_warned(self, warning: Option<Refusal>) -> Self {
        match warning {
            Some(warning) if self.code.is_none() => Self {
                event_id: self.event_id,
                outside_window: self.outside_window,
                ..Self::refused(self.status, warning)
            },
            _ => self,
        }
    }

    fn refused(status: Status, refusal: Refusal) -> Self {
        Self {
            event_id: refusal.event_id,
            status,
            code: Code::from_name(&refusal.code),
            message: Some(refusal.message),
            path: (!refusal.path.is_empty()).then_some(refusal.path),
            outside_window: false,
        }
    }
}

/// What the sender gets for a batch: a receipt for each event, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipts {
    /// Names the batch in logs.
    pub batch_id: Uuid,
    /// What "accepted" is worth.
    pub durability: Durability,
    /// In the order of the events.
    pub receipts: Vec<Receipt>,
}

impl Receipts {
    /// How many events have a status.
    #[must_use]
    pub fn count(&self, status: Status) -> usize {
        self.receipts
            .iter()
            .filter(|receipt| receipt.status == status)
            .count()
    }

    /// How many events happened before the idempotency window.
    #[must_use]
    pub fn count_outside_window(&self) -> usize {
        let outside = |receipt: &&Receipt| receipt.outside_window;
        self.receipts.iter().filter(outside).count()
    }
}

/// Takes batches.
#[derive(Clone)]
#[allow(
    missing_debug_implementations,
    reason = "channels have nothing to show"
)]
pub struct Ingest {
    db: Db,
    log: Log,
    /// For what must be stored, and not only durable, when it is answered.
    writer: Writer,
    rules: RulesCache,
    erasures: Erasures,
    clock: Clock,
    /// How long ids are known.
    window: Duration,
    metrics: Metrics,
    perch: Arc<Perch>,
}

impl Ingest {
    /// An ingest that writes to `log`; `streams` are where events may lie that are not stored.
    #[must_use]
    pub(crate) fn new(
        log: Log,
        writer: Writer,
        clock: Clock,
        config: &IngestConfig,
        streams: Option<Streams>,
    ) -> Self {
        let (db, metrics) = (writer.db.clone(), writer.metrics.clone());
        Self {
            rules: RulesCache::new(db.clone(), metrics.clone(), config.addresses()),
            erasures: Erasures::new(db.clone(), clock.clone(), streams),
            db,
            log,
            writer,
            clock,
            window: config.idempotency_window(),
            metrics,
            perch: Arc::default(),
        }
    }

    /// How the latest canary fared.
    #[must_use]
    pub fn latest_flight(&self) -> Option<Flight> {
        self.perch.latest()
    }

    /// How the log does.
    #[must_use]
    pub fn log_health(&self) -> log::Health {
        self.log.health()
    }

    /// Judges and stores a batch; returns when what is accepted is durable.
    ///
    /// # Errors
    /// When nothing of it was acknowledged and the whole is to be sent again: the queue is full,
    /// or the database away.
    pub async fn take(
        &self,
        sender: &Sender,
        drafts: Vec<Result<Draft<'_>, Rejection>>,
    ) -> Result<Receipts, Problem> {
        let received_at = self.clock.now();
        let mut batch = Batch {
            id: new_id(received_at),
            tenant: sender.tenant,
            zone: sender.zone,
            received_at,
            events: Vec::with_capacity(drafts.len()),
            held: Vec::new(),
            rejected: Vec::new(),
            warnings: Vec::new(),
        };
        let batch_id = batch.id;
        let rules = self.rules.of(sender.tenant).await?;
        let window_began = received_at - self.window;
        let check = |event: &Event| rules.check(event);
        let mut judged = Vec::with_capacity(drafts.len());
        for (position, draft) in (0..).zip(drafts) {
            let spare_id = || new_id(received_at);
            let one = judge(draft, sender, received_at, spare_id, check);
            match rules.bounded(rules.guarded(one)) {
                Judged::Good(what) => {
                    judged.push(Ok((what.id, what.timestamp < window_began, None)));
                    batch.events.push(Placed { position, what });
                }
                Judged::Warned(event, what) => {
                    let is_outside = event.timestamp < window_began;
                    judged.push(Ok((event.id, is_outside, Some(what.clone()))));
                    batch.warnings.push(Placed { position, what });
                    let what = event;
                    batch.events.push(Placed { position, what });
                }
                Judged::Held(what) => {
                    let refusal = what.refusal.clone();
                    judged.push(Err(Receipt::refused(Status::Quarantined, refusal)));
                    batch.held.push(Placed { position, what });
                }
                Judged::Rejected(what) => {
                    judged.push(Err(Receipt::refused(Status::Rejected, what.clone())));
                    batch.rejected.push(Placed { position, what });
                }
            }
        }
        let Appended {
            written,
            durability,
        } = self.log.append(batch).await?;
        let mut written = written.into_iter();
        let receipts = judged.into_iter().map(|judged| match judged {
            Ok((id, is_outside, warning)) => {
                let written = written.next().expect("the log answers for each event");
                let receipt = Receipt {
                    outside_window: is_outside && written == Written::Accepted,
                    ..Receipt::of(id, written)
                };
                receipt.or_warned(warning)
            }
            Err(receipt) => receipt,
        });
        let receipts = Receipts {
            batch_id,
            durability,
            receipts: receipts.collect(),
        };
        self.count(&receipts);
        Ok(receipts)
    }

    /// What takes people out again.
    #[must_use]
    pub fn erasures(&self) -> &Erasures {
        &self.erasures
    }

    /// The log that it writes to.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    fn count(&self, receipts: &Receipts) {
        for (counter, status) in [
            (&self.metrics.events_accepted, Status::Accepted),
            (&self.metrics.events_duplicate, Status::Duplicate),
            (&self.metrics.events_conflict, Status::Conflict),
            (&self.metrics.events_quarantined, Status::Quarantined),
            (&self.metrics.events_rejected, Status::Rejected),
        ] {
            counter.increment(receipts.count(status) as u64);
        }
    }
}

/// A new id that sorts by time.
fn new_id(at: DateTime<Utc>) -> Uuid {
    let seconds = u64::try_from(at.timestamp()).unwrap_or(0);
    Uuid::new_v7(Timestamp::from_unix(
        NoContext,
        seconds,
        at.timestamp_subsec_nanos(),
    ))
}

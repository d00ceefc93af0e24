//! How ingest does.

use async_graphql::SimpleObject;
use chrono::{DateTime, Utc};

use crate::ingest::canary::Flight;
use crate::ingest::log::{Health, PartitionHealth};
use crate::reports::ingest::TenantIntake;

/// How ingest does, as this server sees it.
#[derive(SimpleObject)]
pub(in crate::graphql) struct IngestHealth {
    /// What an acknowledgement is worth: `committed` (in the database), or of a stream `always` (on
    /// Redis' disk), `everysec` (on it within two seconds) or `none`. Nothing while Redis has not
    /// said.
    durability: Option<&'static str>,
    /// What is acknowledged and not stored yet, stream by stream; empty where events are
    /// acknowledged when they are stored.
    partitions: Vec<PartitionLag>,
    /// The latest time of a stored event of the tenant.
    watermark: Option<DateTime<Utc>>,
    /// Seconds since the tenant's newest stored event was received.
    watermark_age_seconds: Option<f64>,
    /// How many of the tenant's events are in quarantine; 10,000 stands for more, too.
    quarantined: i64,
    /// How many types of events the tenant has; 1,000 at the most.
    event_types: i64,
    /// The latest event of the server's own, timed on its way; nothing before the first.
    canary: Option<Canary>,
}

/// What waits in a stream.
#[derive(SimpleObject)]
struct PartitionLag {
    /// Which.
    partition: u16,
    /// Events.
    events: u64,
    /// Their bytes.
    bytes: u64,
    /// Seconds since the oldest of them was acknowledged; 0 if there is none.
    seconds: f64,
    /// Packets of events that could not be stored and lie aside.
    dead: u64,
}

/// An event of the server's own.
#[derive(SimpleObject)]
struct Canary {
    /// When it was sent.
    sent_at: DateTime<Utc>,
    /// How many seconds it took until a question found it; nothing if it did not arrive within 30.
    seconds: Option<f64>,
}

impl IngestHealth {
    pub(in crate::graphql) fn new(
        log: Health,
        canary: Option<Flight>,
        intake: TenantIntake,
    ) -> Self {
        let lag = |partition: PartitionHealth| PartitionLag {
            partition: partition.partition,
            events: partition.events,
            bytes: partition.bytes,
            seconds: partition.oldest_seconds,
            dead: partition.dead,
        };
        Self {
            durability: log.durability.map(crate::ingest::log::Durability::name),
            partitions: log.partitions.into_iter().map(lag).collect(),
            watermark: intake.watermark,
            watermark_age_seconds: intake.age_seconds,
            quarantined: intake.quarantined,
            event_types: intake.event_types,
            canary: canary.map(|flight| Canary {
                sent_at: flight.sent_at,
                seconds: flight.took.map(|took| took.as_secs_f64()),
            }),
        }
    }
}

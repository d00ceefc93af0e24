//! A batch of events on its way into the database: what its sender's events were judged to be.
//!
//! It is whole in itself and can be written to a log: whoever reads it there needs nothing else to
//! store it.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::event::Event;
use super::person::shown;
use super::tenant::TenantId;

/// What one request brought, or a part of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Batch {
    /// Version 7: begins with the time of receipt.
    pub id: Uuid,
    /// Whose events.
    pub tenant: TenantId,
    /// The tenant's time zone, whose days users are counted by.
    pub zone: Tz,
    /// When the server took them.
    pub received_at: DateTime<Utc>,
    /// Those that can be stored.
    pub events: Vec<Placed<Event>>,
    /// Those that are kept aside.
    pub held: Vec<Placed<Held>>,
    /// Those that are not kept.
    pub rejected: Vec<Placed<Refusal>>,
    /// What is to be said of events that are stored nevertheless.
    pub warnings: Vec<Placed<Refusal>>,
}

/// Something of a batch, and where in the batch it was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed<T> {
    /// From 0.
    pub position: u32,
    /// What.
    pub what: T,
}

/// How an event was written by its sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// In our own words.
    #[default]
    Native,
    /// As a message of the Segment tracking API.
    Segment,
    /// As an event of PostHog's batch API.
    Posthog,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 3] = [Self::Native, Self::Segment, Self::Posthog];

    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Segment => "segment",
            Self::Posthog => "posthog",
        }
    }
}

/// An event that goes to quarantine: it breaks a rule, and is kept as it was sent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Follows from what was sent: the same sent again is held once.
    pub quarantine_id: Uuid,
    /// How the payload is to be read.
    pub protocol: Protocol,
    /// The event's JSON as it was sent.
    pub payload: String,
    /// What it says of its type, if that can be told.
    pub event_type: Option<String>,
    /// Why.
    pub refusal: Refusal,
}

shown!(Held as "Held" { quarantine_id, protocol, event_type, refusal });

/// Why an event is not stored as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The event's id if it could be read.
    pub event_id: Option<Uuid>,
    /// The name of a code of the table.
    pub code: String,
    /// The offending field, as in `lines[0].amount`; empty for the event as a whole.
    pub path: String,
    /// The same in words.
    pub message: String,
}

/// What became of an event, as receipts keep it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fate {
    /// Stored.
    Accepted = 0,
    /// Stored before; nothing changed.
    Duplicate = 1,
    /// Another content was stored under its id before; that one stays.
    Conflict = 2,
    /// Not kept.
    Rejected = 3,
    /// Kept aside.
    Quarantined = 4,
}

impl Fate {
    /// What a receipt takes: the position (4 bytes, big endian), the id (16, zero if there is
    /// none), and the fate (1).
    pub const BYTES: usize = 21;

    /// The fate that a byte stands for.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Accepted,
            1 => Self::Duplicate,
            2 => Self::Conflict,
            3 => Self::Rejected,
            4 => Self::Quarantined,
            _ => return None,
        })
    }
}

//! Quarantined events, and what becomes of them.

use async_graphql::{Enum, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::node::{Kind, global_id};
use super::range::TimeRangeInput;
use crate::error::{Code, Problem};
use crate::ingest::quarantine::{self as ingest, QuarantineFilter};
use crate::storage::entity::quarantine;

/// How many values a filter may list.
const MAX_LISTED: usize = 50;

/// What became of a quarantined event.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
#[graphql(remote = "quarantine::State")]
pub(in crate::graphql) enum QuarantineState {
    /// It waits for somebody to decide.
    Held,
    /// It was stored, as it was or mended.
    Replayed,
    /// Somebody decided that it is not wanted.
    Discarded,
}

/// An event in quarantine.
pub(in crate::graphql) struct QuarantinedEvent(quarantine::Model);

impl From<quarantine::Model> for QuarantinedEvent {
    fn from(row: quarantine::Model) -> Self {
        Self(row)
    }
}

/// An event that could not be stored as it was, kept as it was sent.
#[Object]
impl QuarantinedEvent {
    /// Names it among all that there is: `node` finds it again.
    pub(super) async fn id(&self) -> ID {
        global_id(Kind::QuarantinedEvent, &self.0.quarantine_id)
    }

    /// Names it here.
    async fn quarantine_id(&self) -> Uuid {
        self.0.quarantine_id
    }

    /// When the server took it, the first time.
    async fn received_at(&self) -> DateTime<Utc> {
        self.0.received_at
    }

    /// The batch that brought it.
    async fn batch_id(&self) -> Uuid {
        self.0.batch_id
    }

    /// How the payload is to be read: `native`, `segment` or `posthog`.
    async fn protocol(&self) -> &str {
        &self.0.protocol
    }

    /// The id that its sender gave it, if it could be read.
    async fn event_id(&self) -> Option<Uuid> {
        self.0.event_id
    }

    /// What it says of its type, if that can be told.
    #[graphql(name = "type")]
    async fn event_type(&self) -> Option<&str> {
        self.0.event_type.as_deref()
    }

    /// Why it is here, from the table of codes.
    async fn code(&self) -> &str {
        &self.0.code
    }

    /// The offending field, as in `properties.price`; nothing for the event as a whole.
    async fn path(&self) -> Option<&str> {
        Some(self.0.path.as_str()).filter(|path| !path.is_empty())
    }

    /// The same in words.
    async fn message(&self) -> &str {
        &self.0.message
    }

    /// The event's JSON as it was sent.
    async fn payload(&self) -> &str {
        &self.0.payload
    }

    /// What became of it.
    async fn state(&self) -> QuarantineState {
        self.0.state.into()
    }

    /// Since when.
    async fn state_at(&self) -> DateTime<Utc> {
        self.0.state_at
    }
}

/// Which quarantined events; what is absent does not narrow the list.
#[derive(Default, InputObject)]
#[graphql(name = "QuarantineFilter")]
pub(in crate::graphql) struct QuarantineFilterInput {
    /// Of which any of these became.
    states: Option<Vec<QuarantineState>>,
    /// That are here for any of these codes: at most 50.
    codes: Option<Vec<String>>,
    /// Of any of these types: at most 50.
    event_types: Option<Vec<String>>,
    /// Received within this range.
    range: Option<TimeRangeInput>,
}

impl TryFrom<QuarantineFilterInput> for QuarantineFilter {
    type Error = Problem;

    fn try_from(input: QuarantineFilterInput) -> Result<Self, Problem> {
        let states = |states: Vec<QuarantineState>| states.into_iter().map(Into::into).collect();
        Ok(Self {
            ids: None,
            states: input.states.map(states),
            codes: words(input.codes, "codes")?,
            event_types: words(input.event_types, "eventTypes")?,
            range: input.range.map(TryInto::try_into).transpose()?,
        })
    }
}

/// PostgreSQL refuses a NUL in a text; no stored word has one.
fn words(words: Option<Vec<String>>, name: &str) -> Result<Option<Vec<String>>, Problem> {
    let unfit = |words: &Vec<String>| {
        words.len() > MAX_LISTED || words.iter().any(|word| word.contains('\0'))
    };
    if words.as_ref().is_some_and(unfit) {
        let detail = format!("`{name}` lists at most {MAX_LISTED} words.");
        return Err(Problem::with(Code::InvalidFilter, detail));
    }
    Ok(words)
}

/// The events that are meant: these, or those that pass the filter.
pub(in crate::graphql) fn selection(
    ids: Option<Vec<Uuid>>,
    filter: Option<QuarantineFilterInput>,
) -> Result<QuarantineFilter, Problem> {
    match (ids, filter) {
        (Some(ids), None) if ids.len() <= ingest::MAX_AT_ONCE => Ok(QuarantineFilter {
            ids: Some(ids),
            ..QuarantineFilter::default()
        }),
        (None, Some(filter)) => filter.try_into(),
        (Some(_), None) => {
            let detail = format!("`ids` lists at most {} events.", ingest::MAX_AT_ONCE);
            Err(Problem::with(Code::InvalidFilter, detail))
        }
        _ => {
            let detail = "Give either `ids` or `filter`.";
            Err(Problem::with(Code::InvalidFilter, detail))
        }
    }
}

/// What became of an event that was to be replayed.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
#[graphql(remote = "ingest::ReplayStatus")]
pub(in crate::graphql) enum ReplayStatus {
    /// Stored, durably.
    Accepted,
    /// Stored before: by an earlier replay, or because its sender sent it again.
    Duplicate,
    /// It would be stored: nothing was done, for this was a dry run.
    Passes,
    /// Another content was stored under its id before; it stays in quarantine.
    Conflict,
    /// It still breaks a rule, this one; it stays in quarantine.
    Held,
    /// It is of before its user was erased, and is not stored.
    Erased,
    /// Nothing is held under this id: it was replayed or discarded before, or never was here.
    NotHeld,
}

/// What became of one event that was to be replayed.
#[derive(SimpleObject)]
pub(in crate::graphql) struct ReplayedEvent {
    /// Names it in quarantine.
    quarantine_id: Uuid,
    /// What became of it.
    status: ReplayStatus,
    /// Why it stays, or what there is to say though it was stored; from the table of codes.
    code: Option<String>,
    /// The offending field.
    path: Option<String>,
    /// The same in words.
    message: Option<String>,
    /// The id it is stored under.
    event_id: Option<Uuid>,
}

impl From<ingest::Replayed> for ReplayedEvent {
    fn from(replayed: ingest::Replayed) -> Self {
        let (code, path, message) = match replayed.note {
            Some(note) => (Some(note.code), Some(note.path), Some(note.message)),
            None => (None, None, None),
        };
        Self {
            quarantine_id: replayed.quarantine_id,
            status: replayed.status.into(),
            code,
            path: path.filter(|path| !path.is_empty()),
            message,
            event_id: replayed.event_id,
        }
    }
}

/// What became of the events that were to be replayed.
#[derive(SimpleObject)]
pub(in crate::graphql) struct ReplayQuarantinedPayload {
    /// How many are stored now.
    pub(in crate::graphql) replayed: usize,
    /// One for each, the oldest first.
    pub(in crate::graphql) results: Vec<ReplayedEvent>,
    /// How many that are held were not looked at: replay again with `after`.
    pub(in crate::graphql) left: u64,
    /// The last that was looked at.
    pub(in crate::graphql) end_cursor: Option<String>,
}

/// What was discarded.
#[derive(SimpleObject)]
pub(in crate::graphql) struct DiscardQuarantinedPayload {
    /// How many events.
    pub(in crate::graphql) discarded: u64,
    /// How many more are held that were meant: discard again.
    pub(in crate::graphql) left: u64,
}

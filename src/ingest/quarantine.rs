//! Out of quarantine: held events are stored after all, mended or not, or marked as not wanted.
//!
//! A replayed event goes the way of every other: parse, judge, rules, writer. It is judged as of the
//! time it first came, so that clocks are corrected alike, and an event without an id has that of
//! its row. So a replay that is done again, or was cut off before it was noted down, finds a
//! duplicate.

mod patch;

use std::collections::HashSet;

use serde_json::Value;
use uuid::Uuid;

use super::log::Written;
use super::parse::parse_one;
use super::rules::Rules;
use super::writer::Lot;
use super::{Ingest, Judged, judge, new_id};
use crate::domain::audit::Actor;
use crate::domain::batch::{Batch, Placed, Protocol, Refusal};
use crate::domain::event::Event;
use crate::domain::tenant::{Sender, TenantId};
use crate::error::{Code, Problem};
use crate::storage::entity::quarantine;
use crate::storage::queries::page::{KeyPart, Paged};
use crate::storage::queries::quarantine::{count_held, oldest_held};
use crate::storage::writes::quarantine::{discard, mark_replayed};

pub use crate::storage::queries::quarantine::QuarantineFilter;

/// How many events are replayed or discarded at once.
pub const MAX_AT_ONCE: usize = 1_000;
/// How many of them are in memory at a time.
const PAGE: usize = 250;

/// What to replay, and how.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Which events, of those that are held.
    pub filter: QuarantineFilter,
    /// Only those behind this place.
    pub after: Option<Vec<KeyPart>>,
    /// Mends each payload first: a JSON merge patch (RFC 7396).
    pub patch: Option<Value>,
    /// Stores nothing.
    pub dry_run: bool,
}

/// What became of the events that were to be replayed.
#[derive(Clone, Debug)]
pub struct ReplayOutcome {
    /// One for each, the oldest first.
    pub results: Vec<Replayed>,
    /// How many lie behind the last of them.
    pub left: u64,
    /// The place of the last of them.
    pub end: Option<Vec<KeyPart>>,
}

impl ReplayOutcome {
    /// How many are stored now.
    #[must_use]
    pub fn replayed(&self) -> usize {
        let stored = self.results.iter().filter(|one| one.status.is_stored());
        stored.count()
    }
}

/// What became of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Names it in quarantine.
    pub quarantine_id: Uuid,
    /// What became of it.
    pub status: ReplayStatus,
    /// Why it stays, or what there is to say though it was stored.
    pub note: Option<Refusal>,
    /// The id it is stored under.
    pub event_id: Option<Uuid>,
}

/// What became of an event that was to be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayStatus {
    /// Stored, durably.
    Accepted,
    /// Stored before.
    Duplicate,
    /// It would be stored.
    Passes,
    /// Another content was stored under its id before.
    Conflict,
    /// It still breaks a rule.
    Held,
    /// It is of before its user was erased, and is not stored.
    Erased,
    /// Nothing is held under this id.
    NotHeld,
}

impl ReplayStatus {
    fn is_stored(self) -> bool {
        matches!(self, Self::Accepted | Self::Duplicate)
    }
}

/// An event that passes, and what there is to say of it nevertheless.
type Passing = (Event, Option<Refusal>);

impl Ingest {
    /// Stores held events after all, the oldest first, [`MAX_AT_ONCE`] at the most. Those that still
    /// break a rule stay, with the reason they came for.
    ///
    /// # Errors
    /// A cursor of another list, or that the queue is full or the database away: then some may have
    /// been replayed, and doing it again is safe.
    pub async fn replay(
        &self,
        sender: &Sender,
        replay: Replay,
        actor: &Actor,
    ) -> Result<ReplayOutcome, Problem> {
        if let Some(place) = &replay.after
            && !quarantine::Entity::fits(place)
        {
            return Err(Code::InvalidCursor.into());
        }
        let (db, tenant) = (self.db.reads(), sender.tenant);
        let rules = self.rules.of(tenant).await?;
        let mut end = replay.after.clone();
        let mut results = Vec::new();
        while results.len() < MAX_AT_ONCE {
            let rows = oldest_held(db, tenant, &replay.filter, end.as_deref(), PAGE as u64).await?;
            let Some(last) = rows.last() else { break };
            end = Some(quarantine::Entity::place(last));
            let is_last = rows.len() < PAGE;
            results.extend(
                self.replay_page((sender, actor), &rules, &replay, rows)
                    .await?,
            );
            if is_last {
                break;
            }
        }
        let left = count_held(db, tenant, &replay.filter, end.as_deref()).await?;
        if replay.after.is_none() {
            let asked = replay.filter.ids.unwrap_or_default();
            results.extend(not_held(&asked, &results));
        }
        Ok(ReplayOutcome { results, left, end })
    }

    async fn replay_page(
        &self,
        (sender, actor): (&Sender, &Actor),
        rules: &Rules,
        replay: &Replay,
        rows: Vec<quarantine::Model>,
    ) -> Result<Vec<Replayed>, Problem> {
        let mut results = Vec::with_capacity(rows.len());
        let mut passing = Vec::new();
        for row in rows {
            let read = read(&row, sender, rules, replay);
            let (status, note, event_id) = match read {
                Ok((event, note)) => {
                    let event_id = event.id;
                    passing.push((results.len(), event, note.clone()));
                    (ReplayStatus::Passes, note, Some(event_id))
                }
                Err(refusal) => {
                    let event_id = refusal.event_id;
                    (ReplayStatus::Held, Some(refusal), event_id)
                }
            };
            results.push(Replayed {
                quarantine_id: row.quarantine_id,
                status,
                note,
                event_id,
            });
        }
        if replay.dry_run || passing.is_empty() {
            return Ok(results);
        }
        let places: Vec<usize> = passing.iter().map(|(n, ..)| *n).collect();
        let passing = passing.into_iter().map(|(_, event, note)| (event, note));
        let written = self.store_passing(sender, passing).await?;
        for (n, written) in places.into_iter().zip(written) {
            results[n].became(written);
        }
        let accepted = results
            .iter()
            .filter(|one| one.status == ReplayStatus::Accepted);
        self.metrics
            .events_accepted
            .increment(accepted.count() as u64);
        let stored = results.iter().filter(|one| one.status.is_stored());
        let stored: Vec<Uuid> = stored.map(|one| one.quarantine_id).collect();
        let count = stored.len() as u64;
        let (patched, by) = (replay.patch.is_some(), (actor, self.clock.now()));
        mark_replayed(self.db.control(), sender.tenant, stored, patched, by).await?;
        self.rules.released(sender.tenant, count).await;
        Ok(results)
    }

    /// Stores events, past any stream: an event may leave quarantine once it is known to be stored,
    /// and not before. The answers are in their order.
    async fn store_passing(
        &self,
        sender: &Sender,
        passing: impl Iterator<Item = Passing>,
    ) -> Result<Vec<Written>, Problem> {
        // The buckets that they fall in change now, not when they first came.
        let received_at = self.clock.now();
        let mut batch = Batch {
            id: new_id(received_at),
            tenant: sender.tenant,
            zone: sender.zone,
            received_at,
            events: Vec::new(),
            held: Vec::new(),
            rejected: Vec::new(),
            warnings: Vec::new(),
        };
        for (position, (event, note)) in (0..).zip(passing) {
            batch.events.push(Placed {
                position,
                what: event,
            });
            let warnings = note.map(|what| Placed { position, what });
            batch.warnings.extend(warnings);
        }
        let written = self.writer.write(&[&Lot::of(batch)]).await;
        let written = written.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(written.into_iter().flatten().collect())
    }

    /// Marks held events as not wanted, the oldest first, [`MAX_AT_ONCE`] at the most; says how
    /// many, and how many more there are.
    ///
    /// # Errors
    /// That the database is away.
    pub async fn discard(
        &self,
        tenant: TenantId,
        filter: &QuarantineFilter,
        actor: &Actor,
    ) -> Result<(u64, u64), Problem> {
        let (db, by) = (self.db.control(), (actor, self.clock.now()));
        let discarded = discard(db, tenant, filter, MAX_AT_ONCE as u64, by).await?;
        self.rules.released(tenant, discarded).await;
        let left = count_held(self.db.control(), tenant, filter, None).await?;
        Ok((discarded, left))
    }
}

impl Replayed {
    /// Takes note of what the log said.
    fn became(&mut self, written: Written) {
        let (status, code) = match written {
            Written::Accepted => (ReplayStatus::Accepted, None),
            Written::Duplicate => (ReplayStatus::Duplicate, None),
            Written::Conflict => (ReplayStatus::Conflict, Some(Code::IdConflict)),
            Written::Held => (ReplayStatus::Held, Some(Code::StorageRejected)),
            Written::Erased => (ReplayStatus::Erased, Some(Code::UserErased)),
        };
        self.status = status;
        if let Some(code) = code {
            self.note = Some(refusal(code, self.event_id));
        }
    }
}

/// Reads and judges a held event as it would be if it came now, but for the time.
fn read(
    row: &quarantine::Model,
    sender: &Sender,
    rules: &Rules,
    replay: &Replay,
) -> Result<Passing, Refusal> {
    let protocol = Protocol::ALL.into_iter();
    let protocol = protocol.into_iter().find(|one| one.name() == row.protocol);
    let protocol = protocol.ok_or_else(|| refusal(Code::Internal, row.event_id))?;
    let mended = replay
        .patch
        .as_ref()
        .map(|patch| patch::merged(&row.payload, patch));
    let payload = mended.as_deref().unwrap_or(&row.payload);
    let draft = parse_one(protocol, payload);
    let check = |event: &Event| {
        if replay.dry_run {
            rules.preview(event)
        } else {
            rules.check(event)
        }
    };
    let judged = judge(draft, sender, row.received_at, || row.quarantine_id, check);
    match rules.guarded(judged) {
        Judged::Good(event) => Ok((event, None)),
        Judged::Warned(event, note) => Ok((event, Some(note))),
        Judged::Held(held) => Err(held.refusal),
        Judged::Rejected(refusal) => Err(refusal),
    }
}

fn refusal(code: Code, event_id: Option<Uuid>) -> Refusal {
    Refusal {
        event_id,
        code: code.name().to_owned(),
        path: String::new(),
        message: code.sentence().to_owned(),
    }
}

/// Those of the ids that were asked for and are not among the results.
fn not_held(asked: &[Uuid], results: &[Replayed]) -> Vec<Replayed> {
    let mut seen: HashSet<Uuid> = results.iter().map(|one| one.quarantine_id).collect();
    let unknown = asked.iter().filter(|id| seen.insert(**id));
    let unknown = unknown.map(|id| Replayed {
        quarantine_id: *id,
        status: ReplayStatus::NotHeld,
        note: None,
        event_id: None,
    });
    unknown.collect()
}

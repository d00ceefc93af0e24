//! Stores what comes with events: the words they use for the first time, what is quarantined, and
//! the receipts.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use sea_orm::sqlx;
use serde_json::{Value, json};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use super::erased::Erased;
use super::seen::Seen;
use super::{Incoming, Outcome, Transaction, Work};
use crate::domain::batch::{Batch, Fate, Held, Placed, Refusal};
use crate::domain::tenant::TenantId;
use crate::error::Code;
use crate::storage::StorageError;

/// How many words a process remembers before it starts anew.
const MEMORY: usize = 100_000;

/// A type of events, or a program that users have.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Word {
    EventType(String),
    UserAgent { text: String, bot: bool },
}

/// The words that are stored, as far as this process has seen: their hashes.
#[derive(Debug, Default)]
pub(super) struct SeenWords(Mutex<Seen<u64>>);

/// Words to store, and the hashes to remember them by.
#[derive(Debug, Default)]
pub(super) struct NewWords {
    words: BTreeMap<(TenantId, Word), DateTime<Utc>>,
    hashes: Vec<u64>,
}

/// Names a user agent.
pub(super) fn user_agent_id(text: &str) -> i64 {
    xxh3_64(text.as_bytes()).cast_signed()
}

impl SeenWords {
    /// The words of a batch that are not known to be stored.
    pub(super) fn unseen(&self, version: i64, batch: &[Incoming<'_>]) -> NewWords {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.at(version);
        let is_seen = |hash: &u64| seen.as_ref().is_some_and(|seen| seen.contains(hash));
        let mut new = NewWords::default();
        let mut hashes = HashSet::new();
        for incoming in batch {
            let (event, tenant) = (incoming.event, incoming.tenant());
            let salt = u64::from(tenant.0.unsigned_abs());
            let event_type = event.event_type.as_str();
            let hash = xxhash_rust::xxh3::xxh3_64_with_seed(event_type.as_bytes(), salt);
            if !is_seen(&hash) && hashes.insert(hash) {
                let word = Word::EventType(event_type.to_owned());
                new.words.insert((tenant, word), incoming.received_at());
            }
            if let Some(text) = &event.user_agent {
                let hash = xxhash_rust::xxh3::xxh3_64_with_seed(text.as_bytes(), !salt);
                if !is_seen(&hash) && hashes.insert(hash) {
                    let word = Word::UserAgent {
                        text: text.clone(),
                        bot: incoming.bot,
                    };
                    new.words.insert((tenant, word), incoming.received_at());
                }
            }
        }
        new.hashes = hashes.into_iter().collect();
        new
    }

    /// Remembers words that are committed.
    pub(super) fn remember(&self, version: i64, words: NewWords) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(seen) = seen.at(version) else {
            return;
        };
        if seen.len() + words.hashes.len() > MEMORY {
            seen.clear();
        }
        seen.extend(words.hashes);
    }

    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Seen::default();
    }
}

/// Notes the places that the batches have in their streams; says whether all of them are new. Where
/// one is not, another worker has stored it, and nothing of this may be.
pub(super) async fn place(
    transaction: &mut Transaction,
    work: &[Work<'_>],
) -> Result<bool, StorageError> {
    let entries: BTreeSet<_> = work.iter().filter_map(|work| work.entry).collect();
    if entries.is_empty() {
        return Ok(true);
    }
    let streams: Vec<&str> = entries.iter().map(|entry| entry.stream.as_str()).collect();
    let ids: Vec<&str> = entries
        .iter()
        .map(|entry| entry.entry_id.as_str())
        .collect();
    let placed = sqlx::query(
        "INSERT INTO stream_entry (stream, entry_id)
         SELECT * FROM unnest($1::text[], $2::text[])
         ON CONFLICT DO NOTHING",
    )
    .bind(streams)
    .bind(ids)
    .execute(&mut **transaction)
    .await?;
    Ok(placed.rows_affected() == entries.len() as u64)
}

/// Stores words, what is held, and the receipts.
pub(super) async fn store(
    transaction: &mut Transaction,
    words: &NewWords,
    work: &[Work<'_>],
    outcomes: &[Outcome],
    erased: &Erased,
) -> Result<(), StorageError> {
    store_words(transaction, words).await?;
    hold(transaction, work, erased).await?;
    store_receipts(transaction, work, outcomes).await
}

async fn store_words(transaction: &mut Transaction, new: &NewWords) -> Result<(), StorageError> {
    let (mut types, mut agents) = (Vec::new(), Vec::new());
    for ((tenant, word), at) in &new.words {
        match word {
            Word::EventType(text) => types.push((tenant.0, text, *at)),
            Word::UserAgent { text, bot } => agents.push((tenant.0, text, *bot)),
        }
    }
    if !types.is_empty() {
        sqlx::query(
            "INSERT INTO event_type (tenant_id, event_type, first_seen)
             SELECT * FROM unnest($1::integer[], $2::text[], $3::timestamptz[])
             ON CONFLICT DO NOTHING",
        )
        .bind(types.iter().map(|(tenant, ..)| *tenant).collect::<Vec<_>>())
        .bind(
            types
                .iter()
                .map(|(_, text, _)| text.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(types.iter().map(|(.., at)| *at).collect::<Vec<_>>())
        .execute(&mut **transaction)
        .await?;
    }
    if !agents.is_empty() {
        // In the order of the key.
        agents.sort_by_key(|(tenant, text, _)| (*tenant, user_agent_id(text)));
        sqlx::query(
            "INSERT INTO user_agent (tenant_id, user_agent_id, user_agent, bot)
             SELECT * FROM unnest($1::integer[], $2::bigint[], $3::text[], $4::boolean[])
             ON CONFLICT DO NOTHING",
        )
        .bind(
            agents
                .iter()
                .map(|(tenant, ..)| *tenant)
                .collect::<Vec<_>>(),
        )
        .bind(
            agents
                .iter()
                .map(|(_, text, _)| user_agent_id(text))
                .collect::<Vec<_>>(),
        )
        .bind(
            agents
                .iter()
                .map(|(_, text, _)| text.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(agents.iter().map(|(.., bot)| *bot).collect::<Vec<_>>())
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

/// Puts events into quarantine; those that are there already stay as they are, and those that name
/// somebody who was erased since they came are not kept.
async fn hold(
    transaction: &mut Transaction,
    work: &[Work<'_>],
    erased: &Erased,
) -> Result<(), StorageError> {
    // By key; the first of those that were sent alike.
    let mut held = BTreeMap::new();
    for Work { batch, .. } in work {
        let kept = |one: &&Placed<Held>| !erased.has_held(batch, &one.what);
        for one in batch.held.iter().filter(kept) {
            let key = (batch.tenant, one.what.quarantine_id);
            held.entry(key).or_insert((*batch, &one.what));
        }
    }
    if held.is_empty() {
        return Ok(());
    }
    let batches = || held.values().map(|(batch, _)| *batch);
    let what = || held.values().map(|(_, held)| *held);
    let why = || what().map(|held| &held.refusal);
    sqlx::query(
        "INSERT INTO quarantine (tenant_id, quarantine_id, received_at, state_at, batch_id,
                                 protocol, event_id, event_type, code, path, message, payload)
         SELECT * FROM unnest($1::integer[], $2::uuid[], $3::timestamptz[], $3::timestamptz[],
                              $4::uuid[], $5::text[], $6::uuid[], $7::text[], $8::text[],
                              $9::text[], $10::text[], $11::text[])
         ON CONFLICT DO NOTHING",
    )
    .bind(held.keys().map(|(tenant, _)| tenant.0).collect::<Vec<_>>())
    .bind(held.keys().map(|(_, id)| *id).collect::<Vec<_>>())
    .bind(batches().map(|batch| batch.received_at).collect::<Vec<_>>())
    .bind(batches().map(|batch| batch.id).collect::<Vec<_>>())
    .bind(what().map(|held| held.protocol.name()).collect::<Vec<_>>())
    .bind(why().map(|why| why.event_id).collect::<Vec<_>>())
    .bind(
        what()
            .map(|held| held.event_type.as_deref())
            .collect::<Vec<_>>(),
    )
    .bind(why().map(|why| why.code.as_str()).collect::<Vec<_>>())
    .bind(why().map(|why| why.path.as_str()).collect::<Vec<_>>())
    .bind(why().map(|why| why.message.as_str()).collect::<Vec<_>>())
    .bind(what().map(|held| held.payload.as_str()).collect::<Vec<_>>())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

async fn store_receipts(
    transaction: &mut Transaction,
    work: &[Work<'_>],
    outcomes: &[Outcome],
) -> Result<(), StorageError> {
    let mut rest = outcomes;
    let mut rows = BTreeMap::new();
    for Work { batch, .. } in work {
        let (own, others) = rest.split_at(batch.events.len());
        rest = others;
        let part = first_position(batch);
        let part = i32::try_from(part).unwrap_or(i32::MAX);
        rows.insert((batch.id, part), (*batch, own));
    }
    let tenants: Vec<i32> = rows.values().map(|(batch, _)| batch.tenant.0).collect();
    let ids: Vec<Uuid> = rows.keys().map(|(id, _)| *id).collect();
    let parts: Vec<i32> = rows.keys().map(|(_, part)| *part).collect();
    let received: Vec<DateTime<Utc>> = rows.values().map(|(batch, _)| batch.received_at).collect();
    let (bytes, notes): (Vec<Vec<u8>>, Vec<Value>) = rows
        .values()
        .map(|(batch, outcomes)| (outcome_bytes(batch, outcomes), notes(batch, outcomes)))
        .unzip();
    // A batch of a stream that is stored again keeps its first receipts.
    sqlx::query(
        "INSERT INTO receipt (tenant_id, batch_id, part, received_at, outcomes, notes)
         SELECT * FROM unnest($1::integer[], $2::uuid[], $3::integer[], $4::timestamptz[],
                              $5::bytea[], $6::jsonb[])
         ON CONFLICT DO NOTHING",
    )
    .bind(tenants)
    .bind(ids)
    .bind(parts)
    .bind(received)
    .bind(bytes)
    .bind(notes)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Where a part of a batch begins: no other part of it has an event there.
fn first_position(batch: &Batch) -> u32 {
    let events = batch.events.iter().map(|event| event.position);
    let held = batch.held.iter().map(|held| held.position);
    let rejected = batch.rejected.iter().map(|refused| refused.position);
    events.chain(held).chain(rejected).min().unwrap_or(0)
}

fn outcome_bytes(batch: &Batch, outcomes: &[Outcome]) -> Vec<u8> {
    let size = outcomes.len() + batch.held.len() + batch.rejected.len();
    let mut bytes = Vec::with_capacity(size * Fate::BYTES);
    let mut push = |position: u32, id: Option<Uuid>, fate: Fate| {
        bytes.extend_from_slice(&position.to_be_bytes());
        bytes.extend_from_slice(id.unwrap_or_default().as_bytes());
        bytes.push(fate as u8);
    };
    for (event, outcome) in batch.events.iter().zip(outcomes) {
        let fate = match outcome {
            Outcome::Accepted => Fate::Accepted,
            Outcome::Duplicate => Fate::Duplicate,
            Outcome::Conflict => Fate::Conflict,
            Outcome::Erased => Fate::Rejected,
        };
        push(event.position, Some(event.what.id), fate);
    }
    for held in &batch.held {
        push(held.position, held.what.refusal.event_id, Fate::Quarantined);
    }
    for refused in &batch.rejected {
        push(refused.position, refused.what.event_id, Fate::Rejected);
    }
    bytes
}

/// What the receipts that are not good say besides.
fn notes(batch: &Batch, outcomes: &[Outcome]) -> Value {
    let note = |position: u32, refusal: &Refusal| {
        json!({
            "position": position,
            "code": refusal.code,
            "path": refusal.path,
            "message": refusal.message,
        })
    };
    let conflicts = batch
        .events
        .iter()
        .zip(outcomes)
        .filter_map(|(event, outcome)| {
            let code = match outcome {
                Outcome::Conflict => Some(Code::IdConflict),
                Outcome::Erased => Some(Code::UserErased),
                Outcome::Accepted | Outcome::Duplicate => None,
            };
            code.map(|code| {
                json!({
                    "position": event.position,
                    "code": code.name(),
                    "path": "",
                    "message": code.sentence(),
                })
            })
        });
    let held = batch
        .held
        .iter()
        .map(|one| note(one.position, &one.what.refusal));
    let rejected = batch
        .rejected
        .iter()
        .map(|one| note(one.position, &one.what));
    let warnings = batch
        .warnings
        .iter()
        .map(|one| note(one.position, &one.what));
    conflicts
        .chain(held)
        .chain(rejected)
        .chain(warnings)
        .collect()
}

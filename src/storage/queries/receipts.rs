//! What became of a batch? By the key of `receipt`, whose batch id tells the partition.

use std::collections::BTreeMap;

use sea_orm::{DatabaseConnection, DbBackend, FromQueryResult, JsonValue, Statement};
use serde::Deserialize;
use uuid::Uuid;

use crate::domain::batch::Fate;
use crate::domain::tenant::TenantId;
use crate::error::Code;
use crate::storage::StorageError;

/// What is known of one event of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Nil if it could not be read.
    pub event_id: Uuid,
    /// What became of it.
    pub fate: Fate,
    /// Why, where there is something to say.
    pub note: Option<Note>,
}

/// Why an event became what it did.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Note {
    /// Where in the batch it was sent, from 0.
    position: u32,
    /// The name of a code of the table.
    pub code: String,
    /// The offending field; empty for the event as a whole.
    pub path: String,
    /// The same in words.
    pub message: String,
}

#[derive(Debug, FromQueryResult)]
struct Part {
    outcomes: Vec<u8>,
    notes: JsonValue,
}

/// What is known of the events of a batch, by their position; nothing if no part of it is stored.
///
/// # Errors
/// When the database cannot be reached.
pub async fn receipt(
    db: &DatabaseConnection,
    tenant: TenantId,
    batch_id: Uuid,
) -> Result<BTreeMap<u32, Outcome>, StorageError> {
    let statement = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT outcomes, notes FROM receipt
         WHERE batch_id = $1 AND tenant_id = $2
         ORDER BY part",
        [batch_id.into(), tenant.0.into()],
    );
    let parts = Part::find_by_statement(statement).all(db).await?;
    let mut outcomes = BTreeMap::new();
    for part in &parts {
        outcomes.extend(read(&part.outcomes)?);
    }
    // Warnings lie where the batch was cut, not with their events.
    for part in parts {
        let notes: Vec<Note> = serde_json::from_value(part.notes).map_err(|_| unreadable())?;
        for note in notes {
            let outcome = outcomes.get_mut(&note.position);
            // That it is a conflict says more than what its content would have been warned of.
            if let Some(outcome) = outcome
                && (outcome.fate != Fate::Conflict || note.code == Code::IdConflict.name())
            {
                outcome.note = Some(note);
            }
        }
    }
    Ok(outcomes)
}

fn unreadable() -> StorageError {
    StorageError::Bug("a receipt cannot be read".to_owned())
}

/// The events of one part.
fn read(outcomes: &[u8]) -> Result<BTreeMap<u32, Outcome>, StorageError> {
    let (entries, rest) = outcomes.as_chunks::<{ Fate::BYTES }>();
    if !rest.is_empty() {
        return Err(unreadable());
    }
    let mut outcomes = BTreeMap::new();
    for entry in entries {
        let (position, rest) = entry.split_first_chunk().ok_or_else(unreadable)?;
        let (id, fate) = rest.split_first_chunk().ok_or_else(unreadable)?;
        let outcome = Outcome {
            event_id: Uuid::from_bytes(*id),
            fate: Fate::from_byte(fate[0]).ok_or_else(unreadable)?,
            note: None,
        };
        outcomes.insert(u32::from_be_bytes(*position), outcome);
    }
    Ok(outcomes)
}

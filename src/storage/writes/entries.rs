//! The entries of streams whose batches are stored: which are, and when that may be forgotten.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sea_orm::sqlx;

use super::StreamEntry;
use crate::storage::{Db, StorageError};

/// Those of the entries that are stored.
///
/// # Errors
/// When the database cannot be reached or refuses.
pub async fn stored(
    db: &Db,
    entries: impl IntoIterator<Item = &StreamEntry>,
) -> Result<BTreeSet<StreamEntry>, StorageError> {
    let (streams, ids): (Vec<&str>, Vec<&str>) = entries
        .into_iter()
        .map(|entry| (entry.stream.as_str(), entry.entry_id.as_str()))
        .unzip();
    if ids.is_empty() {
        return Ok(BTreeSet::new());
    }
    let found: Vec<(String, String)> = sqlx::query_as(
        "SELECT stream, entry_id FROM stream_entry
         JOIN unnest($1::text[], $2::text[]) AS asked (stream, entry_id) USING (stream, entry_id)",
    )
    .bind(streams)
    .bind(ids)
    .fetch_all(db.writes())
    .await?;
    let found = found.into_iter();
    Ok(found
        .map(|(stream, entry_id)| StreamEntry { stream, entry_id })
        .collect())
}

/// Forgets what was stored of a stream ten minutes ago and before everything that lies in it since
/// `oldest`: nobody has it in their hands any more, and nobody will be given it. Says how many.
///
/// # Errors
/// When the database cannot be reached or refuses.
pub async fn forget(db: &Db, stream: &str, oldest: DateTime<Utc>) -> Result<u64, StorageError> {
    let forgotten = sqlx::query(
        "DELETE FROM stream_entry
         WHERE stream = $1 AND stored_at < least(now() - interval '10 minutes', $2)",
    )
    .bind(stream)
    .bind(oldest)
    .execute(db.writes())
    .await?;
    Ok(forgotten.rows_affected())
}

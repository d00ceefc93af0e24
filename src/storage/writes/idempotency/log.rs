//! The log in the database: its head, its segments and its pages.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use sea_orm::sqlx::{self, PgConnection};

use super::filter::Filter;
use super::memory::{Ids, Paged, Reservation, Verdict};
use super::{Entry, KEY};
use crate::storage::StorageError;

/// How many ids a run holds before it is closed: what a map of a million slots holds.
const RUN: i32 = 900_000;
/// How many filters are read at once, of some 2 MB each.
const FILTERS: usize = 8;

/// The end of the log.
#[derive(Debug)]
struct Head {
    seq: i64,
    run: i32,
}

/// What became of a transaction's claim.
pub(in crate::storage) enum Claim {
    /// The ids are in the log once the transaction commits.
    Appended(Segment),
    /// Another process was, or may have been, faster with one of them: begin again.
    Collided,
}

/// Where in the log a transaction's ids are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::storage) struct Segment {
    pub(in crate::storage) seq: i64,
    pub(in crate::storage) run: i32,
    pub(in crate::storage) transaction_id: i64,
    /// How often something was said of user agents.
    pub(in crate::storage) classifications: i64,
    /// Which of the transactions that change facts it is.
    pub(in crate::storage) change: i64,
}

/// Looks ids up in memory, and in pages where memory cannot tell, and reserves those that are free.
pub(in crate::storage) async fn reserve<'a>(
    connection: &mut PgConnection,
    ids: &'a Ids,
    entries: &[Entry],
) -> Result<(Reservation<'a>, Vec<Verdict>), StorageError> {
    load(connection, ids).await?;
    loop {
        let paged = look_up(connection, ids, entries).await?;
        if let Some(reserved) = ids.reserve(entries, &paged).await {
            return Ok(reserved);
        }
    }
}

/// Reads what memory lacks, once after a start; what comes later is read under the lock.
async fn load(connection: &mut PgConnection, ids: &Ids) -> Result<(), StorageError> {
    if ids.lock().loaded {
        return Ok(());
    }
    let (seq, run) = sqlx::query_as("SELECT seq, run FROM idempotency_head")
        .fetch_one(&mut *connection)
        .await?;
    catch_up(connection, ids, &Head { seq, run }).await?;
    Ok(())
}

/// Locks the end of the log until the transaction ends, and appends the reserved ids.
pub(in crate::storage) async fn claim(
    connection: &mut PgConnection,
    ids: &Ids,
    reservation: &Reservation<'_>,
    entries: &[Entry],
) -> Result<Claim, StorageError> {
    let (seq, run, known_entries, is_old, classifications): (i64, i32, i32, bool, i64) =
        sqlx::query_as(
        "SELECT seq, run, entries, opened_at < now() - interval '1 day' AS is_old, classifications
         FROM idempotency_head
         FOR UPDATE",
    )
    .fetch_one(&mut *connection)
    .await?;
    catch_up(connection, ids, &Head { seq, run }).await?;
    if ids.collides(reservation) {
        return Ok(Claim::Collided);
    }
    let mut bytes = Vec::with_capacity(entries.len() * super::ENTRY);
    for entry in entries {
        entry.write(&mut bytes);
    }
    let total = known_entries + i32::try_from(entries.len()).unwrap_or(RUN);
    let (seq, run, transaction_id, change) = sqlx::query_as(
        "WITH head AS (
             UPDATE idempotency_head
             SET seq = seq + 1,
                 changes = changes + 1,
                 run = run + $3::boolean::integer,
                 entries = CASE WHEN $3 THEN 0 ELSE $4 END,
                 opened_at = CASE WHEN $3 THEN now() ELSE opened_at END
             RETURNING seq, changes
         )
         INSERT INTO idempotency_segment (seq, run, entries)
         SELECT seq, $1, $2 FROM head
         RETURNING seq, run, pg_current_xact_id()::text::bigint AS transaction_id,
                   (SELECT changes FROM head)",
    )
    .bind(run)
    .bind(bytes)
    .bind(total >= RUN || is_old)
    .bind(total)
    .fetch_one(&mut *connection)
    .await?;
    Ok(Claim::Appended(Segment {
        seq,
        run,
        transaction_id,
        classifications,
        change,
    }))
}

/// Reads what other processes have appended and sealed.
async fn catch_up(
    connection: &mut PgConnection,
    ids: &Ids,
    head: &Head,
) -> Result<(), StorageError> {
    let (epoch, seq, first) = {
        let known = ids.lock();
        if known.loaded && (known.seq, known.run) == (head.seq, head.run) {
            return Ok(());
        }
        let oldest = known.unsealed.keys().next().copied();
        // Which filters are still true is asked once, after a start or a doubt.
        let first = if known.loaded {
            oldest.unwrap_or(known.run)
        } else {
            i32::MIN
        };
        (known.epoch, known.seq, first)
    };
    // A run is sealed by putting pages in its segments' place, in one transaction: what is not
    // among the segments that are read first is among the runs that are read after.
    let segments: Vec<(i64, i32, Vec<u8>)> = sqlx::query_as(
        "SELECT seq, run, entries FROM idempotency_segment WHERE seq > $1 AND seq <= $2 ORDER BY seq",
    )
    .bind(seq)
    .bind(head.seq)
    .fetch_all(&mut *connection)
    .await?;
    let oldest: Option<i32> =
        sqlx::query_scalar("SELECT run FROM idempotency_segment ORDER BY seq LIMIT 1")
            .fetch_optional(&mut *connection)
            .await?;
    read_sealed(connection, ids, first).await?;
    let mut known = ids.lock();
    if known.epoch != epoch {
        return Err(StorageError::Retry("memory was forgotten".to_owned()));
    }
    for (seq, run, bytes) in segments {
        known.absorb(seq, run, Entry::read_all(&bytes));
    }
    // What is neither in segments nor in pages any more is past the window.
    let oldest = oldest.unwrap_or(head.run);
    known.unsealed.retain(|run, _| *run >= oldest);
    known.seq = known.seq.max(head.seq);
    known.run = known.run.max(head.run);
    known.loaded = true;
    Ok(())
}

/// Reads the filters of the runs from `first` on that are not known. Each is kept as soon as it is
/// read: they may be more than one transaction has time for.
async fn read_sealed(
    connection: &mut PgConnection,
    ids: &Ids,
    first: i32,
) -> Result<(), StorageError> {
    let sealed: Vec<(i32, DateTime<Utc>)> =
        sqlx::query_as("SELECT run, closed_at FROM idempotency_run WHERE run >= $1")
            .bind(first)
            .fetch_all(&mut *connection)
            .await?;
    let unknown: Vec<i32> = {
        let mut known = ids.lock();
        let true_ones: BTreeMap<i32, DateTime<Utc>> = sealed.iter().copied().collect();
        known
            .sealed
            .retain(|run, sealed| *run < first || true_ones.get(run) == Some(&sealed.closed_at));
        let is_unknown = |run: &i32| !known.sealed.contains_key(run);
        true_ones.into_keys().filter(is_unknown).collect()
    };
    for runs in unknown.chunks(FILTERS) {
        let rows: Vec<(i32, DateTime<Utc>, Vec<u8>)> = sqlx::query_as(
            "SELECT run, closed_at, filter FROM idempotency_run WHERE run = ANY($1)",
        )
        .bind(runs)
        .fetch_all(&mut *connection)
        .await?;
        for (run, closed_at, bytes) in rows {
            let filter = Filter::from_bytes(&bytes)
                .ok_or_else(|| StorageError::Bug(format!("the filter of run {run} is damaged")))?;
            ids.lock().seal(run, closed_at, filter);
        }
    }
    Ok(())
}

/// Looks the suspected ids up in the pages of their runs, all in one statement: a look into the
/// key of `idempotency_page` for each.
async fn look_up(
    connection: &mut PgConnection,
    ids: &Ids,
    entries: &[Entry],
) -> Result<Paged, StorageError> {
    let (suspicions, sealings) = ids.suspicions(entries);
    let mut digests = HashMap::new();
    if suspicions.is_empty() {
        return Ok(Paged { digests, sealings });
    }
    let runs: Vec<i32> = suspicions.iter().map(|one| one.run).collect();
    let keys: Vec<Vec<u8>> = suspicions
        .iter()
        .map(|one| entries[one.entry].key().to_vec())
        .collect();
    let pages: Vec<(i64, Vec<u8>)> = sqlx::query_as(
        "SELECT suspicion.n, page.entries
         FROM unnest($1::integer[], $2::bytea[]) WITH ORDINALITY AS suspicion (run, key, n),
              LATERAL (SELECT entries FROM idempotency_page
                       WHERE run = suspicion.run AND first_key <= suspicion.key
                       ORDER BY first_key DESC LIMIT 1) AS page",
    )
    .bind(runs)
    .bind(keys)
    .fetch_all(connection)
    .await?;
    for (n, page) in pages {
        let place = usize::try_from(n - 1).expect("ordinality counts from 1");
        let place = suspicions[place].entry;
        let key: [u8; KEY] = entries[place].key();
        if let Some(entry) = Entry::read_all(&page).find(|entry| entry.key() == key) {
            digests.insert(place, entry.digest);
        }
    }
    Ok(Paged { digests, sealings })
}

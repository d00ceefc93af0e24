//! Closed runs are sealed: their segments are sorted into pages, and get a filter. What is past
//! the window is forgotten. Any process may do it at any time; one does it at a time.

use std::collections::BTreeSet;
use std::time::Duration;

use sea_orm::sqlx::{self, PgPool};

use super::super::copy::Rows;
use super::filter::Filter;
use super::memory::Ids;
use super::{ENTRY, Entry};
use crate::storage::StorageError;

/// How many entries a page holds: it must fit into a row of PostgreSQL's own page of 8 kB.
const PAGE: usize = 256;

/// Seals the oldest run that is closed and not sealed; says whether there was one.
///
/// # Errors
/// When the database cannot be reached or refuses.
pub(in crate::storage::writes) async fn seal_one(
    pool: &PgPool,
    ids: &Ids,
) -> Result<bool, StorageError> {
    let mut transaction = pool.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock(hashtext('tidewater idempotency'))")
        .execute(&mut *transaction)
        .await?;
    let run: Option<i32> = sqlx::query_scalar(
        "SELECT min(run) FROM idempotency_segment
         WHERE run < (SELECT run FROM idempotency_head)",
    )
    .fetch_one(&mut *transaction)
    .await?;
    let Some(run) = run else {
        return Ok(false);
    };
    let segments: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT entries FROM idempotency_segment WHERE run = $1 ORDER BY seq")
            .bind(run)
            .fetch_all(&mut *transaction)
            .await?;
    // A million ids take a second of a core: not one that requests wait for.
    let sorting = tokio::task::spawn_blocking(move || sort(run, &segments));
    let Ok(sorted) = sorting.await else {
        return Err(StorageError::Bug("sorting a run panicked".to_owned()));
    };
    let Sorted {
        entries,
        filter,
        pages,
    } = sorted?;
    let closed_at = sqlx::query_scalar(
        "INSERT INTO idempotency_run (run, entries, closed_at, filter) VALUES ($1, $2, now(), $3)
         RETURNING closed_at",
    )
    .bind(run)
    .bind(entries)
    .bind(filter.to_bytes())
    .fetch_one(&mut *transaction)
    .await?;
    pages
        .send(
            &mut transaction,
            "COPY idempotency_page (run, first_key, entries) FROM STDIN (FORMAT binary)",
        )
        .await?;
    sqlx::query("DELETE FROM idempotency_segment WHERE run = $1")
        .bind(run)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    ids.lock().seal(run, closed_at, filter);
    tracing::debug!(run, entries, "sealed a run of the idempotency log");
    Ok(true)
}

struct Sorted {
    entries: i32,
    filter: Filter,
    pages: Rows,
}

fn sort(run: i32, segments: &[Vec<u8>]) -> Result<Sorted, StorageError> {
    let mut entries: Vec<Entry> = segments
        .iter()
        .flat_map(|segment| Entry::read_all(segment))
        .collect();
    // As their keys sort as bytes: tenants are never negative.
    entries.sort_unstable();
    let filter = Filter::of(entries.iter().map(|entry| entry.name()))
        .ok_or_else(|| StorageError::Bug(format!("no filter can be made of run {run}")))?;
    let mut pages = Rows::with_capacity(entries.len() * (ENTRY + 1));
    for page in entries.chunks(PAGE) {
        let mut bytes = Vec::with_capacity(PAGE * ENTRY);
        for entry in page {
            entry.write(&mut bytes);
        }
        pages.row(3).int4(run).bytes(&page[0].key()).bytes(&bytes);
    }
    Ok(Sorted {
        entries: i32::try_from(entries.len()).unwrap_or(i32::MAX),
        filter,
        pages,
    })
}

/// Forgets the runs that were closed longer ago than `window`, here and in the database; says how
/// many ids the database forgot. Several processes may do it.
///
/// # Errors
/// When the database cannot be reached or refuses.
pub(in crate::storage::writes) async fn expire(
    pool: &PgPool,
    ids: &Ids,
    window: Duration,
) -> Result<i64, StorageError> {
    let entries: Vec<i32> = sqlx::query_scalar(
        "DELETE FROM idempotency_run
         WHERE closed_at < now() - make_interval(secs => $1)
         RETURNING entries",
    )
    .bind(window.as_secs_f64())
    .fetch_all(pool)
    .await?;
    // What is sealed while this is asked is not among what may be forgotten here.
    let known: Vec<i32> = ids.lock().sealed.keys().copied().collect();
    let kept: BTreeSet<i32> = sqlx::query_scalar("SELECT run FROM idempotency_run")
        .fetch_all(pool)
        .await?
        .into_iter()
        .collect();
    let mut ids = ids.lock();
    for run in known.into_iter().filter(|run| !kept.contains(run)) {
        ids.sealed.remove(&run);
    }
    Ok(entries.into_iter().map(i64::from).sum())
}

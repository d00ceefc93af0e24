//! Makes rollups anew from the facts where they say something else, while everybody goes on.
//!
//! A piece of time is looked at without any lock: a statement sees facts and rollups of one moment,
//! and writers commit both at once, so what differs is wrong. Only what is wrong is locked, mended
//! and marked as changed, each piece in one transaction:
//!
//! - sums ([`sums`]) under the lock of `idempotency_head`. Who holds it sees all that is committed,
//!   and whoever commits after adds to what is mended. An hour at a time, less if much happened.
//! - days of users ([`days`]) under the locks of their rows, taken in the order of their keys as
//!   writers take them, and before that lock.

mod days;
mod edges;
mod sums;

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use sea_orm::sqlx;

use crate::domain::calendar::{Hour, TimeRange};
use crate::domain::tenant::TenantId;
use crate::storage::partitions::{KnownSpans, Span};
use crate::storage::writes::summaries::Owner;
use crate::storage::writes::{Transaction, changes};
use crate::storage::{Db, StorageError};

pub(in crate::storage::writes) use days::{CREATE_TOUCHED, make_anew as make_days_anew};
pub use edges::{first_day, hours_of, last_day};
pub(in crate::storage::writes) use sums::make_anew as make_sums_anew;

/// How long pieces of sums are: the next ones where one has many facts.
const LENGTHS: [TimeDelta; 3] = [
    TimeDelta::hours(1),
    TimeDelta::minutes(15),
    TimeDelta::minutes(1),
];
/// How many facts are summed at once while writers wait, unless a single minute has more.
const LARGE: i64 = 50_000;
/// How many users of a day are locked at once.
const USERS: i64 = 20_000;
/// How often a piece is begun again that lost against another transaction.
const ATTEMPTS: u32 = 5;
/// How long before that; and how long writers have between two pieces that have them begin again.
const BREATH: Duration = Duration::from_millis(200);
/// What is only looked at may take its time: nobody waits for it.
const PATIENCE: &str = "SET LOCAL statement_timeout = '10min'";

/// Whether any sums of these hours, which follow one another, are wrong: one look is much less than
/// one for each.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn any_wrong(db: &Db, tenant: TenantId, hours: &[Hour]) -> Result<bool, StorageError> {
    let (Some(first), Some(last)) = (hours.first(), hours.last()) else {
        return Ok(false);
    };
    let piece = TimeRange {
        from: first.begin(),
        to: last.begin() + LENGTHS[0],
    };
    are_wrong(db, tenant, piece).await
}

/// Makes the sums of an hour anew where they are wrong; says how many rows were.
///
/// # Errors
/// When the database cannot be reached or takes too long. Pieces before stay mended.
pub async fn hour(db: &Db, tenant: TenantId, hour: Hour) -> Result<u64, StorageError> {
    let whole = TimeRange {
        from: hour.begin(),
        to: hour.begin() + LENGTHS[0],
    };
    let mut pieces = vec![(0, whole)];
    let mut rows = 0;
    while let Some((length, piece)) = pieces.pop() {
        if !are_wrong(db, tenant, piece).await? {
            continue;
        }
        match LENGTHS.get(length + 1) {
            Some(shorter) if is_large(db, tenant, piece).await? => {
                let parts = cut(piece, *shorter);
                pieces.extend(parts.map(|part| (length + 1, part)));
            }
            _ => rows += until_settled(async || mend(db, tenant, piece).await).await?,
        }
    }
    Ok(rows)
}

/// An hour in pieces that writers can wait for.
pub(in crate::storage::writes) async fn pieces_of(
    db: &Db,
    tenant: TenantId,
    hour: Hour,
) -> Result<Vec<TimeRange>, StorageError> {
    let whole = TimeRange {
        from: hour.begin(),
        to: hour.begin() + LENGTHS[0],
    };
    let (mut open, mut pieces) = (vec![(0, whole)], Vec::new());
    while let Some((length, piece)) = open.pop() {
        match LENGTHS.get(length + 1) {
            Some(shorter) if is_large(db, tenant, piece).await? => {
                open.extend(cut(piece, *shorter).map(|part| (length + 1, part)));
            }
            _ => pieces.push(piece),
        }
    }
    Ok(pieces)
}

/// A piece in shorter ones.
fn cut(piece: TimeRange, length: TimeDelta) -> impl Iterator<Item = TimeRange> {
    let begin = move |n| piece.from + length * n;
    (0..)
        .map(move |n| TimeRange {
            from: begin(n),
            to: begin(n + 1),
        })
        .take_while(move |part| part.from < piece.to)
}

/// When a day of a zone begins.
pub(in crate::storage::writes) fn begin_of(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    days::range_of(day, zone).from
}

/// Every minute of a piece.
pub(in crate::storage::writes) fn minutes_of(piece: TimeRange) -> Vec<DateTime<Utc>> {
    let minutes = cut(piece, TimeDelta::minutes(1));
    minutes.map(|minute| minute.from).collect()
}

async fn are_wrong(db: &Db, tenant: TenantId, piece: TimeRange) -> Result<bool, StorageError> {
    let mut transaction = look(db).await?;
    let wrong = sums::are_wrong(&mut transaction, tenant, piece, &minutes_of(piece)).await?;
    transaction.commit().await?;
    Ok(wrong)
}

/// Whether a piece has more than [`LARGE`] facts: counts no further, by the keys.
async fn is_large(db: &Db, tenant: TenantId, piece: TimeRange) -> Result<bool, StorageError> {
    let facts: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (
             SELECT 1 FROM event WHERE tenant_id = $1 AND timestamp >= $2 AND timestamp < $3
             UNION ALL
             SELECT 1 FROM purchase WHERE tenant_id = $1 AND timestamp >= $2 AND timestamp < $3
             UNION ALL
             SELECT 1 FROM refund WHERE tenant_id = $1 AND timestamp >= $2 AND timestamp < $3
             LIMIT $4) AS fact",
    )
    .bind(tenant.0)
    .bind(piece.from)
    .bind(piece.to)
    .bind(LARGE + 1)
    .fetch_one(db.writes())
    .await?;
    Ok(facts > LARGE)
}

/// Makes the sums of a piece anew while writers wait.
async fn mend(db: &Db, tenant: TenantId, piece: TimeRange) -> Result<u64, StorageError> {
    ensure_partitions(db, Span::of(piece.from)).await?;
    let mut transaction = db.writes().begin().await?;
    changes::lock_out_writers(&mut transaction).await?;
    let minutes = minutes_of(piece);
    let rows = sums::make_anew(&mut transaction, tenant, piece, &minutes).await?;
    if rows > 0 {
        let change = changes::count(&mut transaction).await?;
        changes::mark_hours(&mut transaction, tenant, change, [Hour::of(piece.from)]).await?;
    }
    transaction.commit().await?;
    Ok(rows)
}

/// Makes who was there on a day of the tenant's zone anew where it is wrong; says how many rows
/// were.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn users(db: &Db, owner: Owner, day: NaiveDate) -> Result<u64, StorageError> {
    let mut rows = 0;
    loop {
        let mut transaction = look(db).await?;
        let wrong = days::wrong(&mut transaction, owner, day, USERS).await?;
        transaction.commit().await?;
        if wrong.is_empty() {
            return Ok(rows);
        }
        let mended = until_settled(async || {
            ensure_partitions(db, Span::of_day(day)).await?;
            let mut transaction = look(db).await?;
            let mended = days::mend(&mut transaction, owner, day, &wrong).await?;
            if mended > 0 {
                // Writers forget what they remember of days; whoever asks for a day asks for its
                // first hour, too.
                let change = changes::tell_writers(&mut transaction).await?;
                let first = [Hour::of(days::range_of(day, owner.zone).from)];
                changes::mark_hours(&mut transaction, owner.tenant, change, first).await?;
            }
            transaction.commit().await?;
            Ok(mended)
        });
        let mended = mended.await?;
        rows += mended;
        // Those were all; or another was faster.
        let is_last = i64::try_from(wrong.len()).is_ok_and(|users| users < USERS);
        if is_last || mended == 0 {
            return Ok(rows);
        }
        tokio::time::sleep(BREATH).await;
    }
}

/// Forgets what a day, its hours and its month were summed up to, and marks the hours, so that all
/// of it is summed up again.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn forget_summaries(db: &Db, owner: Owner, day: NaiveDate) -> Result<(), StorageError> {
    let range = days::range_of(day, owner.zone);
    until_settled(async || {
        let mut transaction = look(db).await?;
        // No month has more days.
        sqlx::query(
            "DELETE FROM summarised
             WHERE tenant_id = $1 AND start > $2::timestamptz - interval '32 days'
                   AND start < $3 AND finish > $2",
        )
        .bind(owner.tenant.0)
        .bind(range.from)
        .bind(range.to)
        .execute(&mut *transaction)
        .await?;
        let change = changes::count(&mut transaction).await?;
        let hours = hours_of(day, owner.zone);
        let marked = changes::mark_again(&mut transaction, owner.tenant, change, &hours).await?;
        transaction.commit().await?;
        Ok(marked)
    })
    .await?;
    Ok(())
}

/// A transaction that may take its time.
pub(in crate::storage::writes) async fn look(db: &Db) -> Result<Transaction, StorageError> {
    let mut transaction = db.writes().begin().await?;
    sqlx::raw_sql(PATIENCE).execute(&mut *transaction).await?;
    Ok(transaction)
}

/// Makes partitions where rollups have lost theirs.
async fn ensure_partitions(db: &Db, span: Span) -> Result<(), StorageError> {
    let spans = BTreeSet::from([span]);
    KnownSpans::default().ensure(db.writes(), &spans).await
}

/// The same of one who runs in a task.
pub(in crate::storage::writes) async fn settled<F>(
    step: impl Fn() -> F + Send,
) -> Result<u64, StorageError>
where
    F: Future<Output = Result<u64, StorageError>> + Send,
{
    for _ in 1..ATTEMPTS {
        match step().await {
            Err(StorageError::Retry(_)) => tokio::time::sleep(BREATH).await,
            result => return result,
        }
    }
    step().await
}

/// Does it until it lost against no other transaction, a few times.
async fn until_settled(
    step: impl AsyncFn() -> Result<u64, StorageError>,
) -> Result<u64, StorageError> {
    for _ in 1..ATTEMPTS {
        match step().await {
            Err(StorageError::Retry(_)) => tokio::time::sleep(BREATH).await,
            result => return result,
        }
    }
    step().await
}

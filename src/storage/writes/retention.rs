//! Takes out what is older than a tenant keeps: facts and all that follows from them, and what came
//! with events.
//!
//! Facts go day by day and hour by hour, each with its rollups in one transaction, so that no answer
//! depends on how far it is. The tables of a month that nobody has anything in any more are dropped.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use sea_orm::sqlx::{self, AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use super::changes;
use super::rollups::rebuild;
use super::summaries::{self, Owner};
use crate::domain::calendar::{Hour, TimeRange, day_of};
use crate::domain::tenant::TenantId;
use crate::storage::partitions::Span;
use crate::storage::{Db, StorageError};

/// How many rows go in one statement.
const AT_ONCE: i64 = 5_000;
/// How long after its end a month is still needed: days of users are of the tenants' zones.
const MARGIN: TimeDelta = TimeDelta::days(2);
/// The first day that there can be.
const FIRST_DAY: NaiveDate = NaiveDate::from_ymd_opt(1969, 12, 31).expect("it is in the calendar");

/// Says from when on a tenant's events are kept: reports of before say so from now on.
///
/// # Errors
/// When the database cannot be reached.
pub async fn keep_from(db: &Db, tenant: TenantId, from: DateTime<Utc>) -> Result<(), StorageError> {
    sqlx::query(
        "UPDATE privacy_policy SET kept_from = greatest(kept_from, $2) WHERE tenant_id = $1",
    )
    .bind(tenant.0)
    .bind(from)
    .execute(db.writes())
    .await?;
    Ok(())
}

/// Drops the months of facts that no tenant keeps: each of them keeps later ones alone, or has
/// nothing there. Says how many.
///
/// # Errors
/// When the database cannot be reached, or somebody reads for too long.
pub async fn drop_months(
    db: &Db,
    kept_from: &BTreeMap<TenantId, DateTime<Utc>>,
) -> Result<u64, StorageError> {
    let Some(latest) = kept_from.values().max() else {
        return Ok(0);
    };
    let mut connection = PgConnection::connect_with(&db.writes().connect_options()).await?;
    // Whoever makes partitions waits, so that none comes back halfway.
    sqlx::query("SELECT pg_advisory_lock(hashtext('tidewater partitions'))")
        .execute(&mut connection)
        .await?;
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'event'::regclass",
    )
    .fetch_all(&mut connection)
    .await?;
    let tenants: Vec<i32> = sqlx::query_scalar("SELECT tenant_id FROM tenant")
        .fetch_all(&mut connection)
        .await?;
    let mut dropped = 0;
    for span in names.iter().filter_map(|name| span_of(name)) {
        let end = span.to().and_time(chrono::NaiveTime::MIN).and_utc() + MARGIN;
        if end > *latest {
            continue;
        }
        let keeps = |id: &&i32| {
            kept_from
                .get(&TenantId(**id))
                .is_none_or(|from| *from < end)
        };
        let keepers: Vec<i32> = tenants.iter().filter(keeps).copied().collect();
        if !is_anybodys(&mut connection, span, &keepers).await? {
            drop_month(&mut connection, span).await?;
            dropped += 1;
        }
    }
    connection.close().await?;
    Ok(dropped)
}

/// The span of a partition of events, by its name: `event_1997`, `event_2026_11`.
fn span_of(name: &str) -> Option<Span> {
    let mut numbers = name.strip_prefix("event_")?.split('_');
    let year = numbers.next()?.parse().ok()?;
    let month = numbers.next().map_or(Some(1), |month| month.parse().ok())?;
    Some(Span::of_day(NaiveDate::from_ymd_opt(year, month, 1)?))
}

/// Whether any of these tenants has anything in a month.
async fn is_anybodys(
    connection: &mut PgConnection,
    span: Span,
    tenants: &[i32],
) -> Result<bool, StorageError> {
    for table in span.partitions() {
        // A name of ours; by the key, which the tenant leads.
        let sql = format!(
            "SELECT EXISTS (SELECT FROM unnest($1::integer[]) AS id, LATERAL (
                 SELECT FROM {table} WHERE tenant_id = id LIMIT 1) AS one)"
        );
        let exists = sqlx::query_scalar(AssertSqlSafe(sql)).bind(tenants);
        if exists.fetch_one(&mut *connection).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Detaches each table of a month beside whoever reads and writes, and drops it.
async fn drop_month(connection: &mut PgConnection, span: Span) -> Result<(), StorageError> {
    for table in span.partitions() {
        let parent: Option<(String, bool)> = sqlx::query_as(
            "SELECT inhparent::regclass::text, inhdetachpending FROM pg_inherits
             WHERE inhrelid = to_regclass($1)",
        )
        .bind(&table)
        .fetch_optional(&mut *connection)
        .await?;
        if let Some((parent, is_pending)) = parent {
            // One that was cut off before is finished.
            let how = if is_pending {
                "FINALIZE"
            } else {
                "CONCURRENTLY"
            };
            let sql = format!("ALTER TABLE {parent} DETACH PARTITION {table} {how}");
            sqlx::raw_sql(AssertSqlSafe(sql))
                .execute(&mut *connection)
                .await?;
        }
        let sql = format!("DROP TABLE IF EXISTS {table}");
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Deletes a tenant's facts of before a day, and all that follows from them; says how many days had
/// any. Done again it goes on where it was.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn delete_facts(db: &Db, owner: Owner, before: NaiveDate) -> Result<u64, StorageError> {
    let mut days = 0;
    while let Some(day) = rebuild::first_day(db, owner, FIRST_DAY, before).await? {
        for hour in rebuild::hours_of(day, owner.zone) {
            for mut piece in rebuild::pieces_of(db, owner.tenant, hour).await? {
                let end = rebuild::begin_of(before, owner.zone);
                piece.to = piece.to.min(end);
                if piece.from < piece.to {
                    rebuild::settled(|| delete_piece(db, owner, piece)).await?;
                }
            }
        }
        rebuild::settled(|| delete_day(db, owner, day)).await?;
        days += 1;
    }
    if days > 0 {
        summaries::forget_outdated(db, owner.tenant).await?;
    }
    Ok(days)
}

async fn delete_piece(db: &Db, owner: Owner, piece: TimeRange) -> Result<u64, StorageError> {
    let tenant = owner.tenant;
    let mut transaction = db.writes().begin().await?;
    let change = changes::count(&mut transaction).await?;
    let mut rows = 0;
    for table in ["purchase", "refund", "event"] {
        let sql = format!(
            "DELETE FROM {table} WHERE tenant_id = $1 AND timestamp >= $2 AND timestamp < $3"
        );
        let gone = sqlx::query(AssertSqlSafe(sql))
            .bind(tenant.0)
            .bind(piece.from)
            .bind(piece.to)
            .execute(&mut *transaction)
            .await?;
        rows += gone.rows_affected();
    }
    let minutes = rebuild::minutes_of(piece);
    rows += rebuild::make_sums_anew(&mut transaction, tenant, piece, &minutes).await?;
    if rows > 0 {
        changes::mark_hours(&mut transaction, tenant, change, [Hour::of(piece.from)]).await?;
    }
    transaction.commit().await?;
    Ok(rows)
}

async fn delete_day(db: &Db, owner: Owner, day: NaiveDate) -> Result<u64, StorageError> {
    let mut transaction = db.writes().begin().await?;
    sqlx::query("LOCK TABLE user_day IN SHARE ROW EXCLUSIVE MODE")
        .execute(&mut *transaction)
        .await?;
    let gone = sqlx::query("DELETE FROM user_day WHERE tenant_id = $1 AND day = $2")
        .bind(owner.tenant.0)
        .bind(day)
        .execute(&mut *transaction)
        .await?;
    let change = changes::tell_writers(&mut transaction).await?;
    let first = [Hour::of(rebuild::begin_of(day, owner.zone))];
    changes::mark_hours(&mut transaction, owner.tenant, change, first).await?;
    transaction.commit().await?;
    Ok(gone.rows_affected())
}

/// The day before which a tenant keeps nothing, and when it begins.
#[must_use]
pub fn first_kept(owner: Owner, now: DateTime<Utc>, days: i32) -> (NaiveDate, DateTime<Utc>) {
    let today = now.with_timezone(&owner.zone).date_naive();
    let back = u64::try_from(days).unwrap_or(0);
    let day = today.checked_sub_days(Days::new(back)).unwrap_or(FIRST_DAY);
    (
        day,
        day_of(rebuild::begin_of(day, owner.zone), owner.zone).from,
    )
}

/// Deletes a tenant's quarantined events that were received before a time; says how many.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn delete_quarantined(
    db: &Db,
    tenant: TenantId,
    before: DateTime<Utc>,
) -> Result<u64, StorageError> {
    let sql = "DELETE FROM quarantine
               WHERE tenant_id = $1 AND quarantine_id IN (
                   SELECT quarantine_id FROM quarantine
                   WHERE tenant_id = $1 AND received_at < $2
                   ORDER BY received_at, quarantine_id LIMIT $3)";
    let mut rows = 0;
    loop {
        let gone = sqlx::query(sql)
            .bind(tenant.0)
            .bind(before)
            .bind(AT_ONCE)
            .execute(db.writes())
            .await?;
        rows += gone.rows_affected();
        if gone.rows_affected() == 0 {
            return Ok(rows);
        }
    }
}

/// Deletes a tenant's receipts of before a time; says how many.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn delete_receipts(
    db: &Db,
    tenant: TenantId,
    before: DateTime<Utc>,
) -> Result<u64, StorageError> {
    // Ids of batches begin with the time.
    let millis = u128::try_from(before.timestamp_millis()).unwrap_or(0);
    let sql = "DELETE FROM receipt
               WHERE (batch_id, part) IN (
                   SELECT batch_id, part FROM receipt
                   WHERE tenant_id = $1 AND batch_id < $2 LIMIT $3)
                     AND batch_id < $2";
    let mut rows = 0;
    loop {
        let gone = sqlx::query(sql)
            .bind(tenant.0)
            .bind(Uuid::from_u128(millis << 80))
            .bind(AT_ONCE)
            .execute(db.writes())
            .await?;
        rows += gone.rows_affected();
        if gone.rows_affected() == 0 {
            return Ok(rows);
        }
    }
}

/// Lets the files of a tenant's exports expire so long after they were asked for, at the latest.
///
/// # Errors
/// When the database cannot be reached.
pub async fn shorten_exports(db: &Db, tenant: TenantId, hours: i32) -> Result<u64, StorageError> {
    let shortened = sqlx::query(
        "UPDATE export SET expires_at = created_at + make_interval(hours => $2)
         WHERE tenant_id = $1 AND expires_at > created_at + make_interval(hours => $2)",
    )
    .bind(tenant.0)
    .bind(hours)
    .execute(db.writes())
    .await?;
    Ok(shortened.rows_affected())
}

//! Whether a user agent is a bot, said by someone who knows better than the list: from then on, and
//! of what is stored.
//!
//! 1. [`say`] notes it. Every writer locks the head of the idempotency log before it commits, and
//!    finds there that something was said: so no event is committed after it that does not know.
//! 2. [`change`] changes what is stored, a day at a time: the events of the program, their lines,
//!    the rollups of the minutes they lie in and the days of their users, made anew from the facts
//!    ([`rebuild`]). Each day is one transaction, under that lock: writers wait, but never long.

use chrono::{DateTime, Duration, Utc};
use chrono_tz::Tz;
use sea_orm::sqlx::{self, Postgres, postgres::PgArguments, query::Query};

use super::changes;
use super::intake::user_agent_id;
use super::rollups::rebuild;
use crate::domain::calendar::{Hour, TimeRange};
use crate::domain::tenant::TenantId;
use crate::storage::{Db, StorageError};

/// Of one program of one tenant: what it is from now on.
#[derive(Clone, Copy, Debug)]
pub struct Saying<'a> {
    /// Whose users' program.
    pub tenant: TenantId,
    /// What it calls itself.
    pub user_agent: &'a str,
    /// Whether it is a bot.
    pub bot: bool,
}

/// Notes what was said, for all events that are stored from now on.
///
/// # Errors
/// When the database cannot be reached.
pub async fn say(db: &Db, saying: Saying<'_>, at: DateTime<Utc>) -> Result<(), StorageError> {
    let mut transaction = db.writes().begin().await?;
    sqlx::query(
        "INSERT INTO user_agent (tenant_id, user_agent_id, user_agent, bot, classified_at)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (tenant_id, user_agent_id) DO UPDATE
         SET bot = excluded.bot, classified_at = excluded.classified_at",
    )
    .bind(saying.tenant.0)
    .bind(user_agent_id(saying.user_agent))
    .bind(saying.user_agent)
    .bind(saying.bot)
    .bind(at)
    .execute(&mut *transaction)
    .await?;
    changes::tell_writers(&mut transaction).await?;
    transaction.commit().await?;
    Ok(())
}

/// From when to when there are events of a tenant.
///
/// # Errors
/// When the database cannot be reached.
pub async fn stored_range(db: &Db, tenant: TenantId) -> Result<Option<TimeRange>, StorageError> {
    let (first, last): (Option<DateTime<Utc>>, Option<DateTime<Utc>>) =
        sqlx::query_as("SELECT min(minute), max(minute) FROM traffic_minute WHERE tenant_id = $1")
            .bind(tenant.0)
            .fetch_one(db.writes())
            .await?;
    Ok(first.zip(last).map(|(first, last)| TimeRange {
        from: first,
        to: last + Duration::minutes(1),
    }))
}

/// The first event of the range that is at odds with what was said: walks the key of `event`.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn next(
    db: &Db,
    saying: Saying<'_>,
    range: TimeRange,
) -> Result<Option<DateTime<Utc>>, StorageError> {
    let first = sqlx::query_scalar(
        "SELECT timestamp FROM event
         WHERE tenant_id = $1 AND timestamp >= $3 AND timestamp < $4
               AND user_agent_id = $2 AND bot <> $5
         ORDER BY timestamp
         LIMIT 1",
    )
    .bind(saying.tenant.0)
    .bind(user_agent_id(saying.user_agent))
    .bind(range.from)
    .bind(range.to)
    .bind(saying.bot)
    .fetch_optional(db.writes())
    .await?;
    Ok(first)
}

/// The events that are changed, for the statements after.
const EVENTS: &str = "
    WITH changed AS (
        UPDATE event SET bot = $5
        WHERE tenant_id = $1 AND timestamp >= $3 AND timestamp < $4
              AND user_agent_id = $2 AND bot <> $5
        RETURNING timestamp, event_id, user_id
    )
    INSERT INTO changed_event SELECT * FROM changed";

/// The lines of the changed events.
const LINES: [&str; 2] = [
    "UPDATE purchase AS line SET bot = $2 FROM changed_event AS its
     WHERE line.tenant_id = $1 AND line.timestamp = its.timestamp AND line.event_id = its.event_id
           AND line.timestamp >= $3 AND line.timestamp < $4",
    "UPDATE refund AS line SET bot = $2 FROM changed_event AS its
     WHERE line.tenant_id = $1 AND line.timestamp = its.timestamp AND line.event_id = its.event_id
           AND line.timestamp >= $3 AND line.timestamp < $4",
];

/// The minutes that changed events lie in.
const MINUTES: &str = "SELECT DISTINCT date_trunc('minute', timestamp, 'UTC') FROM changed_event";

/// The days of the users of changed events.
const DAYS: &str = "
    INSERT INTO touched_day
    SELECT DISTINCT (timestamp AT TIME ZONE $1)::date, user_id FROM changed_event";

/// Changes the stored events of a part of a day of this time zone, and all that follows from them;
/// says how many events that were.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn change(
    db: &Db,
    saying: Saying<'_>,
    zone: Tz,
    day: TimeRange,
    part: TimeRange,
) -> Result<u64, StorageError> {
    let tenant = saying.tenant.0;
    let mut transaction = db.writes().begin().await?;
    // Writers lock rows of `user_day` before the log, so this does, too: who has changed one has
    // committed when this goes on.
    sqlx::query("LOCK TABLE user_day IN SHARE ROW EXCLUSIVE MODE")
        .execute(&mut *transaction)
        .await?;
    let change = changes::tell_writers(&mut transaction).await?;
    sqlx::query(
        "CREATE TEMPORARY TABLE changed_event (timestamp timestamptz, event_id uuid, user_id uuid)
         ON COMMIT DROP",
    )
    .execute(&mut *transaction)
    .await?;
    let changed = run(EVENTS)
        .bind(tenant)
        .bind(user_agent_id(saying.user_agent))
        .bind(part.from)
        .bind(part.to)
        .bind(saying.bot)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
    for statement in LINES {
        run(statement)
            .bind(tenant)
            .bind(saying.bot)
            .bind(part.from)
            .bind(part.to)
            .execute(&mut *transaction)
            .await?;
    }
    let minutes: Vec<DateTime<Utc>> = sqlx::query_scalar(MINUTES)
        .persistent(false)
        .fetch_all(&mut *transaction)
        .await?;
    let hours = minutes.iter().copied().map(Hour::of);
    changes::mark_hours(&mut transaction, saying.tenant, change, hours).await?;
    rebuild::make_sums_anew(&mut transaction, saying.tenant, part, &minutes).await?;
    sqlx::query(rebuild::CREATE_TOUCHED)
        .execute(&mut *transaction)
        .await?;
    run(DAYS)
        .bind(zone.name())
        .execute(&mut *transaction)
        .await?;
    rebuild::make_days_anew(&mut transaction, saying.tenant, zone, day).await?;
    transaction.commit().await?;
    Ok(changed)
}

/// A statement on the temporary table, which the next transaction has another one of.
fn run(statement: &'static str) -> Query<'static, Postgres, PgArguments> {
    sqlx::query(statement).persistent(false)
}
